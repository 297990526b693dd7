"""Rows of a YAML list, composed and constructed one at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import IO

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.events import AliasEvent, DocumentStartEvent, SequenceEndEvent, SequenceStartEvent, StreamEndEvent
from yaml.nodes import MappingNode, Node, ScalarNode

from arrkit.data.rows import BrokenRow, Row

_LIST_HINT = "Begin each pair with a dash."


class _Loader(yaml.SafeLoader):
    """Plain values only. Aliases may stand for plain values, not for lists or objects.

    An alias to a list of aliases is a way to write gigabytes in a few lines, and keeping every anchored row
    would let memory grow with the file.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []

    def skip(self) -> None:
        """Go past the next event."""
        self.get_event()  # type: ignore[no-untyped-call]

    def line(self) -> int:
        """The line where the next event begins, from 1."""
        line: int = self.peek_event().start_mark.line  # type: ignore[no-untyped-call]
        return line + 1

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            if event.anchor in self.anchors and not isinstance(self.anchors[event.anchor], ScalarNode):
                raise ComposerError(
                    None, None, f"alias *{event.anchor} stands for a list or an object", event.start_mark
                )
        node = super().compose_node(parent, index)
        if not isinstance(node, ScalarNode):
            self.anchors = {name: kept for name, kept in self.anchors.items() if isinstance(kept, ScalarNode)}
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                if key.value in seen:
                    self.repeated.append(key.value)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(stream: IO[bytes]) -> Iterator[Row | BrokenRow]:
    """The items of the one list that a YAML file holds."""
    number = 0
    line = 1
    loader: _Loader | None = None
    try:
        loader = _Loader(stream)
        loader.skip()  # the stream's start
        if not loader.check_event(DocumentStartEvent):
            return
        loader.skip()
        if not loader.check_event(SequenceStartEvent):
            line = loader.line()
            yield BrokenRow(1, line, "a YAML file must hold one list of rows", _LIST_HINT, last=True)
            return
        loader.skip()
        while not loader.check_event(SequenceEndEvent):
            line = loader.line()
            number += 1
            node = loader.compose_node(None, 0)
            yield _constructed(loader, node, number, line)
        loader.skip()  # the list's end
        loader.skip()  # the document's end
        if not loader.check_event(StreamEndEvent):
            line = loader.line()
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
    loader.repeated.clear()
    try:
        value = loader.construct_document(node)
    except ConstructorError as error:
        at = line if error.problem_mark is None else error.problem_mark.line + 1
        return BrokenRow(number, at, f"not plain YAML: {error.problem}")
    except ValueError as error:
        return BrokenRow(number, line, f"not plain YAML: {error}")
    return Row(number, line, value, tuple(dict.fromkeys(loader.repeated)))
