"""What is written is read again as the same pairs, or is not there at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from arrkit.data.native import open_pairs
from arrkit.data.pairs import Candidate, ImageUnreadable, Label, Passage, Picture, PreferencePair, Task
from arrkit.data.write import file_stem, write_pairs
from arrkit.errors import InputError


def picture(colour: str) -> Picture:
    return Picture(colour, lambda: Image.new("RGB", (5, 4), colour))


def pair(name: str, label: Label = Label.A, task: Task = Task.T2I, source: str = "") -> PreferencePair:
    return PreferencePair(
        name,
        task,
        f"prompt of {name}\nin two lines, “quoted”",
        picture("red"),
        picture("blue"),
        label,
        (picture(source),) if source else (),
        {"category": "c", "n": 1.5, "ok": True},
    )


PAIRS = [
    pair("one"),
    pair("two", Label.B),
    pair("three", Label.TIE),
    pair("four", Label.B, Task.EDIT, "green"),
    pair("five", Label.A, Task.EDIT),
    pair("../Odd name/ü"),
    pair("../odd name/ü"),
]


@pytest.mark.parametrize("target", ["out", "out/some.jsonl", "deep/er/out"])
def test_a_round_trip_gives_the_same_pairs(tmp_path: Path, target: str) -> None:
    file = write_pairs(PAIRS, tmp_path / target)
    again = open_pairs(file, strict=True)
    for before, after in zip(PAIRS, again, strict=True):
        assert (after.id, after.task, after.prompt, after.label) == (
            before.id,
            before.task,
            before.prompt,
            before.label,
        )
        assert after.metadata == before.metadata
        assert [p.load().tobytes() for p in after.pictures] == [p.load().tobytes() for p in before.pictures]


def test_where_the_files_stand(tmp_path: Path) -> None:
    file = write_pairs([pair("one", source="green", task=Task.EDIT)], tmp_path / "out")
    assert file == tmp_path / "out" / "pairs.jsonl"
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert found == [
        "out/images/one-a.png",
        "out/images/one-b.png",
        "out/images/one-source.png",
        "out/pairs.jsonl",
    ]
    (moved := tmp_path / "moved").parent.mkdir(exist_ok=True)
    (tmp_path / "out").rename(moved)
    assert open_pairs(moved / "pairs.jsonl", strict=True).size() == 1


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    write_pairs([pair("one")], tmp_path)
    with pytest.raises(InputError, match=r"pairs\.jsonl exists already"):
        write_pairs([pair("two")], tmp_path)
    with pytest.raises(InputError, match=r"one-a\.png exists already"):
        write_pairs([pair("one", Label.B)], tmp_path / "others.jsonl")
    assert not (tmp_path / "others.jsonl").exists()
    write_pairs([pair("one", Label.B)], tmp_path, force=True)
    (again,) = open_pairs(tmp_path / "pairs.jsonl")
    assert again.label is Label.B


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def unreadable() -> Image.Image:
        raise ImageUnreadable("b.png: the image is truncated")

    bad = PreferencePair("bad", Task.T2I, "x", picture("red"), Picture("b.png", unreadable), Label.A)
    with pytest.raises(InputError, match=r'pair "bad" cannot be written: b\.png: the image is truncated'):
        write_pairs([pair("one"), bad], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_an_interruption_leaves_the_old_file(tmp_path: Path) -> None:
    file = write_pairs([pair("one")], tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def interrupted() -> Iterator[PreferencePair]:
        yield pair("one", Label.B)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pairs(interrupted(), file, force=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no pairs to write"):
        write_pairs([], tmp_path)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_pairs([pair("one")], tmp_path / "file" / "out")


def test_pictures_are_let_go(tmp_path: Path) -> None:
    looks = []
    counted = Picture("x", lambda: looks.append(1) or Image.new("RGB", (1, 1)))
    one = PreferencePair("one", Task.T2I, "x", counted, picture("red"), Label.A)
    write_pairs([one], tmp_path)
    one.a.load()
    assert len(looks) == 2


def test_file_names_of_ids() -> None:
    assert file_stem("pair-1.b") == "pair-1.b"
    names = ["A", "a", "a/b", "a_b", "../x", "", "x" * 200, "con ", "ü", "-x", "x."]
    stems = [file_stem(name) for name in names]
    assert len({stem.lower() for stem in stems}) == len(names)
    assert all(
        stem.isascii() and "/" not in stem and stem[0] not in ".-" and len(stem) < 90 for stem in stems
    )


def looks(count: int, colour: str = "red") -> tuple[Picture, list[int]]:
    seen: list[int] = []
    return Picture(colour, lambda: seen.append(1) or Image.new("RGB", (5, 4), colour)), seen


TEXTS = Passage(("Step one.", picture("red"), "", "Step two.", picture("blue")))
WORDS = Passage(("Only words",))
RICH = [
    PreferencePair("g-0-1", Task.T2I, "x", picture("red"), picture("blue"), Label.A, group="g", votes=(7, 2)),
    PreferencePair(
        "g-0-2", Task.T2I, "x", picture("red"), picture("lime"), Label.TIE, group="g", votes=(0, 0)
    ),
    PreferencePair("bad", Task.EDIT, "x", picture("red"), picture("blue"), Label.BOTH_BAD, confidence=0.0),
    PreferencePair("sure", Task.EDIT, "x", picture("red"), picture("blue"), Label.B, confidence=0.9999),
    PreferencePair(
        "many",
        Task.EDIT,
        "put <image 1> into <image 2>",
        picture("red"),
        Passage((picture("blue"), picture("lime"))),
        Label.B,
        (picture("green"), picture("black")),
    ),
    PreferencePair("twin", Task.EDIT, "x", picture("red"), picture("blue"), Label.A, (picture("green"),) * 2),
    PreferencePair("said", Task.INTERLEAVED, "x", TEXTS, WORDS, Label.A, (picture("green"),)),
    PreferencePair("same", Task.INTERLEAVED, "x", WORDS, WORDS, Label.TIE, group="0"),
    PreferencePair("bare", Task.INTERLEAVED, "x", picture("red"), picture("blue"), Label.B),
    PreferencePair("shown", Task.T2I, "like <image 1>", picture("red"), WORDS, Label.A, (picture("green"),)),
]


def plain(candidate: Candidate) -> object:
    if isinstance(candidate, Passage):
        return [part if isinstance(part, str) else part.load().tobytes() for part in candidate.parts]
    return candidate.load().tobytes()


def test_all_that_a_pair_says_survives(tmp_path: Path) -> None:
    again = open_pairs(write_pairs(RICH, tmp_path), strict=True)
    fields = ("id", "task", "prompt", "label", "group", "votes", "confidence", "metadata")
    for before, after in zip(RICH, again, strict=True):
        assert [getattr(after, name) for name in fields] == [getattr(before, name) for name in fields]
        assert (plain(after.a), plain(after.b)) == (plain(before.a), plain(before.b))
        assert [plain(each) for each in after.sources] == [plain(each) for each in before.sources]


def test_written_again_it_is_the_same_file(tmp_path: Path) -> None:
    first = write_pairs([*PAIRS, *RICH[2:5]], tmp_path / "one")
    second = write_pairs(open_pairs(first), tmp_path / "two")
    assert second.read_text() == first.read_text()


def test_an_image_that_a_group_shares_is_read_and_written_once(tmp_path: Path) -> None:
    shared, seen = looks(1)
    others = [picture(colour) for colour in ("blue", "lime", "gold")]
    pairs = [
        PreferencePair(f"p{n}", Task.T2I, "x", shared, other, Label.A, group="g" if n < 2 else "h")
        for n, other in enumerate(others)
    ]
    file = write_pairs(pairs, tmp_path)
    assert len(seen) == 2  # once for each group
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "p0-a.png",
        "p0-b.png",
        "p1-b.png",
        "p2-a.png",
        "p2-b.png",
    ]
    assert [plain(each.a) for each in open_pairs(file, strict=True)] == [plain(shared)] * 3


def test_a_pair_that_cannot_be_written_may_be_left_out(tmp_path: Path) -> None:
    def unreadable() -> Image.Image:
        raise ImageUnreadable("b.png: the image is truncated")

    bad = [
        PreferencePair("cut", Task.T2I, "x", picture("red"), Picture("b.png", unreadable), Label.A),
        PreferencePair("mute", Task.T2I, " \n", picture("red"), picture("blue"), Label.A),
        PreferencePair("half", Task.T2I, "\ud83d", picture("red"), picture("blue"), Label.A),
        PreferencePair(
            "odd", Task.T2I, "x", picture("red"), picture("blue"), Label.A, (), {"n": float("nan")}
        ),
    ]
    told = []
    file = write_pairs(
        [*bad, pair("one")], tmp_path, on_unusable=lambda each, why: told.append((each.id, why))
    )
    assert told == [
        ("cut", "b.png: the image is truncated"),
        ("mute", "its prompt is empty"),
        ("half", "its text holds half a character (a lone surrogate)"),
        ("odd", "its metadata holds a number that is not finite"),
    ]
    assert [each.id for each in open_pairs(file, strict=True)] == ["one"]
    assert len(list((tmp_path / "images").iterdir())) == 2
    for each in bad:
        with pytest.raises(InputError, match=f'pair "{each.id}" cannot be written'):
            write_pairs([each], tmp_path / "none")


def test_an_id_that_stands_twice_overwrites_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'the id "one" stands twice'):
        write_pairs([pair("one"), pair("one", Label.B)], tmp_path)
    assert list(tmp_path.iterdir()) == []
