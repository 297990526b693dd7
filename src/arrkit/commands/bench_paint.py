"""Painting the images of a benchmark: noise by item, edits in turns, several processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from arrkit.bench.choosing import chains, turns
from arrkit.bench.model import Item
from arrkit.canonical import Json, digest, pretty_json, write_atomic
from arrkit.commands.painting import save_image
from arrkit.data.images import picture_from_path
from arrkit.data.pairs import Picture, Task
from arrkit.data.prompts import Prompt
from arrkit.errors import InputError, Problem
from arrkit.progress import Progress, Watch, unwatched

if TYPE_CHECKING:
    from arrkit.rpo.options import Precision
    from arrkit.rpo.policy import Condition, Part, Policy
    from arrkit.rpo.processes import Processes

AT_ONCE = 256
"""How many prompts are encoded before they are painted: some gigabytes of conditions for a large encoder."""

MANIFEST = ".arrkit.json"
"""What is known of the images of a folder: by which model they were painted, for which prompts."""


def check_task(policy: Policy, items: Sequence[Item], name: str) -> None:
    """Raise :class:`InputError` where the policy does something else than the benchmark asks."""
    for item in items:
        if item.task is not policy.task:
            does = "edits images" if policy.task is Task.EDIT else "paints from text alone"
            asks = "edits" if item.task is Task.EDIT else "images for prompts"
            raise InputError(f"{name} asks for {asks}, and {policy.name} {does}", hint="Name another policy.")


def image_files(folder: Path, item: Item) -> list[Path]:
    """Where the images of an item stand."""
    return [folder / file for file in item.files]


def sources_of(folder: Path, item: Item, items: Mapping[str, Item]) -> tuple[Picture, ...]:
    """What an item edits: its own sources, or the first image of the item before it."""
    if not item.before:
        return item.sources
    return (picture_from_path(folder / items[item.before].files[0]),)


def claim_images(
    folder: Path, items: Sequence[Item], painted_by: Mapping[str, Json], *, force: bool = False
) -> None:
    """Say in a folder who paints its images; those that are there must be by the same, for the same prompts.

    With ``force`` images of ``items`` that are by another model, or for another prompt, are removed.

    Raises:
        InputError: the folder cannot be made, or holds images that were painted otherwise.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror or error}") from error
    for below in {file.parent for item in items for file in image_files(folder, item)}:
        for torn in below.glob(".*.tmp"):  # of a process that was killed while it wrote
            torn.unlink()
    known = _manifest(folder / MANIFEST)
    asked = {item.id: _asked(item) for item in items}
    same = known is not None and known.get("by") == dict(painted_by)
    before = cast("dict[str, str]", known["prompts"]) if known is not None and same else {}
    wrong = [
        file
        for item in items
        if before.get(item.id) != asked[item.id]
        for file in image_files(folder, item)
        if file.exists()
    ]
    if wrong and not force:
        why = "by another model or with other options" if known is not None and not same else "otherwise"
        raise InputError(
            f"{wrong[0]} was painted {why}, and so were {len(wrong) - 1} others"
            if len(wrong) > 1
            else f"{wrong[0]} was painted {why}",
            hint="Give another --out, or pass --force to paint them anew.",
        )
    for file in wrong:
        file.unlink()
    if not same and force:
        before = {}
    record: dict[str, Json] = {"by": dict(painted_by), "prompts": {**before, **asked}}
    write_atomic(folder / MANIFEST, pretty_json(record))


def _manifest(path: Path) -> dict[str, Json] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("prompts"), dict) else None


def _asked(item: Item) -> str:
    sources: list[Json] = [picture.name for picture in item.sources]
    return digest([item.prompt, sources, item.before, list(item.files)])[:16]


@dataclass(slots=True)
class Painter:
    """A policy that paints items. ``problems`` are those that it could not paint, each with the reason."""

    policy: Policy
    processes: Processes
    steps: int
    seed: int
    batch: int
    precision: Precision | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def dtype(self) -> str:
        """The data type that the model is held in, by its name in torch."""
        from arrkit.rpo.placing import dtype_for

        return str(dtype_for(self.precision, self.processes.device))

    def paint(
        self,
        items: Sequence[Item],
        folder: Path,
        *,
        lora: Path | None = None,
        watch: Watch = unwatched,
        painted: Callable[[Item], None] = lambda _: None,
    ) -> int:
        """Paint this process's share of the images that are not there yet; gives how many it painted.

        An image is decided by seed, item id, number and adapter. Batches are cut from the whole share, also
        where parts of it are there: an image that is painted after an interruption is painted beside the same
        others as without one, and equal to the last bit. ``painted`` hears of each item whose images are all
        there, in the order in which that comes to pass.
        """
        mine = [item for chain in self.processes.share(chains(items)) for item in chain]
        by_id = {item.id: item for item in mine}
        total = sum(not file.exists() for item in mine for file in image_files(folder, item))
        made = 0
        watch(Progress("paint", 0, total))
        for turn in turns(mine):
            for start in range(0, len(turn), AT_ONCE):
                part = turn[start : start + AT_ONCE]
                lacking = {item.id for item in part if not _complete(folder, item)}
                for item in part:
                    if item.id not in lacking:
                        painted(item)
                if not lacking:
                    continue
                for item in self._part(part, folder, by_id, lora, watch):
                    made += 1
                    watch(Progress("paint", made, total))
                    if _complete(folder, item):
                        painted(item)
        return made

    def _part(
        self,
        items: Sequence[Item],
        folder: Path,
        by_id: Mapping[str, Item],
        lora: Path | None,
        watch: Watch,
    ) -> Iterator[Item]:
        """The item of each image that was painted, when its file is there."""
        from arrkit.rpo.policy import Part
        from arrkit.rpo.sample import layout_of, sample_images

        policy = self.policy
        ready, conditions = self._encode(items, folder, by_id, watch)
        by_size: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for index, item in enumerate(ready):
            group = by_size.setdefault(layout_of(conditions[index]), [])
            group += [(index, image) for image in range(len(item.files))]
        self._load(Part.TRANSFORMER, Part.DECODER)
        try:
            if lora is not None:
                policy.restore(lora)
            names = [item.id for item in ready]
            for group in by_size.values():
                for start in range(0, len(group), self.batch):
                    wanted = group[start : start + self.batch]
                    if all((folder / ready[index].files[image]).exists() for index, image in wanted):
                        continue
                    for (index, image), picture in sample_images(
                        policy,
                        conditions,
                        wanted,
                        steps=self.steps,
                        seed=self.seed,
                        batch=len(wanted),
                        names=names,
                    ):
                        file = folder / ready[index].files[image]
                        if not file.exists():  # else it was there, and only keeps the batch what it was
                            file.parent.mkdir(parents=True, exist_ok=True)
                            save_image(file, picture)
                            yield ready[index]
        finally:
            policy.unload([Part.TRANSFORMER, Part.DECODER])

    def _encode(
        self, items: Sequence[Item], folder: Path, by_id: Mapping[str, Item], watch: Watch
    ) -> tuple[list[Item], list[Condition]]:
        """The items that can be painted, with their conditions; the others are problems."""
        from arrkit.rpo.encode import encode_or_reason
        from arrkit.rpo.policy import Part

        ready: list[Item] = []
        conditions: list[Condition] = []
        self._load(Part.ENCODERS)
        for start in range(0, len(items), self.batch):
            part = items[start : start + self.batch]
            prompts = [
                Prompt(item.id, item.task, item.prompt, sources_of(folder, item, by_id)) for item in part
            ]
            for item, made in zip(part, encode_or_reason(self.policy, prompts), strict=True):
                if isinstance(made, str):
                    self.problems.append(Problem(made, item.id))
                else:
                    ready.append(item)
                    conditions.append(made)
            for prompt in prompts:
                for picture in prompt.sources:
                    picture.release()
            watch(Progress("encode", start + len(part), len(items)))
        self.policy.unload([Part.ENCODERS])
        return ready, conditions

    def _load(self, *parts: Part) -> None:
        from arrkit.rpo.placing import dtype_for

        device = self.processes.device
        self.policy.load(parts, device=device, dtype=dtype_for(self.precision, device))


def _complete(folder: Path, item: Item) -> bool:
    return all(file.exists() for file in image_files(folder, item))
