"""What all prompts are made of: the static text in front, the item behind it, images under their labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

from arrkit.canonical import Json
from arrkit.data.pairs import Task
from arrkit.judge.answers.schemas import LETTERS, Schema
from arrkit.judge.prompts.chinese import CHINESE
from arrkit.judge.prompts.english import ENGLISH
from arrkit.judge.prompts.wording import Wording
from arrkit.judge.transport import GenerateRequest, ImagePart, Part, Sampling, TextPart
from arrkit.rubric.model import Criterion, Dimension

WORDINGS: Mapping[str, Wording] = {wording.language: wording for wording in (ENGLISH, CHINESE)}


class Form(StrEnum):
    """How an answer is asked for.

    ``object``: JSON whose schema the endpoint enforces, so the prompt tells only what the fields mean.
    ``skeleton``: JSON whose form the prompt must show. ``word``: one word, of which the probability is
    looked at. ``questions``: the questions of a decision endpoint, which stand outside the prompt.
    """

    OBJECT = "object"
    SKELETON = "skeleton"
    WORD = "word"
    QUESTIONS = "questions"


Content = ImagePart | tuple[str | ImagePart, ...]
"""A candidate as it is sent: one encoded image, or text and encoded images in order."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one request shows: the candidates in the order shown, and the images that belong to the prompt."""

    candidates: tuple[Content, ...] = ()
    sources: tuple[ImagePart, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that one request says: the static prefix, the item, and the schema and labels of the answer.

    ``system`` depends on task, rubric and form alone, so it is byte-equal over pairs.
    """

    system: str
    parts: tuple[Part, ...]
    schema: Schema | None = None
    schema_name: str = "answer"
    labels: tuple[str, ...] = ()

    def request(self, sampling: Sampling, *, structured: str) -> GenerateRequest:
        """The request that says so. An endpoint whose profile says ``none`` is sent no schema."""
        schema = None if structured == "none" else self.schema
        return GenerateRequest(self.system, self.parts, schema, self.schema_name, self.labels, sampling)


def repair_request(
    request: GenerateRequest, answer: str, problem: str, wording: Wording, most: int = 4000
) -> GenerateRequest:
    """The same request, followed by its unusable answer (its first ``most`` characters) and what is wrong."""
    quoted = fenced(answer[:most], "answer")
    said = [wording.repair_answer.format(answer=quoted)] if quoted.strip() else []
    text = "\n\n".join([*said, wording.repair.format(problem=problem.rstrip("."))])
    return replace(request, parts=(*request.parts, TextPart(text)))


def sections(*texts: str) -> str:
    """The texts that are not empty, a blank line between them."""
    return "\n\n".join(text for text in texts if text)


def listed(title: str, lines: Iterable[str]) -> str:
    """A title with one point for each line."""
    return "\n".join([title, *(f"- {line}" for line in lines)])


def item(prompt: str, task: Task, shown: Shown, labels: Sequence[str], wording: Wording) -> list[Part]:
    """The prompt, then each image behind the text that names it; the source images first."""
    count = len(shown.sources)
    said = _called(fenced(prompt.strip(), "prompt"), count, wording)
    parts: list[Part] = [TextPart(wording.prompt_block[task].format(prompt=said))]
    for number, source in enumerate(shown.sources, start=1):
        label = wording.source_image if count == 1 else wording.source_image_numbered.format(number=number)
        parts += [TextPart(label), source]
    for label, content in zip(labels, shown.candidates, strict=True):
        if isinstance(content, ImagePart):
            parts += [TextPart(label), content]
        else:
            # The roles and rules of a task whose candidates are images say nothing of response marks.
            named = label if task is Task.INTERLEAVED else f"{label}\n{wording.made_of_parts}"
            parts += _passage(named, content)
    return parts


def _called(prompt: str, count: int, wording: Wording) -> str:
    """``prompt`` with ``<image 2>`` called as the second of ``count`` source images is."""

    def name(found: re.Match[str]) -> str:
        number = int(found[1])
        if not 1 <= number <= count:
            return found[0]
        return wording.source_mark if count == 1 else wording.source_mark_numbered.format(number=number)

    return re.sub(r"<image (\d{1,4})>", name, prompt)


def _passage(label: str, content: Sequence[str | ImagePart]) -> list[Part]:
    """Text and images in order, all of it between marks that its text cannot close."""
    parts: list[Part] = []
    lines = [label, "<response>"]
    for part in content:
        if isinstance(part, str):
            lines += [fenced(part.strip(), "response")] if part.strip() else []
        else:
            parts += [*([TextPart("\n".join(lines))] if lines else []), part]
            lines = []
    return [*parts, TextPart("\n".join([*lines, "</response>"]))]


def letters(task: Task, wording: Wording, count: int) -> list[str]:
    """The labels of ``count`` candidates, in the order shown."""
    return [wording.image[task].format(letter=letter) for letter in LETTERS[:count]]


def rubric_text(dimensions: Sequence[Dimension], wording: Wording) -> str:
    """The rubric as a judge reads it. Weights are left out where they are all the same."""
    criteria = [criterion for dimension in dimensions for criterion in dimension.criteria]
    weighted = len({criterion.weight for criterion in criteria}) > 1
    blocks = [f"{wording.rubric_title}\n{wording.weights}" if weighted else wording.rubric_title]
    for dimension in dimensions:
        about = f"{line(dimension.name)}: {line(dimension.description)}".rstrip(": ")
        lines = [f"[{about}]"]
        for criterion in dimension.criteria:
            form = wording.weighted_line if weighted else wording.criterion_line
            statement = line(criterion.statement)
            lines.append(form.format(id=criterion.id, weight=f"{criterion.weight:g}", statement=statement))
            if criterion.guidance.strip():
                lines.append(wording.check_line.format(guidance=line(criterion.guidance)))
        blocks.append("\n".join(lines))
    return sections(*blocks)


def criterion_text(criterion: Criterion, wording: Wording) -> str:
    """One criterion by itself, for a question of its own."""
    check = wording.check_line.strip().format(guidance=line(criterion.guidance))
    return (
        f"{line(criterion.statement)}\n{check}" if criterion.guidance.strip() else line(criterion.statement)
    )


def skeleton(schema: Schema, wording: Wording) -> str:
    """The form of the JSON to write, for endpoints that enforce none."""
    outline = json.dumps(_outline(schema), indent=1, ensure_ascii=False)
    # Numbers stand without the quotes that a string in their place has.
    numbers = re.sub(r'"<(.*?)>"', r"<\1>", outline)
    return f"{wording.exactly_this}\n{numbers}"


def line(text: str) -> str:
    """``text`` on one line."""
    return " ".join(text.split())


def fenced(text: str, mark: str) -> str:
    """``text`` to be put between marks, which it cannot close."""
    return re.sub(rf"<(?=/?{mark}\b)", "‹", text, flags=re.IGNORECASE)


def _outline(schema: Schema) -> Json:
    if "properties" in schema:
        fields = cast(Schema, schema["properties"])
        return {name: _outline(cast(Schema, field)) for name, field in fields.items()}
    if "items" in schema:
        return [_outline(cast(Schema, schema["items"]))]
    if "enum" in schema:
        return " | ".join(cast(list[str], schema["enum"]))
    if schema["type"] == "string":
        return "..."
    null = " | null" if "null" in cast(list[str], schema["type"]) else ""
    return f"<integer {schema['minimum']} to {schema['maximum']}{null}>"
