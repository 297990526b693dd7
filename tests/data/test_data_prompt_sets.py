"""Prompt sets of others: ShareGPT-4o-Image, UniGenBench, Pref-GRPO's edits; by file, folder and name."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from arrkit.data.pairs import Task
from arrkit.data.prompt_rows import read_csv
from arrkit.data.prompt_sets import SETS
from arrkit.data.prompts import read_prompts, scan_prompts
from arrkit.data.rows import BrokenRow, Row
from arrkit.data.source_images import picture_at
from arrkit.errors import InputError

CONFORMANCE = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "unigenbench"
HEADER = "index,prompt_en,sub_dims_en\n"


def png(level: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(stream, "PNG")
    return stream.getvalue()


def tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


@pytest.fixture
def sharegpt(tmp_path):
    """The set as the hub has it: two arrays, and the images of the edits in two tars."""
    paint = [{"input_prompt": f"a harbour, no. {n}", "output_image": f"image/t2i_{n}.png"} for n in range(3)]
    edits = [
        {
            "input_prompt": f"make it darker\nby {n}",
            "input_image": [f"image/v2v_{2 * n}.png"],
            "output_image": f"image/v2v_{2 * n + 1}.png",
        }
        for n in range(4)
    ]
    (tmp_path / "text_to_image.json").write_text(json.dumps(paint))
    (tmp_path / "text_and_image_to_image.json").write_text(json.dumps(edits))
    for part in range(2):
        members = {f"image/v2v_{n}.png": png(10 * n) for n in range(4 * part, 4 * part + 4)}
        tar(tmp_path / f"text_and_image_to_image_part_{part}.tar", members)
    return tmp_path


@pytest.mark.parametrize("name", ["", "text_to_image.json"])
def test_the_prompts_of_sharegpt_4o_image_are_read_by_file_or_folder(sharegpt, name):
    prompts = read_prompts(sharegpt / name, task=Task.T2I)
    assert [prompt.text for prompt in prompts] == [f"a harbour, no. {n}" for n in range(3)]
    assert [prompt.metadata for prompt in prompts] == [{}] * 3
    assert prompts[0].origin.endswith("text_to_image.json:1")


@pytest.mark.parametrize("name", ["", "text_and_image_to_image.json"])
def test_its_edits_find_their_images_in_the_tars(sharegpt, name):
    prompts = read_prompts(sharegpt / name, task=Task.EDIT)
    assert prompts[1].text == "make it darker\nby 1"
    assert [prompt.sources[0].load().getpixel((0, 0))[0] for prompt in prompts] == [0, 20, 40, 60]


def test_unpacked_images_are_preferred_and_missing_ones_named(sharegpt):
    (sharegpt / "image").mkdir()
    (sharegpt / "image" / "v2v_0.png").write_bytes(png(99))
    (sharegpt / "text_and_image_to_image_part_1.tar").unlink()
    scan = scan_prompts(sharegpt, task=Task.EDIT)
    assert [prompt.sources[0].load().getpixel((0, 0))[0] for prompt in scan.prompts] == [99, 20]
    assert ["v2v_4.png" in str(problem) for problem in scan.problems] == [True, False]


def test_an_image_in_an_archive_is_found_again_by_its_name(sharegpt):
    names = [Path(prompt.sources[0].name) for prompt in read_prompts(sharegpt, task=Task.EDIT)]
    assert [name.is_file() for name in names] == [False] * 4
    for name, level in zip(names, [0, 20, 40, 60], strict=True):
        found = picture_at(Path(os.path.relpath(name)))
        assert found.load().getpixel((0, 0)) == (level,) * 3
    (sharegpt / "text_and_image_to_image_part_0.tar").unlink()
    assert [picture_at(name) is None for name in names] == [True, True, False, False]
    (sharegpt / "plain.png").write_bytes(png(5))
    assert picture_at(sharegpt / "plain.png").load().getpixel((0, 0)) == (5, 5, 5)
    for absent in ("gone.png", "gone_part_*.tar/a.png", "none/gone_part_*.tar/a.png"):
        assert picture_at(sharegpt / absent) is None


def test_the_edits_are_no_prompts_to_paint_from(sharegpt):
    scan = scan_prompts(sharegpt / "text_and_image_to_image.json", task=Task.T2I)
    assert (scan.prompts, len(scan.problems)) == ((), 4)
    assert "input_image belongs to an edit" in str(scan.problems[0])


def test_the_sets_are_found_by_name_in_the_cache_of_the_hub(sharegpt, tmp_path_factory, monkeypatch):
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    cache, commit = tmp_path_factory.mktemp("hub"), "ab" * 20
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    with pytest.raises(InputError, match=r"not in the cache.*45,717 prompts") as caught:
        read_prompts("sharegpt-4o-image", task=Task.T2I)
    assert "arrkit data pull sharegpt-4o-image:t2i" in str(caught.value)
    folder = cache / "datasets--FreedomIntelligence--ShareGPT-4o-Image"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots").mkdir()
    sharegpt.rename(folder / "snapshots" / commit)
    assert len(read_prompts("sharegpt-4o-image", task=Task.T2I)) == 3
    prompts = read_prompts(Path("sharegpt-4o-image:edit"), task=Task.EDIT)
    assert prompts[3].sources[0].load().getpixel((0, 0))[0] == 60
    assert prompts[0].origin.startswith(f"sharegpt-4o-image:edit@{commit[:12]}:")


@pytest.mark.parametrize(
    ("given", "task", "says"),
    [
        ("sharegpt-4o-image:edit", Task.T2I, "is a set for edit, and the policy's task is t2i"),
        ("sharegpt-4o-image:paint", Task.T2I, "has none of that name"),
        ("unigenbench", Task.EDIT, "is a set for t2i, and the policy's task is edit"),
        ("unigenbench", Task.T2I, r"9,999 prompts.*not on the hub"),
        ("sharegpt-4o-imge", Task.T2I, 'did you mean "sharegpt-4o-image"'),
    ],
)
def test_a_set_that_cannot_be_had_is_refused_with_a_reason(given, task, says):
    with pytest.raises(InputError, match=says):
        read_prompts(given, task=task)


def test_a_file_of_the_name_of_a_set_is_that_file(tmp_path, monkeypatch):
    (tmp_path / "unigenbench").write_text("a fox\n")
    monkeypatch.chdir(tmp_path)
    prompts = read_prompts("unigenbench", task=Task.T2I)
    assert [prompt.text for prompt in prompts] == ["a fox"]


def test_the_train_prompts_of_unigenbench_are_plain_text_in_its_folder(tmp_path):
    (tmp_path / "train_prompt.txt").write_text("a fox\na crane\n", encoding="utf-8")
    assert [prompt.text for prompt in read_prompts(tmp_path, task=Task.T2I)] == ["a fox", "a crane"]


def test_each_set_names_where_its_files_are():
    for each in SETS:
        assert bool(each.hub) is not bool(each.url)
        assert not each.hub or each.file in each.patterns


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"instruction": "turn it", "caption": "a cat"}, "turn it"),
        ({"caption": "turn it", "text": "no"}, "turn it"),
        ({"text": "turn it", "instruction_cn": "转"}, "turn it"),
    ],
)
def test_rows_of_pref_grpo_have_their_images_under_images(tmp_path, keys, text):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "s.png").write_bytes(png(7))
    rows = [{**keys, "source_image": "s.png", "target_image": "gone.png"}, {**keys, "image": "s.png"}]
    (tmp_path / "edits.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    prompts = read_prompts(tmp_path / "edits.jsonl", task=Task.EDIT)
    assert [prompt.text for prompt in prompts] == [text] * 2
    assert prompts[1].sources[0].load().getpixel((0, 0)) == (7, 7, 7)


# --- tables


def dimensions(**more: object) -> str:
    value = {"Primary Categories": "Art", "Subjects": "Animal", "Testpoints": ["Style"], **more}
    return '"' + json.dumps(value).replace('"', '""') + '"'


def test_a_table_of_unigenbench_gives_prompts_and_their_dimensions(tmp_path):
    path = tmp_path / "test_prompts_en.csv"
    path.write_text(f'\ufeff{HEADER}0,"two\nlines",{dimensions()}\n7,"a ""quoted"" fox",{dimensions()}\n')
    one, two = read_prompts(path, task=Task.T2I)
    assert (one.text, one.id, one.origin) == ("two\nlines", "0", f"{path}:2")
    assert (two.text, two.id, two.origin) == ('a "quoted" fox', "7", f"{path}:4")
    assert two.metadata == {"category": "Art", "subject": "Animal", "testpoints": '["Style"]'}


def test_a_table_in_chinese_means_the_same(tmp_path):
    path = tmp_path / "test_prompts_zh.csv"
    path.write_text(
        'index,prompt_zh,sub_dims_zh\n0,两只熊猫,"{""一级垂类"": ""艺术"", ""考点"": [""风格""]}"\n'
    )
    [prompt] = read_prompts(path, task=Task.T2I)
    assert (prompt.text, prompt.metadata) == ("两只熊猫", {"category": "艺术", "testpoints": '["风格"]'})


def test_a_plain_table_has_its_columns_as_metadata(tmp_path):
    (tmp_path / "s.png").write_bytes(png(7))
    (tmp_path / "p.csv").write_text(
        "instruction,source_image,level,index\nturn it,s.png,3,\nlift it,s.png,,9\n"
    )
    one, two = read_prompts(tmp_path / "p.csv", task=Task.EDIT)
    assert (one.text, one.metadata, len(one.sources)) == ("turn it", {"level": "3"}, 1)
    assert (two.id, two.metadata) == ("row-2", {"index": "9"})


BROKEN = [
    ('1,p,"{""Testpoints"": [""a"" ""b""]}"', "sub_dims_en of index 1 is not JSON"),
    ('1,p,"[1]"', "not a JSON object"),
    ("1,p", "has 2 cells, and the header 3"),
    ('1,"p" q,x', "not CSV"),
    ('1,"p', "not CSV"),
    (f"1,,{dimensions()}", "no prompt"),
    (f"0,p,{dimensions()}", "stands at"),
]


@pytest.mark.parametrize(("row", "says"), BROKEN)
def test_a_broken_row_is_named_and_the_others_are_read(tmp_path, row, says):
    path = tmp_path / "p.csv"
    path.write_text(f"{HEADER}0,first,{dimensions()}\n{row}\n2,last,{dimensions()}\n")
    scan = scan_prompts(path, task=Task.T2I)
    [problem] = scan.problems
    assert (problem.where, says in problem.what) == (f"{path}:3", True), problem
    ends = says == "not CSV"  # nothing behind it can be told apart
    assert [prompt.text for prompt in scan.prompts] == ["first"] if ends else ["first", "last"]


def test_a_table_that_is_not_utf_8_is_a_problem():
    rows = list(read_csv(io.BytesIO(b"prompt\na fox\n\xff\xfe\n")))
    assert isinstance(rows[-1], BrokenRow)
    assert "UTF-8" in rows[-1].what


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1)
)
def test_no_cell_is_lost_or_changed(texts):
    import csv

    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["prompt"], *([text] for text in texts)])
    rows = list(read_csv(io.BytesIO(stream.getvalue().encode())))
    assert [row.value for row in rows if isinstance(row, Row)] == [{"prompt": text} for text in texts]


@pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="the files of ../shared/conformance are not here")
def test_the_real_tables_are_read_and_the_malformed_row_is_named():
    short = scan_prompts(CONFORMANCE / "test_prompts_en.csv", task=Task.T2I)
    assert (len(short.prompts), short.problems) == (600, ())
    points = [len(json.loads(str(prompt.metadata["testpoints"]))) for prompt in short.prompts]
    assert sum(points) == 1813
    long = scan_prompts(CONFORMANCE / "test_prompts_en_long.csv", task=Task.T2I)
    assert sum(len(json.loads(str(prompt.metadata["testpoints"]))) for prompt in long.prompts) == 3915
    [problem] = long.problems
    assert "index 509" in problem.what
    assert len(long.prompts) == 599
