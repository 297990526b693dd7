"""From the texts of a spec to the typed keyword arguments that a factory is called with."""

from __future__ import annotations

import math
from collections.abc import Mapping

from arrkit.backends.plugin import Parameter, Value
from arrkit.errors import Problem, nearest

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class _Unusable(Exception):
    """Why a text is no value of a parameter, as the end of a sentence that begins with ``key=text``."""


def convert_options(
    texts: Mapping[str, str], parameters: Mapping[str, Parameter], *, where: str
) -> tuple[dict[str, Value], list[Problem]]:
    """The value of every parameter (given or default) and all that is wrong with ``texts``.

    The value of an unknown option is not repeated in its problem: someone may have put a key there.
    """
    values = {key: parameter.default for key, parameter in parameters.items()}
    problems = []
    for key, text in texts.items():
        if key not in parameters:
            known = f"Its options are {', '.join(parameters)}." if parameters else "It has no options."
            problems.append(Problem(f'unknown option "{key}"{nearest(key, parameters)}', where, known))
            continue
        try:
            values[key] = convert(text, parameters[key])
        except _Unusable as reason:
            problems.append(Problem(f"{key}={text} {reason}", where, parameters[key].help))
    return values, problems


def convert(text: str, parameter: Parameter) -> Value:
    """``text`` as a value of the type of ``parameter.default``, within its bounds and choices."""
    value = _typed(text, parameter.default)
    if parameter.choices and str(value) not in parameter.choices:
        raise _Unusable(f"is none of {', '.join(parameter.choices)}{nearest(text, parameter.choices)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if parameter.low is not None and value < parameter.low:
            raise _Unusable(f"is below {parameter.low:g}")
        if parameter.high is not None and value > parameter.high:
            raise _Unusable(f"is above {parameter.high:g}")
    return value


def _typed(text: str, default: Value) -> Value:
    # bool first: it is a subclass of int.
    if isinstance(default, bool):
        if text.lower() not in _TRUE + _FALSE:
            raise _Unusable("is neither true nor false")
        return text.lower() in _TRUE
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise _Unusable("is not a whole number") from None
    if isinstance(default, float):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise _Unusable("is not a number")
        return number
    return text
