"""Questions in words to a hosted judge: what is sent, what is asked again, what is kept and what is told."""

from __future__ import annotations

import asyncio
import re

import pytest
from fake_calls import FakeCalls
from PIL import Image
from wire_openai import Wire, chat, images_of, system_of, texts_of

from arrkit.bench.asking import JudgeAsker
from arrkit.bench.model import Status
from arrkit.commands.judges import choose_judge
from arrkit.commands.options import JudgingOptions
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.errors import InputError
from arrkit.judge.transport import ErrorKind, Finish, ModelProfile, Reply, TextPart, TransportError

RED = Picture("red.png", lambda: Image.new("RGB", (8, 8), "red"))
BLUE = Picture("blue.png", lambda: Image.new("RGB", (8, 8), "blue"))


WARM = ModelProfile(images=9, structured="schema", temperature=True)


def unreadable() -> Picture:
    def load() -> Image.Image:
        raise ImageUnreadable("gone.png: there is no such file")

    return Picture("gone.png", load)


def number(text: str) -> int:
    found = re.fullmatch(r"mark (\d+)", text)
    if found is None:
        raise ValueError("no mark")
    return int(found[1])


def ask(calls: FakeCalls, *images: Picture, asker: JudgeAsker | None = None, **options):
    return asyncio.run((asker or JudgeAsker(calls)).ask("How many?", images, number, **options))


def test_an_answer_is_read_and_kept():
    calls = FakeCalls(["mark 7"], WARM)
    asker = JudgeAsker(calls)
    assert ask(calls, RED, BLUE, asker=asker, system="You count.") == (Status.SCORED, 7, "mark 7")
    (request,) = calls.requests
    assert request.system == "You count."
    assert [type(part).__name__ for part in request.parts] == ["TextPart", "ImagePart", "ImagePart"]
    assert (request.sampling.temperature, request.schema) == (0.0, None)
    assert len(calls.kept) == 1
    assert asker.record["snapshots"] == {"scripted-1": 1}
    assert asker.record["temperatures"] == [0.0]


def test_images_may_come_first():
    calls = FakeCalls(["mark 7"])
    ask(calls, RED, text_first=False)
    assert [type(part).__name__ for part in calls.requests[0].parts] == ["ImagePart", "TextPart"]


def test_thoughts_before_an_answer_are_no_part_of_it():
    assert ask(FakeCalls(["<think>mark 3</think>\nmark 4"]))[1] == 4


def test_an_unusable_answer_is_asked_for_again_with_what_was_wrong():
    calls = FakeCalls(["seven", "eight", "mark 9"])
    assert ask(calls) == (Status.SCORED, 9, "mark 9")
    first, second, third = calls.requests
    assert [len(each.parts) for each in calls.requests] == [1, 2, 2]
    assert isinstance(second.parts[-1], TextPart)
    assert "seven" in second.parts[-1].text
    assert "no mark" in second.parts[-1].text
    assert "eight" in third.parts[-1].text
    assert "seven" not in third.parts[-1].text
    assert calls.kept[0][0] == first, "kept under the question as first asked"


def test_at_a_temperature_the_same_words_are_asked_again():
    calls = FakeCalls(["seven", "mark 9"], WARM)
    ask(calls, temperature=1.0)
    assert calls.requests[0] == calls.requests[1]
    assert calls.requests[0].sampling.temperature == 1.0


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_attempts_are_bounded_and_the_end_is_unparsed(attempts):
    calls = FakeCalls(lambda _: "seven")
    asker = JudgeAsker(calls)
    assert ask(calls, asker=asker, attempts=attempts) == (Status.UNPARSED, None, "seven")
    assert len(calls.requests) == attempts
    assert calls.kept == []
    assert asker.repeats == attempts - 1


def test_a_cut_answer_gets_twice_the_room_and_then_is_unparsed():
    cut = Reply(Finish.LENGTH, "mark", model="scripted-1")
    calls = FakeCalls([cut, "mark 2"])
    assert ask(calls, room=100)[1] == 2
    assert [each.sampling.max_output_tokens for each in calls.requests] == [100, 200]
    assert ask(FakeCalls([cut, cut]))[0] is Status.UNPARSED


def test_a_model_that_reasons_gets_room_for_it_and_no_temperature_it_refuses():
    profile = ModelProfile(images=2, structured="none", temperature=False, effort=("none", "low"))
    calls = FakeCalls(["mark 2"], model=profile)
    asker = JudgeAsker(calls)
    ask(calls, asker=asker, room=100)
    sampling = calls.requests[0].sampling
    assert (sampling.temperature, sampling.effort, sampling.max_output_tokens) == (None, "low", 4196)
    assert asker.record["temperatures"] == [None]


@pytest.mark.parametrize(
    "answer",
    [
        TransportError(ErrorKind.TRANSIENT, "the line is down"),
        TransportError(ErrorKind.REFUSED, "not allowed"),
        Reply(Finish.REFUSAL, refusal="I will not."),
        Reply(Finish.FILTER, refusal="safety"),
    ],
)
def test_an_outage_and_a_refusal_are_failures_and_never_marks(answer):
    calls = FakeCalls([answer])
    status, value, text = ask(calls)
    assert (status, value) == (Status.FAILED, None)
    assert text
    assert len(calls.requests) == 1


def test_an_image_that_cannot_be_read_is_missing_and_nothing_is_sent():
    calls = FakeCalls([])
    assert ask(calls, RED, unreadable()) == (Status.MISSING, None, "gone.png: there is no such file")
    assert calls.requests == []


def test_more_images_than_the_model_takes_are_refused():
    calls = FakeCalls([], model=ModelProfile(images=1, structured="none"))
    with pytest.raises(InputError, match="takes 1 images at once, and 2 are needed"):
        ask(calls, RED, BLUE)


def test_each_resolved_name_is_told_once():
    replies = [Reply(Finish.STOP, "mark 1", model=name) for name in ("m-1", "m-2", "m-1")]
    calls, met = FakeCalls(replies), []
    asker = JudgeAsker(calls, met=met.append)
    for _ in replies:
        ask(calls, asker=asker)
    assert met == ["m-1", "m-2"]
    assert asker.snapshots == {"m-1": 2, "m-2": 1}


def test_the_size_of_the_images_is_part_of_the_name():
    assert JudgeAsker(FakeCalls([])).name == "fake:model"
    assert JudgeAsker(FakeCalls([]), image_size=512).name == "fake:model?image_size=512"


def test_a_judge_without_words_is_refused_in_one_sentence():
    chosen = choose_judge("shapes", JudgingOptions())
    with pytest.raises(InputError, match="answers no questions in words"), chosen.answering():
        pass


def test_a_hosted_judge_is_asked_over_the_wire_and_never_twice(tmp_path):
    options = JudgingOptions(cache=tmp_path)
    with Wire() as wire:
        wire.respond = lambda seen: chat("mark 5")
        spec = f"vllm:tiny?base_url={wire.base_url}"

        async def session() -> tuple:
            with choose_judge(spec, options).answering() as bench:
                try:
                    answer = await bench.asker.ask("How many?", [RED, BLUE], number, system="You count.")
                    return answer, bench.totals.requests, bench.totals.cached
                finally:
                    await bench.asker.aclose()

        first, again = asyncio.run(session()), asyncio.run(session())
    assert first == ((Status.SCORED, 5, "mark 5"), 1, 0)
    assert again == ((Status.SCORED, 5, "mark 5"), 0, 1)
    (seen,) = wire.requests
    assert system_of(seen) == "You count."
    assert texts_of(seen) == ["How many?"]
    assert len(images_of(seen)) == 2
    assert seen.body["temperature"] == 0.0


def test_equal_questions_at_the_same_time_are_asked_once(tmp_path):
    options = JudgingOptions(cache=tmp_path)

    async def session() -> list[tuple]:
        with choose_judge(f"vllm:tiny?base_url={wire.base_url}", options).answering() as bench:
            try:
                asked = [bench.asker.ask("How many?", [RED], number) for _ in range(12)]
                return await asyncio.gather(*asked, bench.asker.ask("How many else?", [RED], number))
            finally:
                await bench.asker.aclose()

    with Wire(lambda seen: chat("mark 5")) as wire:
        answers = asyncio.run(session())
    assert answers == [(Status.SCORED, 5, "mark 5")] * 13
    assert len(wire.requests) == 2
