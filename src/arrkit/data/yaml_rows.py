"""Rows of a YAML list, composed and constructed one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode

from arrkit.data.rows import BrokenRow, Row

_MOST_NODES = 100_000
_LIST_HINT = "Begin each pair with a dash."


class _Loader(yaml.SafeLoader):
    """Plain values only, and in a row no more of them than :data:`_MOST_NODES`, aliases written out.

    A few lines of aliases to lists of aliases would else stand for gigabytes. Long text counts by its length.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []
        self.nodes = 0  # of the row so far
        self.sizes: dict[str, int] = {}  # of what stands behind an anchor

    def pass_event(self) -> None:
        """Go past the next event."""
        self.get_event()  # type: ignore[no-untyped-call]

    def line_of_next(self) -> int:
        """The line where the next event begins, from 1."""
        line: int = self.peek_event().start_mark.line  # type: ignore[no-untyped-call]
        return line + 1

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        before = self.nodes
        anchor: str | None = getattr(event, "anchor", None)
        if isinstance(event, AliasEvent) and anchor is not None:
            if anchor in self.anchors and anchor not in self.sizes:
                raise self.refused(f"*{anchor} stands within itself")
            self.nodes += self.sizes.get(anchor, 0)
        self.nodes += 1 + (len(event.value) // 4096 if isinstance(event, ScalarEvent) else 0)
        if self.nodes > _MOST_NODES:
            raise self.refused(f"a row of more than {_MOST_NODES} values")
        node = super().compose_node(parent, index)
        if isinstance(event, AliasEvent):
            return node
        if anchor is not None:
            self.sizes[anchor] = self.nodes - before
        if isinstance(node, MappingNode):
            self.note_repeated(node)
        return node

    def refused(self, what: str) -> ComposerError:
        return ComposerError(None, None, what, self.peek_event().start_mark)  # type: ignore[no-untyped-call]

    def note_repeated(self, node: MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                if key.value in seen:
                    self.repeated.append(key.value)
                seen.add(key.value)


def read_yaml(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """The items of the one list that a YAML file holds."""
    number = 0
    line = 1
    loader: _Loader | None = None
    try:
        loader = _Loader(stream)
        loader.pass_event()  # the stream's start
        if not loader.check_event(DocumentStartEvent):
            return
        loader.pass_event()
        if not loader.check_event(SequenceStartEvent):
            line = loader.line_of_next()
            yield BrokenRow(1, line, "a YAML file must hold one list of rows", _LIST_HINT, last=True)
            return
        loader.pass_event()
        while not loader.check_event(SequenceEndEvent):
            line = loader.line_of_next()
            number += 1
            loader.nodes = 0
            loader.repeated.clear()
            node = loader.compose_node(None, 0)
            yield _constructed(loader, node, number, line)
        loader.pass_event()  # the list's end
        loader.pass_event()  # the document's end
        if not loader.check_event(StreamEndEvent):
            line = loader.line_of_next()
            yield BrokenRow(number + 1, line, "a YAML file must hold one document", last=True)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        yield BrokenRow(
            max(number, 1), line if mark is None else mark.line + 1, f"not YAML: {error.problem}", last=True
        )
    except yaml.YAMLError as error:
        yield BrokenRow(max(number, 1), line, f"not YAML: {' '.join(str(error).split())}", last=True)
    except RecursionError:
        yield BrokenRow(max(number, 1), line, "the row is nested too deeply", last=True)
    finally:
        if loader is not None:
            loader.dispose()


def _constructed(loader: _Loader, node: Node | None, number: int, line: int) -> Row | BrokenRow:
    try:
        value = loader.construct_document(node)
    except ConstructorError as error:
        at = line if error.problem_mark is None else error.problem_mark.line + 1
        return BrokenRow(number, at, f"not plain YAML: {error.problem}")
    except ValueError as error:
        return BrokenRow(number, line, f"not plain YAML: {error}")
    return Row(number, line, value, tuple(dict.fromkeys(loader.repeated)))
