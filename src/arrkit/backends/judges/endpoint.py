"""Whom a transport talks to, and what may be repeated of what was said there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST = 300
_ENCODED = re.compile(r"(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/_=-]{80,}")
# What keys look like, also half hidden as a server quotes them back ("sk-proj-ab****cd").
_KEY_LIKE = re.compile(r"\b(?:sk|sess|pk|gsk|hf)[-_][\w*.-]{6,}|\bAIza[\w*-]{6,}|(?i:\bbearer\s+)\S+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom one talks to, for what is said to people.

    ``secrets`` are taken out of every message. ``key`` is the environment variable that a key comes from,
    ``serve`` the command that starts the server, empty where it is not the user's own.
    """

    host: str
    model: str
    key: str = ""
    serve: str = ""
    secrets: tuple[str, ...] = ()

    def clean(self, message: str, texts: Sequence[str] = ()) -> str:
        """``message`` in one line, without keys, without encoded images, and without the request's words.

        Servers quote the request in their errors; from where a line of ``texts`` begins, all is dropped.
        """
        for secret in self.secrets:
            message = message.replace(secret, "[key]")
        message = _KEY_LIKE.sub("[key]", message)
        for text in texts:
            for line in text.splitlines():
                start = line.strip()[:24]
                if len(start) >= 8 and (at := message.find(start)) >= 0:
                    message = f"{message[:at]}…"
        message = " ".join(_ENCODED.sub("…", message).split())
        return message if len(message) <= _LONGEST else f"{message[: _LONGEST - 1]}…"
