"""The prompts of learning weighted criteria: explain a preference, diagnose a failed rubric, extract more."""

from __future__ import annotations

from collections.abc import Sequence

from arrkit.judge.answers.schemas import Schema, diagnosis_schema, explanation_schema, proposal_schema
from arrkit.judge.learning import DiagnoseRequest, ExplainRequest, ExtractRequest
from arrkit.judge.prompts.parts import Form, Prompt, Shown, item, letters, line, sections, skeleton
from arrkit.judge.prompts.wording import Wording
from arrkit.judge.protocol import Draft, ProposeRequest, Side
from arrkit.judge.transport import Part, TextPart


def explain_prompt(request: ExplainRequest, shown: Shown, wording: Wording, form: Form) -> Prompt:
    """Three steps in one answer: inspection, explanation, statements that can be used again."""
    asked = request.proposed
    schema = explanation_schema(asked.count)
    shape = wording.learning.explain_shape[asked.task]
    system = _author(asked, shape, schema, wording, form)
    closing = wording.learning.explain_closing[asked.task]
    return Prompt(system, (*_seen(asked, shown, wording), _closing(closing, asked)), schema, "criteria")


def diagnose_prompt(request: DiagnoseRequest, shown: Shown, wording: Wording, form: Form) -> Prompt:
    """What the rubric misses on a pair that it ranks wrongly."""
    asked, said = request.proposed, wording.learning
    schema = diagnosis_schema()
    system = sections(
        said.diagnose_role[asked.task],
        said.diagnose_rules,
        wording.text_is_evidence[asked.task],
        _answer(said.diagnose_shape[asked.task], schema, wording, form),
    )
    tried = sections(_rubric(request.rubric, wording), f"{said.report[asked.task]}\n{request.report.strip()}")
    parts = (
        *_seen(asked, shown, wording),
        TextPart(tried),
        _closing(said.diagnose_closing[asked.task], asked),
    )
    return Prompt(system, parts, schema, "diagnosis")


def extract_prompt(request: ExtractRequest, shown: Shown, wording: Wording, form: Form) -> Prompt:
    """New statements for what a diagnosis names."""
    asked, said = request.proposed, wording.learning
    schema = proposal_schema(asked.count)
    system = _author(asked, wording.proposal_shape[asked.task], schema, wording, form)
    found = said.diagnosis.format(
        dimension=line(request.diagnosis.dimension) or "-", missing=line(request.diagnosis.statement)
    )
    known = sections(_rubric(request.rubric, wording), found)
    parts = (
        *_seen(asked, shown, wording),
        TextPart(known),
        _closing(said.extract_closing[asked.task], asked),
    )
    return Prompt(system, parts, schema, "criteria")


def _author(asked: ProposeRequest, shape: str, schema: Schema, wording: Wording, form: Form) -> str:
    task = asked.task
    return sections(
        wording.author_role[task],
        f"{wording.criterion_rules[task]}\n{wording.criterion_aims[task]}",
        wording.learning.reuse[task],
        wording.text_is_evidence[task],
        _answer(shape, schema, wording, form),
    )


def _seen(asked: ProposeRequest, shown: Shown, wording: Wording) -> list[Part]:
    return item(asked.prompt, asked.task, shown, letters(asked.task, wording, 2), wording)


def _rubric(drafts: Sequence[Draft], wording: Wording) -> str:
    pool = [
        wording.pool_line.format(number=number, statement=line(draft.statement))
        for number, draft in enumerate(drafts, start=1)
    ]
    return "\n".join([wording.learning.rubric_so_far, *pool])


def _closing(text: str, asked: ProposeRequest) -> TextPart:
    letter = "A" if asked.preferred is Side.FIRST else "B"
    return TextPart(text.format(letter=letter, count=asked.count))


def _answer(shape: str, schema: Schema, wording: Wording, form: Form) -> str:
    example = skeleton(schema, wording) if form is Form.SKELETON else ""
    return sections(f"{wording.answer_title}\n{shape}", example)
