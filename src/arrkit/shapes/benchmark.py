"""The embedded benchmark: held-out prompts, or instructions, and the exact checker of what is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from arrkit.backends.spec import Spec
from arrkit.bench.cells import Tally, gather, scores, tally
from arrkit.bench.model import Asker, Item, Mode, Score, Status, Unit
from arrkit.canonical import Json, digest
from arrkit.data.pairs import ImageUnreadable, Picture, Task
from arrkit.errors import InputError
from arrkit.shapes.assess import is_correct
from arrkit.shapes.look import look_at
from arrkit.shapes.prompts import embedded_prompts

SIZE = 96
"""Side in pixels of the sources of edits."""

GROUP = "category"


class ShapesBenchmark:
    """A :class:`~arrkit.bench.model.Benchmark` that needs nothing but arrkit. See :func:`make`."""

    def __init__(self, name: str, task: Task, images: int) -> None:
        self.name = name
        self.metric = "shapes" if task is Task.T2I else "shapes-edit"
        self._task = task
        self._images = images

    @property
    def identity(self) -> Mapping[str, Json]:
        """Task, number of images, and the digest of the prompts."""
        asked = digest([[item.id, item.prompt] for item in self.items()])
        return {"benchmark": self.metric, "images": self._images, "prompts": asked}

    def items(self) -> Sequence[Item]:
        """80 prompts of each of six families, or instructions of each of six kinds."""
        return self._items

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        return tuple(
            Item(
                id=prompt.id,
                task=self._task,
                prompt=prompt.text,
                files=tuple(
                    f"{prompt.metadata[GROUP]}/{prompt.id}-{image}.png" for image in range(self._images)
                ),
                sources=prompt.sources,
                groups={GROUP: str(prompt.metadata[GROUP])},
            )
            for prompt in embedded_prompts(self._task, "test", SIZE)
        )

    def lay_out(self, folder: Path) -> None:
        """Nothing belongs beside the images."""

    def scorer(self, asker: Asker | None) -> ShapesScorer:
        """The checker, which looks at pixels."""
        return ShapesScorer()

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """The share of right images: the mean over categories, then each category, in both modes."""
        answers = gather(items, units)
        made = []
        for mode in (Mode.OFFICIAL, Mode.STRICT):
            how = "mean of the categories' shares of right images"
            cells = answers.group(GROUP)
            made.append(tally(self.metric, mode, answers, cells=cells, how=how, headline=True))
        for category in sorted({item.groups[GROUP] for item in items}):
            part = answers.of_group(GROUP, category)
            for mode in (Mode.OFFICIAL, Mode.STRICT):
                made.append(tally(f"{self.metric}/{category}", mode, part, how="share of right images"))
        return tuple(made)

    def aggregate(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Score, ...]:
        """The table."""
        return scores(self.tallies(items, units))

    def read_answers(self, file: Path) -> list[Unit]:
        """There is no official script, so there are no files of its own."""
        raise InputError(f"{file} is no file of units of arrkit, and {self.name} knows no other form")


class ShapesScorer:
    """Looks at images with the strict checker of the world."""

    async def score(self, item: Item, images: Sequence[Picture | None]) -> list[Unit]:
        """1 for each image that shows what was asked and nothing else, whole; an edit changed nothing else.

        The answer says what is seen.
        """
        return [_unit(item, number, picture) for number, picture in enumerate(images)]


def _unit(item: Item, number: int, picture: Picture | None) -> Unit:
    try:
        if picture is None:
            raise ImageUnreadable("there is no image")
        image = picture.load()
        source = item.sources[0].load() if item.sources else None
    except ImageUnreadable as error:
        return Unit(item=item.id, image=number, status=Status.MISSING, answer=str(error))
    look = look_at(image)
    right = is_correct(item.task, item.prompt, image, source)
    return Unit(item=item.id, image=number, value=float(right), answer=look.world or look.summary)


def make(spec: Spec, *, task: str, images: int) -> ShapesBenchmark:
    """The factory behind ``shapes``: ``task`` is t2i or edit, ``images`` how many for each prompt."""
    return ShapesBenchmark(str(spec), Task(task), images)
