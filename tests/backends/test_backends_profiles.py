from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from loopback import Action
from wire_openai import Wire, chat, failure, images_of, throttled

from arrkit.backends.judges import profiles
from arrkit.backends.judges.profiles import PROBED, look_up, profiles_file, recall, remember, user_file
from arrkit.backends.registry import make_judge
from arrkit.errors import InputError
from arrkit.judge.transport import ErrorKind, GenerateRequest, ModelProfile, TextPart, TransportError


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as server:
        yield server


def asked(wire: Wire, name: str = "vllm", model: str = "my-model", options: str = "") -> ModelProfile:
    async def run() -> ModelProfile:
        transport = make_judge(f"{name}:{model}?base_url={wire.base_url}{options}")
        try:
            found = await asyncio.gather(*(transport.profile() for _ in range(4)), return_exceptions=True)
        finally:
            await transport.aclose()
        assert len(set(found)) == 1, "all who wait share one attempt"
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    return asyncio.run(run())


# The data file


def test_every_entry_is_well_formed() -> None:
    text = files("arrkit.backends.judges").joinpath("models.toml").read_text(encoding="utf-8")
    names: list[tuple[str, str]] = []
    fields = ModelProfile.__dataclass_fields__.keys() - {"known"}
    own = {"openai": {"surface"}, "gemini": {"thinking"}, "vllm": set()}
    for transport, entries in tomllib.loads(text).items():
        for entry in entries:
            assert entry.keys() <= {"names"} | fields | own[transport]
            assert entry.get("structured", "none") in ("schema", "json", "none")
            assert entry.get("surface", "chat") in ("chat", "responses")
            names += [(transport, name) for name in entry["names"]]
            known = look_up(transport, entry["names"][0])
            for field in entry.keys() & fields:
                kept = getattr(known.profile, field)
                assert (list(kept) if field == "effort" else kept) == entry[field], field
    assert len(names) == len(set(names)), "a name stands twice"


def test_a_model_is_known_by_its_whole_name() -> None:
    assert look_up("openai", "gpt-4o").unknown == frozenset()
    for near in ("gpt-4o-2024-05-13", "gpt-4o-audio-preview", "GPT-4o", "my-gpt-4o", "gpt-4"):
        assert look_up("openai", near).unknown == frozenset(PROBED), near
    assert look_up("vllm", "gpt-4o").unknown == frozenset(PROBED)


def test_what_is_known_is_not_asked(wire: Wire) -> None:
    found = asked(wire, model="Qwen/Qwen3-VL-8B-Instruct")
    assert (found.known, found.structured, found.logprobs) == ("data", "schema", 20)
    assert wire.canaries == []
    assert not profiles_file().exists()


def test_a_vendors_model_elsewhere_is_another_model(wire: Wire) -> None:
    assert asked(wire, "openai", "gpt-4o").known == "probe"
    assert wire.canaries != []


def test_people_may_declare_models_of_their_own(wire: Wire) -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_text(
        '[[openai]]\nnames = ["my-model"]\nimages = 2\nstructured = "json"\nlogprobs = 0\n'
        "temperature = true\nseed = false\n"
    )
    found = asked(wire, "openai")
    assert found == ModelProfile(images=2, structured="json", temperature=True, known="user")
    assert wire.canaries == []
    user_file().write_text("[[openai\n")
    with pytest.raises(InputError, match=r"models\.toml"):
        make_judge(f"openai:my-model?base_url={wire.base_url}")


# Asking


def test_a_model_that_can_do_everything(wire: Wire) -> None:
    wire.can.decisions = True
    found = asked(wire)
    assert found == ModelProfile(
        images=9,
        structured="schema",
        logprobs=20,
        questions=64,
        temperature=True,
        seed=True,
        effort=("none", "low", "medium", "high"),
        known="probe",
    )
    assert max(len(images_of(seen)) for seen in wire.canaries if "chat" in seen.path) == 9


def test_a_model_that_can_do_little(wire: Wire) -> None:
    wire.can.schema = wire.can.json = wire.can.temperature = wire.can.seed = False
    wire.can.images, wire.can.logprobs = 1, -1
    assert asked(wire, "openai") == ModelProfile(images=1, known="probe")


def test_a_schema_that_is_ignored_in_silence_is_no_schema(wire: Wire) -> None:
    wire.can.schema = False
    assert asked(wire, "openai").structured == "json"


@pytest.mark.parametrize(("limit", "found"), [(9, 9), (8, 4), (4, 4), (3, 3), (1, 1)])
def test_as_many_images_as_it_takes(wire: Wire, limit: int, found: int) -> None:
    wire.can.images = limit
    assert asked(wire).images == found


@pytest.mark.parametrize(("limit", "found"), [(20, 20), (19, 5), (5, 5), (4, 0)])
def test_as_many_alternatives_as_it_gives(wire: Wire, limit: int, found: int) -> None:
    wire.can.logprobs = limit
    assert asked(wire).logprobs == found


def test_alternatives_that_are_given_only_without_reasoning(wire: Wire) -> None:
    wire.can.logprobs_at_none = True
    found = asked(wire, "openai")
    assert (found.logprobs, found.effort) == (20, ("none",))


def test_what_the_spec_wants_of_answers_is_not_wanted_of_the_asking(wire: Wire) -> None:
    found = asked(wire, "openai", options="&temperature=0.7&seed=3&effort=high")
    assert found.logprobs == 20
    assert not any(seen.body.get("temperature") == 0.7 for seen in wire.canaries)


# Remembering


def test_an_answer_is_remembered_with_its_date(wire: Wire) -> None:
    found = asked(wire)
    number = len(wire.canaries)
    assert number > 0
    assert asked(wire) == found
    assert len(wire.canaries) == number
    (entry,) = json.loads(profiles_file().read_text()).values()
    assert date.fromisoformat(entry["probed"])


def test_another_model_or_endpoint_is_asked_itself(wire: Wire) -> None:
    asked(wire)
    number = len(wire.canaries)
    asked(wire, model="other-model")
    assert len(wire.canaries) == 2 * number
    assert recall("http://elsewhere/v1", "my-model") is None


def test_an_old_answer_is_asked_for_again() -> None:
    then = date(2026, 11, 1)
    remember("http://host/v1", "m", ModelProfile(logprobs=5, effort=("none",)), today=then)
    kept = recall("http://host/v1/", "m", today=then + timedelta(days=30))
    assert kept == ModelProfile(logprobs=5, effort=("none",), known="probe")
    assert recall("http://host/v1", "m", today=then + timedelta(days=31)) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"http://host/v1 m": 3}', '{"http://host/v1 m": {"probed": "x"}}']
)
def test_a_spoilt_memory_is_no_memory(text: str) -> None:
    profiles_file().parent.mkdir(parents=True)
    profiles_file().write_text(text)
    assert recall("http://host/v1", "m") is None
    remember("http://host/v1", "m", ModelProfile())
    assert recall("http://host/v1", "m") == ModelProfile(known="probe")


def test_a_folder_that_cannot_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    remember("http://host/v1", "m", ModelProfile())
    assert recall("http://host/v1", "m") is None


def test_newer_data_goes_before_what_was_remembered() -> None:
    known = profiles.Known(
        ModelProfile(images=500, structured="schema", batch=True), unknown=frozenset({"logprobs"})
    )
    kept = ModelProfile(images=2, structured="none", logprobs=20, effort=("none",))
    merged = profiles.completed(known, kept)
    assert (merged.images, merged.structured, merged.batch) == (500, "schema", True)
    assert (merged.logprobs, merged.effort, merged.known) == (20, ("none",), "probe")


# What says nothing of the model


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (failure(401), ErrorKind.REJECTED),
        (failure(404), ErrorKind.REJECTED),
        (throttled(retry_after="3"), ErrorKind.RATE_LIMIT),
        (failure(500), ErrorKind.TRANSIENT),
        (failure(429, code="insufficient_quota"), ErrorKind.EXHAUSTED),
    ],
)
def test_a_failure_that_is_not_the_models_is_not_held_against_it(
    wire: Wire, action: Action, kind: ErrorKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_canary", lambda seen: action)
    with pytest.raises(TransportError) as caught:
        asked(wire)
    assert caught.value.kind is kind
    assert len(wire.canaries) == 1, "nothing is gained by asking otherwise"
    assert not profiles_file().exists()


def test_a_model_that_takes_no_image_is_said_to(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_canary", lambda seen: failure(400, "this model is blind", code=400))
    with pytest.raises(TransportError, match="blind"):
        asked(wire, "openai")


def test_a_model_can_be_used_without_asking_for_its_profile_first(wire: Wire) -> None:
    async def run() -> str:
        transport = make_judge(f"openai:my-model?base_url={wire.base_url}")
        expected = transport.expected()
        assert (expected.structured, wire.canaries) == ("schema", [])
        try:
            reply = await transport.generate(GenerateRequest("", (TextPart("Hello."),)))
        finally:
            await transport.aclose()
        assert transport.expected().known == "probe"
        return reply.text

    wire.respond = lambda seen: chat("Hello yourself.")
    assert asyncio.run(run()) == "Hello yourself."
