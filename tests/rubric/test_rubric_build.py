"""Generate, verify, refine, structure: what is asked, what is kept, what is given up."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest
from scripted import FAILED, FIRST, SECOND, TIE, ScriptedJudge, bright, pair, unreadable

from arrkit.canonical import canonical_json
from arrkit.data.pairs import Label, Task
from arrkit.errors import RunError
from arrkit.judge import session as session_module
from arrkit.judge.protocol import (
    Answer,
    CompareRequest,
    Draft,
    Finding,
    Order,
    Outcome,
    Proposal,
    RefineRequest,
    Side,
    Structure,
    StructuredCriterion,
    StructuredDimension,
    Verdict,
)
from arrkit.judge.session import JudgeSession
from arrkit.rubric.build import (
    FURTHER,
    Fate,
    Recipe,
    Revision,
    assemble,
    critique,
    learn_rubric,
    propose_request,
    supporting,
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(session_module, "RETRY_SECONDS", 0.0)


def learn(judge, pairs, **recipe):
    async def work():
        session = JudgeSession(judge, retries=0)
        return await learn_rubric(session, session, pairs, Task.T2I, Recipe(**recipe))

    return asyncio.run(work())


def swapped(verdict):
    return {Side.FIRST: SECOND, Side.SECOND: FIRST}[verdict.preferred]


def wrong_until(statement):
    """Judges right only under criteria that hold ``statement``."""

    def compare(request: CompareRequest):
        said = [each.statement for dimension in request.dimensions for each in dimension.criteria]
        return bright(request) if statement in said else swapped(bright(request))

    return compare


def proposal(*statements):
    return Proposal(Outcome.OK, tuple(Draft(statement) for statement in statements))


def fates(learned):
    return [each.fate for each in learned.learned]


def test_criteria_that_recover_the_choice_in_both_orders_pass_at_once():
    judge = ScriptedJudge()
    learned = learn(judge, [pair(0), pair(1)])
    assert fates(learned) == [Fate.PASSED, Fate.PASSED]
    assert (learned.counts.seen, learned.counts.passed) == (2, 2)
    [dimension] = learned.dimensions
    [criterion] = dimension.criteria
    assert (criterion.id, criterion.source_pairs) == ("the-image-is-bright", ("pair-0", "pair-1"))
    assert learned.build_pairs == (pair(0).digest[:16], pair(1).digest[:16])


def test_changing_the_labels_leaves_every_verification_request_byte_identical():
    compared = []
    for label in (Label.A, Label.B):
        judge = ScriptedJudge(refines=lambda request: proposal("The image is bright."))
        with pytest.raises(RunError) if label is Label.B else nullcontext():
            learn(judge, [pair(i, label) for i in range(4)])
        compared.append(
            {canonical_json(r.content()) for r in judge.requests if isinstance(r, CompareRequest)}
        )
    assert compared[0] == compared[1]
    assert len(compared[0]) == 8


def test_one_order_right_is_not_enough():
    judge = ScriptedJudge(compares=lambda request: FIRST, refines=lambda request: proposal("Another one."))
    with pytest.raises(RunError, match="none of the 1 pairs"):
        learn(judge, [pair(0)])


def test_failed_criteria_are_refined_with_a_critique():
    judge = ScriptedJudge(
        compares=wrong_until("The image is bright."),
        proposes=lambda request: proposal("The image is blue."),
        refines=lambda request: proposal("The image is bright."),
    )
    learned = learn(judge, [pair(0)])
    assert fates(learned) == [Fate.REFINED]
    [refine] = [request for request in judge.requests if isinstance(request, RefineRequest)]
    assert "preferred the other image" in refine.critique
    assert 'could not be checked: "The image is blue."' in refine.critique
    [criterion] = learned.dimensions[0].criteria
    assert criterion.statement == "The image is bright."


def test_refinement_builds_on_the_best_revision_not_the_last():
    # revision 1 recovers one order, revision 2 none: revision 3 must be asked for with revision 1's drafts
    def compare(request):
        said = request.dimensions[0].criteria[0].statement
        return {"one": FIRST, "none": swapped(bright(request))}.get(said, swapped(bright(request)))

    revisions = iter(["one", "none", "still none"])
    judge = ScriptedJudge(
        compares=compare,
        proposes=lambda request: proposal("zero"),
        refines=lambda request: proposal(next(revisions)),
    )
    with pytest.raises(RunError):
        learn(judge, [pair(0)], max_refine=3)
    asked = [request for request in judge.requests if isinstance(request, RefineRequest)]
    assert [request.drafts[0].statement for request in asked] == ["zero", "one", "one"]
    assert 'did worse: "none"' in asked[2].critique


def test_refinement_ends_after_the_revisions_allowed_or_when_the_judge_repeats_itself():
    endless = iter(range(100))
    judge = ScriptedJudge(
        compares=lambda request: swapped(bright(request)),
        refines=lambda request: proposal(f"number {next(endless)}"),
    )
    with pytest.raises(RunError):
        learn(judge, [pair(0)], max_refine=4)
    assert sum(isinstance(r, RefineRequest) for r in judge.requests) == 4
    judge = ScriptedJudge(
        compares=lambda request: swapped(bright(request)), refines=lambda request: proposal("the same")
    )
    with pytest.raises(RunError):
        learn(judge, [pair(0)], max_refine=4)
    assert sum(isinstance(r, RefineRequest) for r in judge.requests) == 2


def test_a_discarded_pair_is_counted_and_leaves_nothing():
    judge = ScriptedJudge()
    learned = learn(judge, [pair(0), pair(1, Label.B)])
    assert fates(learned) == [Fate.PASSED, Fate.DISCARDED]
    assert learned.counts.discarded == 1
    assert [c.source_pairs for d in learned.dimensions for c in d.criteria] == [("pair-0",)]


def test_a_judge_failure_is_not_a_failed_rubric():
    answers = iter([FAILED])
    judge = ScriptedJudge(compares=lambda request: next(answers, None) or bright(request))
    learned = learn(judge, [pair(0), pair(1)])
    assert fates(learned) == [Fate.PASSED, Fate.PASSED]  # postponed, then tried again

    def out_for_pair_1(request):
        return FAILED if request.prompt == "picture 1" else bright(request)

    learned = learn(ScriptedJudge(compares=out_for_pair_1), [pair(0), pair(1)])
    assert fates(learned) == [Fate.PASSED, Fate.POSTPONED]
    assert learned.counts.postponed == 1
    assert "the judge is out" in learned.learned[1].trouble


def test_an_unreadable_image_postpones_its_pair():
    learned = learn(ScriptedJudge(), [pair(0), pair(1, a=unreadable())])
    assert fates(learned) == [Fate.PASSED, Fate.POSTPONED]
    assert len(learned.build_pairs) == 1


def test_the_preferred_image_is_shown_first_to_the_generator_about_half_the_time():
    sides = [propose_request(pair(i), Recipe()).preferred for i in range(100)]
    assert 30 < sides.count(Side.FIRST) < 70
    for number in range(10):
        request = propose_request(pair(number, Label.B), Recipe())
        shown = request.first if request.preferred is Side.FIRST else request.second
        assert shown.digest == pair(number).b.digest


def revision(*answers, drafts=("one", "two", "three")):
    findings = tuple(Finding(f"c{i}", answer) for i, answer in enumerate(answers, start=1))
    return Revision(
        tuple(Draft(text) for text in drafts), ((Order.AB, Verdict(Outcome.OK, Side.FIRST, findings)),)
    )


def test_only_criteria_that_point_to_the_human_choice_are_kept():
    kept = supporting(revision(Answer.FIRST, Answer.SECOND, Answer.EQUAL), Label.A)
    assert [draft.statement for draft in kept] == ["one"]
    assert supporting(Revision((Draft("one"),), ((Order.AB, FIRST),)), Label.A) == (Draft("one"),)


def test_the_critique_says_of_each_criterion_what_it_did():
    text = critique(revision(Answer.FIRST, Answer.SECOND, Answer.EQUAL), Label.B)
    assert text.splitlines() == [
        "With the preferred image shown second the judge preferred the other image.",
        'misleads: "one"',
        'supports: "two"',
        'does not tell them apart: "three"',
    ]
    tied = Revision((Draft("one"),), ((Order.BA, TIE),))
    assert "saw a tie" in critique(tied, Label.A)


def dimension(name, *criteria):
    return StructuredDimension(name, tuple(StructuredCriterion(text, members) for text, members in criteria))


def test_weights_follow_support_and_positions_are_removed():
    built = assemble(
        [
            dimension(
                "Light", ("It is bright.", (0, 1)), ("The first image is bright.", (2,)), ("It glows.", (3,))
            )
        ],
        [("p1",), ("p2", "p3"), ("p4",), ("p1",)],
        most=5,
    )
    criteria = built[0].criteria
    assert [(each.statement, each.weight) for each in criteria] == [
        ("It is bright.", 1.0),
        ("It glows.", 0.33),
    ]
    assert criteria[0].source_pairs == ("p1", "p2", "p3")


def test_equal_words_get_distinct_ids():
    built = assemble([dimension("A", ("Same!", (0,)), ("Same?", (1,)))], [("p",), ("q",)], most=5)
    assert [each.id for each in built[0].criteria] == ["same", "same-2"]


def test_surplus_dimensions_are_gathered():
    named = [
        dimension(name, (f"{name} is met.", (i,))) for i, name in enumerate(["One", "Two", "Three", "Four"])
    ]
    built = assemble(named, [("p",)] * 4, most=3)
    assert [each.name for each in built] == ["One", "Two", FURTHER]
    assert len(built[2].criteria) == 2
    assert len(assemble(named, [("p",)] * 4, most=4)) == 4


def test_a_judge_that_cannot_structure_ends_the_run():
    judge = ScriptedJudge(structures=lambda request: Structure(Outcome.UNPARSED, detail="prose"))
    with pytest.raises(RunError, match="unparsed: prose"):
        learn(judge, [pair(0)])
