"""What a model can do: from arrkit's data file, or remembered from when it was asked.

Nothing is ever concluded from a part of a model's name: it is in ``models.toml`` exactly, or it is asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path

from arrkit.backends.judges.reading import rows, table, words
from arrkit.canonical import Json, pretty_json, write_atomic
from arrkit.errors import InputError, Problem
from arrkit.judge.transport import ModelProfile

PROBED = ("structured", "images", "logprobs", "temperature", "seed")
"""The fields that a model can be asked about."""

# The most that arrkit ever shows: eight candidates and a source.
_USUAL_IMAGES = 9

REMEMBERED = timedelta(days=30)
"""How long an answer is trusted: vendors change models, and operators restart servers with other options."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the data says of a model. ``unknown`` are the fields of :data:`PROBED` that it leaves open.

    ``listed`` says whether there is an entry at all. ``thinking`` is how a Gemini model is told its effort:
    ``level``, or ``budget`` for those from before there were levels.
    """

    profile: ModelProfile
    surface: str = "chat"
    unknown: frozenset[str] = frozenset()
    listed: bool = True
    thinking: str = "level"


def look_up(transport: str, model: str, *, shipped: bool = True) -> Known:
    """The entry for ``model``; for a name that is not there, one in which everything is open.

    The user's own entries go before those that ship with arrkit, which are looked at where ``shipped``: what
    a vendor's model can do says nothing of a model of that name elsewhere. Raises ``InputError`` where the
    user's file is not TOML.
    """
    known, entry = "user", _user_entries().get((transport, model))
    if entry is None and shipped:
        known, entry = "data", _shipped_entries().get((transport, model))
    if entry is None:
        return Known(ModelProfile(), unknown=frozenset(PROBED), listed=False)
    return Known(
        replace(_profile(entry), known=known),
        surface=words(entry.get("surface")) or "chat",
        unknown=frozenset(PROBED) - entry.keys(),
        thinking=words(entry.get("thinking")) or "level",
    )


def hoped(known: Known) -> ModelProfile:
    """What to reckon with before the model is asked: where the data says nothing, what most models can do."""
    usual = {"structured": "schema", "images": _USUAL_IMAGES}
    wanted = {field: value for field, value in usual.items() if field in known.unknown}
    return replace(known.profile, **wanted, known="hope")  # type: ignore[arg-type]


def completed(known: Known, kept: ModelProfile) -> ModelProfile:
    """``kept`` with what the data says today in place of what it said when the model was asked."""
    if not known.listed:
        return kept
    found = {field: getattr(kept, field) for field in known.unknown}
    if not known.profile.effort:
        found["effort"] = kept.effort
    if not known.profile.questions:
        found["questions"] = kept.questions
    return replace(known.profile, **found, known="probe")


def user_file() -> Path:
    """Where people may declare models of their own, in the format of ``models.toml``."""
    return _folder("XDG_CONFIG_HOME", ".config") / "models.toml"


def profiles_file() -> Path:
    """Where answers are remembered: ``arrkit/profiles.json`` in the user's cache folder."""
    return _folder("XDG_CACHE_HOME", ".cache") / "profiles.json"


def _folder(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable, "")
    # The XDG specification: a relative path is invalid and to be ignored.
    return (Path(base) if Path(base).is_absolute() else Path.home() / fallback) / "arrkit"


def recall(base_url: str, model: str, *, today: date | None = None) -> ModelProfile | None:
    """What ``model`` at ``base_url`` answered within the last month, or None."""
    kept = table(_remembered().get(_key(base_url, model)))
    try:
        asked = date.fromisoformat(words(kept.get("probed")))
    except ValueError:
        return None
    today = today or datetime.now(UTC).date()
    if today - asked > REMEMBERED:
        return None
    return replace(_profile(table(kept.get("profile"))), known="probe")


def remember(base_url: str, model: str, profile: ModelProfile, *, today: date | None = None) -> None:
    """Keep what was found. A cache folder that cannot be written means asking again, and no more."""
    kept = dict(_remembered())
    found = {key: value for key, value in asdict(profile).items() if key != "known"}
    found["effort"] = list(profile.effort)
    kept[_key(base_url, model)] = {
        "probed": (today or datetime.now(UTC).date()).isoformat(),
        "profile": found,
    }
    with contextlib.suppress(InputError):
        write_atomic(profiles_file(), pretty_json(dict(sorted(kept.items()))))


def _key(base_url: str, model: str) -> str:
    return f"{base_url.rstrip('/')} {model}"


def _remembered() -> Mapping[str, Json]:
    try:
        return table(json.loads(profiles_file().read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _profile(entry: Mapping[str, Json]) -> ModelProfile:
    """The fields that ``entry`` has in the right type; the rest keep their defaults."""
    given: dict[str, object] = {}
    defaults = ModelProfile()
    for each in fields(ModelProfile):
        value = entry.get(each.name)
        if each.name == "effort":
            given["effort"] = tuple(words(effort) for effort in rows(value))
        elif type(value) is type(getattr(defaults, each.name)):
            given[each.name] = value
    return replace(defaults, **given)  # type: ignore[arg-type]


_Entries = dict[tuple[str, str], Mapping[str, Json]]


@cache
def _shipped_entries() -> _Entries:
    return _entries(files("arrkit.backends.judges").joinpath("models.toml").read_text(encoding="utf-8"))


def _user_entries() -> _Entries:
    path = user_file()
    try:
        return _entries(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(Problem(f"cannot be read: {error}", str(path))) from None


def _entries(text: str) -> _Entries:
    return {
        (transport, words(name)): table(entry)
        for transport, entries in tomllib.loads(text).items()
        for entry in rows(entries)
        for name in rows(table(entry).get("names"))
    }
