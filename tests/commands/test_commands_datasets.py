"""Which datasets there are, where their files stand, and fetching them; raw files known by their rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from dataset_fixtures import forms

pytest.importorskip("huggingface_hub")

from hub import Hub

from arrkit.backends.registry import make_dataset
from arrkit.commands.datasets import Place, describe_dataset, list_datasets, plan_pull, pull_dataset
from arrkit.commands.forms import recognised
from arrkit.commands.options import InfoOptions, PullOptions
from arrkit.errors import InputError, RunError

MMRB2 = "rl-research/multimodal-rewardbench-2"
GATED = "TIGER-Lab/EditReward-Bench"
V2, MIRROR = "yuvalkirstain/pickapic_v2", "liuhuohuo2/pick-a-pic-v2"
FILES = {
    MMRB2: {
        f"{part}/test.parquet": part.encode() * 9 for part in ("t2i", "edit", "interleaved", "reasoning")
    },
    GATED: {"2pair/train.parquet": b"x"},
    MIRROR: {"data/test_unique-0.parquet": b"x", "data/train-0.parquet": b"y" * 100},
    "FreedomIntelligence/ShareGPT-4o-Image": {
        "text_to_image.json": b"[]",
        "text_and_image_to_image.json": b"[]",
        "text_and_image_to_image_part_0.tar": b"t",
    },
}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with Hub(FILES, gated=(GATED,)) as server:
        server.used_by(monkeypatch, tmp_path / "cache")
        yield server


def place(name: str) -> Place:
    return next(each.place for each in list_datasets() if each.name == name)


def pull(name: str, **options: str):
    return pull_dataset(PullOptions(name=name, **options))


def test_where_datasets_are_before_and_after_a_pull(hub):
    names = ("shapes-t2i", "mmrb2", "editreward-bench", "pickapic")
    assert [place(name) for name in names] == [Place.HERE, Place.TO_PULL, Place.GATED, Place.TO_PULL]
    assert hub.requests == []  # to list is to ask nobody
    pulled = pull("mmrb2:t2i")
    assert (pulled.repo, pulled.revision, pulled.files) == (MMRB2, hub.commit(MMRB2), 1)
    assert pulled.bytes == 27
    assert (Path(pulled.folder) / "t2i/test.parquet").read_bytes() == b"t2i" * 9
    info = describe_dataset(InfoOptions(name="mmrb2:edit"))
    assert (info.place, info.cached, info.revision) == (Place.PARTLY, ("t2i",), hub.commit(MMRB2))
    assert pull("mmrb2").files == 4
    assert place("mmrb2") is Place.CACHED


def test_a_mirror_serves_where_the_set_was_removed(hub):
    pulled = pull("pickapic:test_unique")
    assert (pulled.repo, pulled.files) == (MIRROR, 1)
    assert not any(V2 in path for _, path, _ in hub.requests)
    assert describe_dataset(InfoOptions(name="pickapic")).cached == ("test_unique",)


def test_another_revision_and_repository(hub):
    with pytest.raises(InputError, match=r"no such revision\n  Name another --revision"):
        pull("mmrb2", revision="f" * 40)
    assert pull("mmrb2:edit", revision=hub.commit(MMRB2)).revision == hub.commit(MMRB2)
    assert pull(f"rapidata?repo={MIRROR}").repo == MIRROR


def test_prompt_sets_are_fetched_too(hub):
    assert pull("sharegpt-4o-image:edit").files == 2
    assert pull("sharegpt-4o-image").files == 3
    with pytest.raises(InputError, match="unigenbench is not on the hub"):
        pull("unigenbench")


def test_a_gated_set_says_what_to_do_first(hub, monkeypatch):
    with pytest.raises(
        InputError, match=rf"gated(.|\n)*https://huggingface.co/datasets/{GATED}, set HF_TOKEN"
    ):
        pull("editreward-bench")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert pull("editreward-bench").files == 1


def test_a_hub_that_is_down_may_be_asked_again(hub):
    hub.down = True
    with pytest.raises(RunError, match="Run the same command again to go on from there"):
        pull("mmrb2")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shapes-t2i", "shapes-t2i is made on this machine: there is nothing to pull"),
        ("mmrb2:edt", 'unknown split "edt" (did you mean "edit"?)'),
        ("mmrb", 'unknown dataset "mmrb" (did you mean "mmrb2"?)'),
        ("pickapic?version=v1", "version says nothing of what to fetch"),
        ("genai-bench:video_generation", "pairs of videos"),
    ],
)
def test_what_cannot_be_pulled(name, said):
    with pytest.raises(InputError) as caught:
        plan_pull(PullOptions(name=name))
    assert said in str(caught.value)


def test_the_plan_says_how_much_and_on_what_terms():
    said = plan_pull(PullOptions(name="hpdv3:test")).sentence
    assert said.startswith("hpdv3:test from MizzenAI/HPDv3 (141 GB in all): test.json, images.tar.gz*. MIT. ")
    whole = plan_pull(PullOptions(name="hpdv3"))
    assert whole.patterns == ("test.json", "train.json", "all.json", "images.tar.gz*")
    assert "its size is not known" in plan_pull(PullOptions(name="editscore-bench")).sentence


def test_every_dataset_says_enough_of_itself():
    for each in list_datasets():
        info = describe_dataset(InfoOptions(name=each.name))
        assert info.summary
        assert info.license
        assert info.splits
        if info.place is not Place.HERE:
            assert info.convention, info.name
            assert len(info.read) > 200, info.name
            assert any(line.startswith("arrkit judge eval --dataset") for line in info.commands)
        assert any("rubric build" in line for line in info.commands) is not info.benchmark_only


RAW = {
    "editreward-bench json": "editreward-bench:2pair",
    "editreward-data trainer": "editreward-data:train",
    "hpdv2 test": "hpdv2:test",
    "hpdv2 train": "hpdv2:train",
    "hpdv3 unpacked": "hpdv3:train",
    "hpdv3-plusplus split tar": "hpdv3-plusplus:test_aes",
    "imagerewarddb group file": "imagerewarddb:test",
    "imagerewarddb group file, gzip": "imagerewarddb:test",
    "mmrb2 edit in its local form": "mmrb2:edit",
    "mmrb2 interleaved in its local form": "mmrb2:interleaved",
}


@pytest.mark.parametrize("name", RAW)
def test_a_sets_own_file_is_known_by_its_rows(name, tmp_path):
    form = next(form for form in forms() if form.name == name)
    form.write(tmp_path, 4, False)
    file = next(path for path in sorted(tmp_path.rglob("*.json*")))
    found = recognised(file)
    assert found is not None
    assert f"{found.name}:{found.model}" == RAW[name]
    assert len(list(make_dataset(found))) > 0


def test_what_is_no_set(tmp_path):
    native = tmp_path / "test.json"
    native.write_text(
        json.dumps([{"prompt": "x", "images": ["a", "b"], "label": "A", "path1": 1, "path2": 2}])
    )
    assert recognised(native.rename(tmp_path / "mine.json")) is None
    for text in ("", "{}", "[1]", "not json", '{"pairs": [1]}'):
        native.write_text(text)
        assert recognised(native) is None
    shutil.copy(native, tmp_path / "a.tar.gz")
    with pytest.raises(InputError, match="is part of a dataset"):
        recognised(tmp_path / "a.tar.gz")


def test_the_page_of_datasets_says_what_the_records_say(repository):
    page = (repository / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| `")}
    for each in list_datasets():
        if each.place is Place.HERE:
            assert f"`{each.name}`" in page
            continue
        row = rows[f"`{each.name}`"]
        for said in (each.size, each.license, f"`arrkit data pull {each.name}"):
            assert said in row, (each.name, said)
        assert ("benchmarking only" in row) is each.benchmark_only
        assert ("gated" in row) is (each.name == "editreward-bench")
