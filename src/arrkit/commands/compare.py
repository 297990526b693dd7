"""``judge compare``: one pair of images, judged in both orders and explained."""

from __future__ import annotations

from dataclasses import dataclass

from arrkit.commands.judges import ChosenJudge, choose_judge
from arrkit.commands.options import CompareOptions, JudgingOptions
from arrkit.concurrency import run_sync
from arrkit.data.images import picture_from_path
from arrkit.data.pairs import ImageUnreadable, Label, PreferencePair, Task
from arrkit.errors import InputError
from arrkit.judge.protocol import Judge, Order, Verdict, compare_request
from arrkit.judge.session import JudgeSession
from arrkit.judge.tally import chosen as named_by
from arrkit.rubric.files import read_rubric, require_task
from arrkit.rubric.model import Rubric


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a judge says of two images: the verdict with A shown first, and with B shown first.

    ``preferred`` is the image that both orders name, a tie where both see one or the two disagree, and None
    where the judge did not decide.
    """

    pair: PreferencePair
    rubric: Rubric | None
    judge: str
    ab: Verdict
    ba: Verdict
    preferred: Label | None


def compare_images(options: CompareOptions, *, judge: Judge | None = None) -> Comparison:
    """Ask a judge which of two images is better, in both orders.

    Raises:
        InputError: an image cannot be read, the rubric is for the other task, or no judge is named.
    """
    task = Task.T2I if options.source is None else Task.EDIT
    rubric = read_rubric(options.rubric) if options.rubric else None
    if rubric is not None:
        require_task(rubric, task, options.rubric)
    pair = PreferencePair(
        id="pair",
        task=task,
        prompt=options.prompt,
        a=picture_from_path(options.a),
        b=picture_from_path(options.b),
        label=Label.TIE,  # nobody has said; a judge is never shown it
        sources=() if options.source is None else (picture_from_path(options.source),),
    )
    for picture in pair.pictures:
        try:
            picture.load()
        except ImageUnreadable as error:
            raise InputError(str(error)) from error
    asking = JudgingOptions()
    chosen = ChosenJudge(judge, asking) if judge else choose_judge(options.judge, asking, findings=True)
    with chosen.at_work() as bench:
        ab, ba = run_sync(_both(bench.session, pair, rubric))
    answers = {named_by(Order.AB, ab), named_by(Order.BA, ba)}
    preferred = None if None in answers else answers.pop() if len(answers) == 1 else Label.TIE
    return Comparison(pair, rubric, chosen.name, ab, ba, preferred)


async def _both(
    session: JudgeSession, pair: PreferencePair, rubric: Rubric | None
) -> tuple[Verdict, Verdict]:
    dimensions = rubric.dimensions if rubric is not None else ()
    try:
        ab = await session.compare(compare_request(pair, Order.AB, dimensions))
        return ab, await session.compare(compare_request(pair, Order.BA, dimensions))
    finally:
        await session.judge.aclose()
