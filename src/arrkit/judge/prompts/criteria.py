"""The prompts that write criteria: from a preference, after a failure, from a prompt alone, into a rubric."""

from __future__ import annotations

from arrkit.data.pairs import Task
from arrkit.judge.answers.schemas import Schema, proposal_schema, structure_schema
from arrkit.judge.prompts.parts import Form, Prompt, Shown, item, letters, line, sections, skeleton
from arrkit.judge.prompts.wording import Wording
from arrkit.judge.protocol import (
    Draft,
    ProposeRequest,
    RefineRequest,
    Side,
    StructureRequest,
    ZeroShotRequest,
)
from arrkit.judge.transport import TextPart


def propose_prompt(request: ProposeRequest, shown: Shown, wording: Wording, form: Form) -> Prompt:
    """Criteria that explain a known preference."""
    schema = proposal_schema(request.count)
    closing = wording.propose_closing[request.task].format(
        letter=_letter(request.preferred), count=request.count
    )
    parts = item(request.prompt, request.task, shown, letters(request.task, wording, 2), wording)
    system = _author(wording.author_role[request.task], request.task, schema, wording, form)
    return Prompt(system, (*parts, TextPart(closing)), schema, "criteria")


def refine_prompt(request: RefineRequest, shown: Shown, wording: Wording, form: Form) -> Prompt:
    """Better criteria, with the report on those that failed. Its prefix is that of :func:`propose_prompt`."""
    proposed = request.proposed
    schema = proposal_schema(proposed.count)
    closing = wording.refine_closing[proposed.task].format(
        letter=_letter(proposed.preferred), count=proposed.count
    )
    tried = [wording.refine_tried, *_numbered(request.drafts, wording)]
    text = sections(
        "\n".join(tried), f"{wording.refine_report[proposed.task]}\n{request.critique.strip()}", closing
    )
    parts = item(proposed.prompt, proposed.task, shown, letters(proposed.task, wording, 2), wording)
    system = _author(wording.author_role[proposed.task], proposed.task, schema, wording, form)
    return Prompt(system, (*parts, TextPart(text)), schema, "criteria")


def zero_shot_prompt(request: ZeroShotRequest, wording: Wording, form: Form) -> Prompt:
    """Criteria for a prompt of which no image has been seen."""
    schema = proposal_schema(request.count)
    closing = wording.zero_shot_closing[request.task].format(count=request.count)
    parts = item(request.prompt, request.task, Shown(), [], wording)
    system = _author(wording.author_blind_role[request.task], request.task, schema, wording, form)
    return Prompt(system, (*parts, TextPart(closing)), schema, "criteria")


def structure_prompt(request: StructureRequest, wording: Wording, form: Form) -> Prompt:
    """A pool of drafts, numbered from 1, to be gathered into dimensions."""
    schema = structure_schema(len(request.pool), request.max_dimensions)
    system = sections(
        wording.editor_role[request.task],
        wording.structure_rules[request.task],
        _answer(wording.structure_shape, schema, wording, form),
    )
    closing = wording.structure_closing.format(count=len(request.pool), dimensions=request.max_dimensions)
    pool = "\n".join(_numbered(request.pool, wording))
    return Prompt(system, (TextPart(pool), TextPart(closing)), schema, "rubric")


def _author(role: str, task: Task, schema: Schema, wording: Wording, form: Form) -> str:
    rules = f"{wording.criterion_rules[task]}\n{wording.criterion_aims[task]}"
    answer = _answer(wording.proposal_shape[task], schema, wording, form)
    return sections(role, rules, wording.text_is_evidence[task], answer)


def _answer(shape: str, schema: Schema, wording: Wording, form: Form) -> str:
    example = skeleton(schema, wording) if form is Form.SKELETON else ""
    return sections(f"{wording.answer_title}\n{shape}", example)


def _numbered(drafts: tuple[Draft, ...], wording: Wording) -> list[str]:
    lines = []
    for number, draft in enumerate(drafts, start=1):
        lines.append(wording.pool_line.format(number=number, statement=line(draft.statement)))
        if draft.guidance.strip():
            lines.append(wording.check_line.format(guidance=line(draft.guidance)))
        if draft.dimension.strip():
            lines.append(wording.dimension_hint.format(dimension=line(draft.dimension)))
    return lines


def _letter(side: Side) -> str:
    return "A" if side is Side.FIRST else "B"
