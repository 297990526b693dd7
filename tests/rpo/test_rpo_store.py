"""Conditions on disk: whole or not there, read back as they were, refused where they do not fit."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from PIL import Image

from arrkit.data.images import picture_from_path
from arrkit.data.pairs import ImageUnreadable, Task
from arrkit.data.prompts import Prompt
from arrkit.data.source_images import picture_at
from arrkit.errors import InputError, RunError
from arrkit.rpo import store as module
from arrkit.rpo.options import Precision
from arrkit.rpo.policy import Condition
from arrkit.rpo.store import Kept, StoreKey, StoreWriter, open_store

pytestmark = pytest.mark.xdist_group("torch")

POLICY = SimpleNamespace(name="toy:one", task=Task.T2I, identity={"model": "one", "length": 77})
KEY = StoreKey.of(POLICY)


def condition(number: int, tokens: int = 5) -> Condition:
    generator = torch.Generator().manual_seed(number)
    tensors = {
        "text": torch.randn(tokens, 4, generator=generator),
        "ids": torch.arange(tokens),
        "empty": torch.ones(64, 64),
    }
    return Condition(tensors, 32, 48, {"grids": [[1, 2, number]], "note": "x"})


def prompt(text: str) -> Prompt:
    return Prompt(text, Task.T2I, text, metadata={"level": 3}, origin=f"p.txt:{text}")


def keep(*prompts: Prompt) -> list[Kept]:
    return [Kept(each, each.digest, tuple(picture.digest for picture in each.sources)) for each in prompts]


def fill(folder: Path, texts: str, key: StoreKey = KEY) -> module.StoreSize:
    prompts = [prompt(text) for text in texts]
    with StoreWriter(folder, key) as writer:
        for each in prompts:
            writer.add(each.digest, condition(ord(each.text), tokens=ord(each.text) % 7))
        return writer.finish(keep(*prompts))


def equal(one: Condition, other: Condition) -> bool:
    return (one.width, one.height, one.facts) == (other.width, other.height, other.facts) and all(
        torch.equal(one.tensors[name], other.tensors[name]) for name in {*one.tensors, *other.tensors}
    )


def bf16(given: Condition) -> Condition:
    return replace(
        given,
        tensors={
            name: each.bfloat16() if each.is_floating_point() else each
            for name, each in given.tensors.items()
        },
    )


def test_conditions_come_back_in_bf16_of_their_own_lengths(tmp_path):
    size = fill(tmp_path / "s", "abc")
    store = open_store(tmp_path / "s", POLICY)
    assert [(each.id, each.text, each.metadata, each.origin) for each in store.prompts] == [
        (text, text, {"level": 3}, f"p.txt:{text}") for text in "abc"
    ]
    for each in store.prompts:
        number = ord(each.text)
        assert equal(store.condition(each), bf16(condition(number, tokens=number % 7)))
    assert (len(store), size.conditions) == (3, 3)
    assert equal(store.condition(prompt("b")), store.condition(store.prompts[1]))  # an equal one will do
    with pytest.raises(KeyError):
        store.condition(prompt("d"))


def test_precision_fp32_keeps_every_bit(tmp_path):
    fill(tmp_path / "s", "a", replace(KEY, precision=Precision.FP32))
    assert equal(open_store(tmp_path / "s", POLICY).condition(prompt("a")), condition(97, tokens=97 % 7))


def test_what_prompts_have_in_common_is_there_once(tmp_path):
    common = 64 * 64 * 2
    assert fill(tmp_path / "s", "abcdefgh").bytes < 2 * common


def test_views_of_a_batch_are_kept_as_they_were_when_given(tmp_path):
    batch = torch.randn(2, 3, 4)
    expected = batch.transpose(1, 2).clone()
    with StoreWriter(tmp_path / "s", replace(KEY, precision=Precision.FP32)) as writer:
        for number, text in enumerate("ab"):
            writer.add(prompt(text).digest, Condition({"text": batch[number].T}, 8, 8))
        batch.zero_()  # encoders may use their memory again
        writer.finish(keep(prompt("a"), prompt("b")))
    store = open_store(tmp_path / "s", POLICY)
    read = [store.condition(prompt(text)).tensors["text"] for text in "ab"]
    assert torch.equal(torch.stack(read), expected)


def test_a_killed_writer_leaves_whole_shards_and_what_is_done_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_SECONDS", 0.0)
    killed = StoreWriter(tmp_path / "s", KEY, main=False)
    killed.add(prompt("a").digest, condition(1))
    monkeypatch.setattr(module, "SHARD_SECONDS", 1e9)
    killed.add(prompt("b").digest, condition(2))  # waits, and is lost
    (tmp_path / "s" / "shards" / ".half.safetensors.1.tmp").write_bytes(b"half")
    with pytest.raises(InputError, match="is not finished"):
        open_store(tmp_path / "s", POLICY)
    with StoreWriter(tmp_path / "s", KEY) as writer:
        assert writer.done == {prompt("a").digest}
        writer.add(prompt("b").digest, condition(2))
        writer.finish(keep(prompt("a"), prompt("b")))
    store = open_store(tmp_path / "s", POLICY)
    assert [equal(store.condition(prompt(t)), bf16(condition(n))) for t, n in (("a", 1), ("b", 2))] == [
        True
    ] * 2
    assert not [*(tmp_path / "s" / "shards").glob(".*")]


def test_several_writers_fill_one_folder(tmp_path):
    writers = [StoreWriter(tmp_path / "s", KEY, main=rank == 0) for rank in range(3)]
    prompts = [prompt(text) for text in "abcdef"]
    for number, each in enumerate(prompts):
        writers[number % 3].add(each.digest, condition(number))
    for writer in reversed(writers):
        writer.flush()
    writers[0].finish(keep(*prompts))
    writers[0].close()
    store = open_store(tmp_path / "s", POLICY)
    assert all(equal(store.condition(each), bf16(condition(n))) for n, each in enumerate(store.prompts))
    assert len({*store._where.values()}) == 3


def test_more_shards_than_are_open_at_once_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_SECONDS", 0.0)
    monkeypatch.setattr(module, "_OPEN_SHARDS", 2)
    fill(tmp_path / "s", "abcdef")
    store = open_store(tmp_path / "s", POLICY)
    first = store.condition(store.prompts[0])
    read = {each.text: store.condition(each) for each in store.prompts * 2}
    assert len(store._open) == 2
    assert equal(first, read["a"])
    assert equal(read["f"], bf16(condition(ord("f"), tokens=ord("f") % 7)))


@pytest.mark.parametrize(
    ("identity", "says"),
    [
        ({"model": "two", "length": 77}, '"one", not "two"'),
        ({"model": "one", "length": 256}, "length 77, not 256"),
        ({"model": "one"}, "length 77, not null"),
    ],
)
def test_a_store_of_another_model_is_refused_in_one_sentence(tmp_path, identity, says):
    fill(tmp_path / "s", "a")
    other = SimpleNamespace(name="toy:two", task=Task.T2I, identity=identity)
    for refused in (
        lambda: open_store(tmp_path / "s", other),
        lambda: fill(tmp_path / "s", "b", StoreKey.of(other)),
    ):
        with pytest.raises(InputError, match="another model or other settings") as caught:
            refused()
        assert says in str(caught.value)
        assert len(caught.value.problems) == 1


def test_a_store_is_added_to_in_its_own_precision_alone(tmp_path):
    fill(tmp_path / "s", "a")
    with pytest.raises(InputError, match='precision "bf16", not "fp32"'):
        fill(tmp_path / "s", "a", replace(KEY, precision=Precision.FP32))


def test_a_shard_that_was_put_there_from_elsewhere_is_refused(tmp_path):
    fill(tmp_path / "s", "a")
    fill(tmp_path / "t", "b", StoreKey("toy", Task.T2I, {"model": "two"}))
    (foreign,) = (tmp_path / "t" / "shards").iterdir()
    foreign.rename(tmp_path / "s" / "shards" / foreign.name)
    with pytest.raises(InputError, match="another model"):
        fill(tmp_path / "s", "a")


def test_a_damaged_or_missing_shard_is_named(tmp_path):
    fill(tmp_path / "s", "a")
    (shard,) = (tmp_path / "s" / "shards").iterdir()
    store = open_store(tmp_path / "s", POLICY)
    shard.write_bytes(shard.read_bytes()[:40])
    with pytest.raises(InputError, match=shard.name):
        store.condition(prompt("a"))
    with pytest.raises(InputError, match="is damaged"):
        fill(tmp_path / "s", "a")
    shard.unlink()
    with pytest.raises(InputError, match="the shard is missing"):
        open_store(tmp_path / "s", POLICY)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        StoreWriter(tmp_path, KEY)
    with pytest.raises(InputError, match="is a file"):
        StoreWriter(tmp_path / "mine.txt", KEY)
    with pytest.raises(InputError, match="arrkit rpo preprocess --policy toy:one"):
        open_store(tmp_path, POLICY)


def test_two_commands_do_not_work_in_one_folder(tmp_path):
    with (
        StoreWriter(tmp_path / "s", KEY),
        pytest.raises(InputError, match="another command"),
    ):
        StoreWriter(tmp_path / "s", KEY)
    StoreWriter(tmp_path / "s", KEY).close()


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    fill(tmp_path / "s", "a")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("arrkit.rpo.shards.save_file", full)
    writer = StoreWriter(tmp_path / "s", KEY)
    writer.add(prompt("b").digest, condition(2))
    with pytest.raises(RunError, match="No space left"):
        writer.close()
    assert [each.text for each in open_store(tmp_path / "s", POLICY).prompts] == ["a"]
    assert not [*(tmp_path / "s" / "shards").glob(".*")]


def test_an_index_of_other_prompts_is_not_taken_for_finished(tmp_path):
    fill(tmp_path / "s", "ab")
    path = tmp_path / "s" / "prompts.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match="is not finished"):
        open_store(tmp_path / "s", POLICY)


def test_an_index_is_only_written_over_conditions_that_are_there(tmp_path):
    with StoreWriter(tmp_path / "s", KEY) as writer, pytest.raises(RunError, match="1 conditions"):
        writer.finish(keep(prompt("a")))


@pytest.fixture
def edits(tmp_path: Path) -> tuple[Path, SimpleNamespace]:
    (tmp_path / "home" / "photos").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "home" / "photos" / "s.png")
    policy = SimpleNamespace(name="toy", task=Task.EDIT, identity={"model": "edit"})
    source = picture_from_path(tmp_path / "home" / "photos" / "s.png")
    asked = Prompt("one", Task.EDIT, "make it blue", (source,))
    with StoreWriter(tmp_path / "home" / "store", StoreKey.of(policy)) as writer:
        writer.add(asked.digest, condition(1))
        writer.finish(keep(asked))
    return tmp_path / "home", policy


def test_sources_move_with_their_store(edits, tmp_path):
    home, policy = edits
    home.rename(tmp_path / "elsewhere")
    store = open_store(tmp_path / "elsewhere" / "store", policy)
    (asked,) = store.prompts
    assert equal(store.condition(asked), bf16(condition(1)))
    assert asked.sources[0].known_digest is None  # looked up without a look at the image
    assert asked.sources[0].load().getpixel((0, 0)) == (255, 0, 0)
    assert asked.task is Task.EDIT


def test_a_source_in_an_archive_is_read_there(edits, tmp_path):
    home, policy = edits
    with tarfile.open(home / "set_part_0.tar", "w") as archive:
        archive.add(home / "photos" / "s.png", "image/7.png")
    source = picture_at(home / "set_part_*.tar" / "image" / "7.png")
    with StoreWriter(home / "packed", StoreKey.of(policy)) as writer:
        asked = Prompt("one", Task.EDIT, "make it blue", (source,))
        writer.add(asked.digest, condition(1))
        writer.finish(keep(asked))
    home.rename(tmp_path / "elsewhere")
    (asked,) = open_store(tmp_path / "elsewhere" / "packed", policy).prompts
    assert asked.sources[0].load().getpixel((0, 0)) == (255, 0, 0)
    (tmp_path / "elsewhere" / "set_part_0.tar").unlink()
    with pytest.raises(InputError, match="there is no image"):
        open_store(tmp_path / "elsewhere" / "packed", policy)


def test_a_source_that_has_changed_since_is_unreadable(edits):
    home, policy = edits
    Image.new("RGB", (8, 8), "blue").save(home / "photos" / "s.png")
    (asked,) = open_store(home / "store", policy).prompts
    with pytest.raises(ImageUnreadable, match="has changed"):
        asked.sources[0].load()


def test_a_source_that_is_gone_is_a_problem_with_its_line(edits):
    home, policy = edits
    (home / "photos" / "s.png").unlink()
    with pytest.raises(InputError) as caught:
        open_store(home / "store", policy)
    assert caught.value.problems[0].where == f"{home / 'store' / 'prompts.jsonl'}:1"


def test_the_files_say_what_they_hold(tmp_path):
    fill(tmp_path / "s", "a")
    said = json.loads((tmp_path / "s" / "store.json").read_text())
    assert said["identity"] == POLICY.identity
    assert (said["format"], said["precision"], said["key"]) == (1, "bf16", KEY.digest)
    (shard,) = (tmp_path / "s" / "shards").iterdir()
    assert shard.stat().st_mode & 0o777 == (tmp_path / "s" / "store.json").stat().st_mode & 0o777
