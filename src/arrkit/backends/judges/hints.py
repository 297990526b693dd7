"""How long an endpoint asks to be left alone, in whatever form it says so."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_STEP = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_TRY_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?(?:ms|s|m|h|d)[\w.]*)", re.IGNORECASE
)
# Beyond this a plain number in a reset header is a point in time, not a wait of 31 years.
_EPOCH = 1e9


def wait_hint(headers: Mapping[str, str], message: str, *, now: float) -> float | None:
    """The wait in seconds, at least 0, or None where the endpoint named none.

    ``headers`` must be looked up without regard to case; ``now`` is Unix time. In order of trust:
    ``retry-after-ms``, ``retry-after`` (seconds or an HTTP date), the ``x-ratelimit-reset-*`` of what has
    run out, and "try again in 1m20s" in the message.
    """
    for wait in (
        _plain(headers.get("retry-after-ms"), 0.001),
        _plain(headers.get("retry-after"), 1.0),
        _date(headers.get("retry-after"), now),
        _reset(headers, now),
        _in_words(message),
    ):
        if wait is not None:
            return max(0.0, wait)
    return None


def seconds(text: str) -> float | None:
    """A duration such as ``6m0s``, ``1.5s`` or ``250ms`` in seconds, or None where it is none."""
    text = text.strip()
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(amount) * _UNITS[unit] for amount, unit in _STEP.findall(text))


def _plain(text: str | None, unit: float) -> float | None:
    try:
        wait = float(text or "") * unit
    except ValueError:
        return None
    return wait if math.isfinite(wait) else None


def _date(text: str | None, now: float) -> float | None:
    try:
        stamp = parsedate_tz(text or "")
        return None if stamp is None else mktime_tz(stamp) - now
    except (ValueError, OverflowError):
        return None


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    waits = []
    for kind in ("-requests", "-tokens", ""):
        text = headers.get(f"x-ratelimit-reset{kind}", "")
        wait = seconds(text)
        if wait is None:
            wait = _plain(text, 1.0)
            if wait is not None and wait > _EPOCH:
                wait -= now
        remaining = _plain(headers.get(f"x-ratelimit-remaining{kind}"), 1.0)
        # What has not run out resets at a time that nobody has to wait for.
        if wait is not None and (remaining is None or remaining <= 0):
            waits.append(wait)
    return max(waits, default=None)


def _in_words(message: str) -> float | None:
    found = _TRY_AGAIN.search(message)
    return seconds(found.group(1).rstrip(".")) if found else None
