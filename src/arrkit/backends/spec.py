"""Spec strings: ``NAME[:MODEL][?key=value&...]`` names one plug-in, its model and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote

from arrkit.errors import InputError


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed spec: ``vllm:Qwen/Qwen3-VL-8B-Instruct?base_url=http://localhost:8000/v1``.

    ``model`` is empty where none was given. ``options`` are the texts as written, percent-decoded.
    """

    name: str
    model: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read a spec; raises :class:`~arrkit.errors.InputError` where it has no name or a broken option."""
        head, mark, query = text.strip().partition("?")
        name, _, model = head.partition(":")
        if not name:
            raise InputError(f'"{text}" names no plug-in', hint="Write NAME[:MODEL][?key=value&...].")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(mark and query))
        except ValueError:
            raise InputError(
                f'"?{query}" in "{text}" is not a list of options', hint="Write ?key=value&key=value."
            ) from None
        options: dict[str, str] = {}
        for key, value in pairs:
            if key in options:
                raise InputError(f'option "{key}" stands twice in "{text}"')
            options[key] = value
        return cls(name, model, options)

    def __str__(self) -> str:
        """The canonical text: options in alphabetical order."""
        head = f"{self.name}:{self.model}" if self.model else self.name
        query = "&".join(
            f"{quote(key, safe='')}={quote(value, safe='/:@,')}"
            for key, value in sorted(self.options.items())
        )
        return f"{head}?{query}" if query else head
