"""The prompts of the protocols: a checklist from a prompt alone, a plan of what to compare a pair by."""

from __future__ import annotations

from arrkit.judge.answers.schemas import Schema, plan_schema, proposal_schema
from arrkit.judge.prompts.parts import Form, Prompt, Shown, item, letters, listed, sections, skeleton
from arrkit.judge.prompts.wording import Wording
from arrkit.judge.protocols.requests import ChecklistRequest, PlanRequest
from arrkit.judge.transport import TextPart


def checklist_prompt(request: ChecklistRequest, wording: Wording, form: Form) -> Prompt:
    """Items to tick off on any image for a prompt, of which none has been seen."""
    said, task = wording.planning, request.task
    schema = proposal_schema(request.count)
    system = sections(
        said.checklist_role[task],
        f"{said.checklist_rules[task]}\n{said.checklist_aims[task]}",
        wording.text_is_evidence[task],
        _answer(said.checklist_shape, schema, wording, form),
    )
    parts = item(request.prompt, task, Shown(), [], wording)
    closing = TextPart(said.checklist_closing[task].format(count=request.count))
    return Prompt(system, (*parts, closing), schema, "checklist")


def plan_prompt(request: PlanRequest, shown: Shown, wording: Wording, form: Form) -> Prompt:
    """Where two images differ in ways that matter; their letters are places, as in a comparison."""
    said, task = wording.planning, request.task
    schema = plan_schema(request.count)
    seeing = [
        wording.seeing[task],
        wording.aims[task],
        wording.unbiased[task],
        wording.text_is_evidence[task],
    ]
    system = sections(
        said.plan_role[task],
        listed(wording.judging, seeing),
        said.plan_rules[task],
        _answer(said.plan_shape[task], schema, wording, form),
    )
    parts = item(request.prompt, task, shown, letters(task, wording, 2), wording)
    closing = TextPart(said.plan_closing[task].format(count=request.count))
    return Prompt(system, (*parts, closing), schema, "plan")


def _answer(shape: str, schema: Schema, wording: Wording, form: Form) -> str:
    example = skeleton(schema, wording) if form is Form.SKELETON else ""
    return sections(f"{wording.answer_title}\n{shape}", example)
