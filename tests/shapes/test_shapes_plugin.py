"""What the embedded world says of itself to be listed, and that specs make what they name."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from arrkit.backends.registry import make_dataset
from arrkit.backends.spec import Spec
from arrkit.data.pairs import Label, Task
from arrkit.errors import InputError
from arrkit.shapes import plugin
from arrkit.shapes.dataset import ShapesDataset
from arrkit.shapes.render import MAX_SIZE, MIN_SIZE

Python = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = ("numpy", "scipy", "PIL", "torch", "sklearn")


def test_listing_the_world_imports_nothing_heavy(python: Python) -> None:
    code = f"import arrkit.shapes.plugin, sys; print([m for m in {HEAVY} if m in sys.modules])"
    assert python("-c", code).stdout == "[]\n"


def test_going_through_pairs_opens_no_image(python: Python) -> None:
    code = (
        "import sys; from arrkit.data.pairs import Task; from arrkit.shapes.dataset import ShapesDataset\n"
        f"[list(ShapesDataset(t, n=12)) for t in Task]; print([m for m in {HEAVY} if m in sys.modules])"
    )
    assert python("-c", code).stdout == "[]\n"


@pytest.mark.parametrize("record", [plugin.dataset_t2i, plugin.dataset_edit])
def test_an_empty_spec_means_the_defaults_of_the_class(record: object) -> None:
    task = Task.T2I if record is plugin.dataset_t2i else Task.EDIT
    made = make_dataset(f"shapes-{task}")
    assert made.name == ShapesDataset(task).name == f"shapes-{task}:test?n=200&seed=0"


@pytest.mark.parametrize(
    "spec",
    [
        "shapes-t2i",
        "shapes-edit:train?n=4&seed=-3",
        "shapes-t2i:test?n=4&noise=0.123456789&ties=1e-05",
        "shapes-edit?n=3&seed=9&size=40&ties=1",
    ],
)
def test_a_name_makes_the_same_pairs_again(spec: str) -> None:
    made = make_dataset(spec)
    assert Spec.parse(spec).options.items() <= Spec.parse(made.name).options.items()
    again = make_dataset(made.name)
    assert again.name == made.name
    first, second = (list(dataset)[:4] for dataset in (made, again))
    assert [pair.digest for pair in first] == [pair.digest for pair in second]
    assert [pair.metadata for pair in first] == [pair.metadata for pair in second]


@pytest.mark.parametrize("spec", ["n=0", "size=31", "size=257", "noise=1.1", "ties=-0.1", "seed=x"])
def test_what_cannot_be_drawn_is_refused(spec: str) -> None:
    with pytest.raises(InputError):
        make_dataset(f"shapes-t2i?{spec}")


def test_the_sizes_that_may_be_asked_are_those_that_can_be_drawn() -> None:
    size = plugin.dataset_t2i.parameters["size"]
    assert (size.low, size.high) == (MIN_SIZE, MAX_SIZE)


@pytest.mark.parametrize("wrong", [{"split": "dev"}, {"n": 0}, {"noise": 1.5}, {"ties": -1}])
def test_the_class_refuses_what_the_spec_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ShapesDataset(Task.T2I, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", [Task.T2I, Task.EDIT])
def test_prompts_tell_nothing_of_label_or_flaws(task: Task) -> None:
    """A prompt is drawn before the flaws: the words of a flaw do not come up, and labels are even in each."""
    pairs = list(ShapesDataset(task, n=1200, ties=0))
    for pair in pairs:
        words = set(pair.prompt.split())
        assert not words & {"flaw", "smeared", "cut", "wrong", "missing", "extra", "tie", "none", "A", "B"}
    for category in {pair.metadata["category"] for pair in pairs}:
        labels = [pair.label for pair in pairs if pair.metadata["category"] == category]
        # Four standard deviations of a half among 200 are 28.
        assert abs(labels.count(Label.A) - 100) <= 28


@pytest.mark.parametrize("task", [Task.T2I, Task.EDIT])
def test_the_candidates_of_a_pair_never_look_the_same(task: Task) -> None:
    for pair in ShapesDataset(task, n=40, ties=1):
        assert pair.a.digest != pair.b.digest
        pair.release()
