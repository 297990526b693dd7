"""Your own prompts: who wins, what a tie is, and that a lost answer is neither."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from bright_judge import BrightJudge
from PIL import Image

from arrkit.backends.registry import make_judge
from arrkit.backends.spec import Spec
from arrkit.bench.model import Mode, PairedBenchmark, Score, Status, Unit
from arrkit.bench.prompts import PromptsBenchmark, make
from arrkit.data.pairs import ImageUnreadable, Picture, Task
from arrkit.errors import InputError
from arrkit.judge.protocol import Answer, Finding, Outcome, Side, Verdict
from arrkit.judge.session import JudgeSession


def picture(value: int, *, name: str = "picture") -> Picture:
    return Picture(name, lambda: Image.new("RGB", (4, 4), (value, 0, 0)))


def unreadable() -> Picture:
    def load() -> Image.Image:
        raise ImageUnreadable("torn.png is no image")

    return Picture("torn.png", load)


@dataclass
class Saying:
    """A judge that answers from a list, in the order in which it is asked."""

    verdicts: list[Verdict]
    name: str = "saying"
    asked: list[str] = field(default_factory=list)

    async def compare(self, request) -> Verdict:
        self.asked.append(request.prompt)
        return self.verdicts[len(self.asked) - 1]

    async def aclose(self) -> None: ...


def benchmark(tmp_path, rows="a cat\na dog\n", name="prompts.txt", **options) -> PromptsBenchmark:
    file = tmp_path / name
    file.write_text(rows)
    given = {"rubric": "", "task": "", "images": 1, **options}
    return make(Spec("prompts"), data=str(file), **given)


def judged(bench: PromptsBenchmark, judge, pairs) -> list[Unit]:
    async def work() -> list[Unit]:
        scorer = bench.pair_scorer(JudgeSession(judge, retries=0))
        found = []
        for item, (new, old) in zip(bench.items(), pairs, strict=True):
            found += await scorer.score(item, new, old)
        return found

    return asyncio.run(work())


def score(bench: PromptsBenchmark, units, name="win-rate", mode=Mode.OFFICIAL) -> Score:
    table = bench.aggregate(bench.items(), units)
    return next(each for each in table if each.name.endswith(name) and each.mode is mode)


def test_a_win_in_both_orders_is_one_and_the_same_image_a_tie(tmp_path):
    bench = benchmark(tmp_path, "a\nb\nc\n")
    pairs = [([picture(9)], [picture(1)]), ([picture(1)], [picture(9)]), ([picture(5)], [picture(5)])]
    judge = BrightJudge()
    units = judged(bench, judge, pairs)
    assert [unit.value for unit in units] == [1.0, 0.0, 0.5]
    assert judge.asked == 4  # the pair of equal images is not shown
    found = score(bench, units)
    assert (found.value, found.expected, found.scored, found.headline) == (0.5, 3, 3, True)
    assert found.low < 0.5 < found.high


@pytest.mark.parametrize("slot", list(Side))
def test_a_judge_that_looks_at_the_place_alone_comes_out_even_and_inconsistent(tmp_path, slot):
    bench = benchmark(tmp_path)
    units = judged(bench, BrightJudge(slot=slot), [([picture(9)], [picture(1)])] * 2)
    assert [unit.value for unit in units] == [0.5, 0.5]
    assert score(bench, units, "consistency").value == 0.0


@pytest.mark.parametrize(
    ("end", "status"),
    [(Outcome.UNPARSED, Status.UNPARSED), (Outcome.REFUSED, Status.FAILED), (Outcome.ABSTAIN, Status.FAILED)],
)
def test_an_order_without_an_answer_leaves_the_pair_out_and_strict_counts_it_lost(tmp_path, end, status):
    won = [Verdict(Outcome.OK, Side.FIRST), Verdict(Outcome.OK, Side.SECOND)]
    judge = Saying([*won, Verdict(Outcome.OK, Side.FIRST), Verdict(end, detail="too dark")])
    bench = benchmark(tmp_path)
    units = judged(bench, judge, [([picture(9)], [picture(1)]), ([picture(8)], [picture(2)])])
    assert units[1].status is status
    assert "too dark" in str(units[1].answer)
    assert (score(bench, units).value, score(bench, units, mode=Mode.STRICT).value) == (1.0, 0.5)
    assert (score(bench, units).unparsed, score(bench, units).expected) == (1, 2)


def test_a_pair_that_lacks_an_image_is_missing_and_never_shown(tmp_path):
    bench = benchmark(tmp_path, "a\nb\nc\n")
    judge = BrightJudge()
    pairs = [([None], [picture(1)]), ([picture(1)], [None]), ([picture(1)], [unreadable()])]
    units = judged(bench, judge, pairs)
    assert [unit.status for unit in units] == [Status.MISSING] * 3
    assert [unit.answer["why"].split(" ")[1] for unit in units] == ["the", "the", "is"]
    assert judge.asked == 0
    assert (score(bench, units).value, score(bench, units).missing) == (None, 3)


def test_under_a_rubric_each_criterion_has_a_rate_of_its_own(tmp_path):
    bench = benchmark(tmp_path, "a red circle left of a blue square\n", rubric="shapes-t2i")
    judge = make_judge("shapes")
    units = judged(bench, judge, [([picture(200)], [picture(20)])])
    names = {each.name for each in bench.aggregate(bench.items(), units)}
    assert bench.metric == f"prompts[{bench.rubric.name}]"
    assert sum("/criterion/" in name for name in names) == len(list(bench.rubric.criteria()))
    assert bench.identity["rubric"].startswith("sha256:")


def test_a_criterion_is_won_in_the_images_own_terms_and_left_out_where_it_cannot_be_told(tmp_path):
    bench = benchmark(tmp_path, "a\nb\nc\n", rubric="shapes-t2i")
    name, other = (each.id for each in list(bench.rubric.criteria())[:2])

    def saying(side: Side, answer: Answer) -> Verdict:
        return Verdict(Outcome.OK, side, (Finding(name, answer), Finding(other, Answer.CANNOT_TELL)))

    won = [saying(Side.FIRST, Answer.FIRST), saying(Side.SECOND, Answer.SECOND)]
    lost = [saying(Side.SECOND, Answer.SECOND), saying(Side.FIRST, Answer.FIRST)]
    pairs = [([picture(9)], [picture(1)]), ([picture(1)], [picture(9)]), ([None], [picture(1)])]
    units = judged(bench, Saying([*won, *lost]), pairs)
    assert score(bench, units[:1], f"criterion/{name}").value == 1.0
    assert score(bench, units, f"criterion/{name}").value == 0.5
    assert score(bench, units, f"criterion/{name}", Mode.STRICT).value == pytest.approx(1 / 3)
    assert score(bench, units, f"criterion/{other}").value is None
    assert score(bench, units[:2], f"criterion/{name}", Mode.STRICT).value == pytest.approx(1 / 3)
    same = judged(bench, Saying([]), [([picture(5)], [picture(5)])] * 3)
    assert score(bench, same, f"criterion/{other}", Mode.STRICT).value == 0.5


def test_metadata_with_few_values_are_groups(tmp_path):
    rows = [{"prompt": f"p{n}", "kind": "ab"[n % 2], "serial": n, "same": "x"} for n in range(6)]
    bench = benchmark(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "rows.jsonl")
    assert [item.groups for item in bench.items()] == [{"kind": "ab"[n % 2]} for n in range(6)]
    pairs = [([picture(9)], [picture(1)]) if n % 2 else ([picture(1)], [picture(9)]) for n in range(6)]
    units = judged(bench, BrightJudge(), pairs)
    assert (score(bench, units, "kind/a").value, score(bench, units, "kind/b").value) == (0.0, 1.0)


def test_rows_with_sources_are_edits_and_the_judge_sees_the_source(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "one.png")
    rows = json.dumps({"instruction": "Make it red.", "source": "one.png"}) + "\n"
    bench = benchmark(tmp_path, rows, "edits.jsonl")
    assert bench.task is Task.EDIT
    seen = []

    class Looking(BrightJudge):
        async def compare(self, request) -> Verdict:
            seen.append((request.task, len(request.sources)))
            return await super().compare(request)

    judged(bench, Looking(), [([picture(9)], [picture(1)])])
    assert seen == [(Task.EDIT, 1)] * 2


def test_what_it_cannot_do_it_says(tmp_path):
    bench = benchmark(tmp_path)
    assert isinstance(bench, PairedBenchmark)
    with pytest.raises(InputError, match="images of one model"):
        bench.scorer(None)
    with pytest.raises(InputError, match="no prompts are named"):
        make(Spec("prompts"), data="", rubric="", task="", images=1).items()
    with pytest.raises(InputError, match="edit"):
        _ = benchmark(tmp_path, rubric="shapes-edit").rubric
