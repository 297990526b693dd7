"""GenEval as a benchmark: its prompts, its folders, a detector that looks, its table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arrkit.bench.cells import Tally, scores
from arrkit.bench.geneval import rules, table
from arrkit.bench.geneval.items import OFFICIAL, demand_of, prompts_digest, read_prompts
from arrkit.bench.geneval.results import is_result_file, items_of, read_results, units_of
from arrkit.bench.model import Asker, Item, Score, Status, Unit
from arrkit.bench.sources import Home, find_files
from arrkit.canonical import Json, write_atomic
from arrkit.data.files import LocalFiles
from arrkit.data.pairs import ImageUnreadable, Picture
from arrkit.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from arrkit.bench.geneval.detector import Detector, Seen

PROMPTS = "evaluation_metadata.jsonl"
HOME = Home(
    name="GenEval",
    files="553 prompts",
    license="MIT",
    url="https://github.com/djghosh13/geneval",
    folders=("prompts", ""),
)

DETECTOR = "facebook/mask2former-swin-small-coco-instance"
CLIP = "openai/clip-vit-large-patch14"
HF = "mask2former-hf"


class GenEval:
    """A :class:`~arrkit.bench.model.Benchmark`.

    Args:
        name: the canonical spec.
        data: a folder with the prompt file (or a copy of the official repository), or such a file under any
            name; or a result file, which names its prompts.
        images: how many images are painted for each prompt; four in the official evaluation.
        detector: a Mask2Former for COCO instances, as a folder of ``transformers`` or a name on the hub.
        clip: a CLIP for colours, likewise.
        device: where they run; empty is the first CUDA device, or else the CPU.
    """

    def __init__(
        self,
        name: str,
        *,
        data: str = "",
        images: int = 4,
        detector: str = DETECTOR,
        clip: str = CLIP,
        device: str = "",
    ) -> None:
        self.name = name
        self._data = data
        self._images = images
        self._models = (detector, clip, device)
        self._items: tuple[Item, ...] | None = None
        self._digested: str | None = None
        self._loaded: Detector | None = None
        self._answered_by: str | None = None

    @property
    def metric(self) -> str:
        """``geneval[mask2former-hf]``: the detector is not the official one, so the name is not either.

        After :meth:`read_answers` it names the detector of those answers, none for the official one.
        """
        return self._called(self._detector)

    @property
    def identity(self) -> Mapping[str, Json]:
        """The digest of the prompts, the models that look and all limits."""
        detector, clip, _ = self._models
        looks: dict[str, Json] = {"detector": detector, "clip": clip}
        if self._answered_by is not None:
            looks = {"detector": self._answered_by or "official"}
        return {
            **looks,
            "prompts": self._digest,
            "images": self._images,
            "threshold": rules.THRESHOLD,
            "counting_threshold": rules.COUNTING_THRESHOLD,
            "max_objects": rules.MOST,
            "position_threshold": rules.POSITION_MARGIN,
        }

    def items(self) -> Sequence[Item]:
        """One item a prompt, numbered as in the file.

        Raises:
            InputError: there is no prompt file, or lines of it cannot be used.
        """
        if self._items is None:
            given = Path(self._data).expanduser()
            if self._data and is_result_file(given):
                self._items = items_of(read_results(given), self._images)
            elif self._data and given.is_file():
                self._items = read_prompts(LocalFiles(given.parent), given.name, self._images)
            else:
                files = find_files(HOME, (PROMPTS,), data=self._data)
                self._items = read_prompts(files, PROMPTS, self._images)
        return self._items

    def lay_out(self, folder: Path) -> None:
        """Put each prompt's ``metadata.jsonl`` beside its ``samples``, as ``evaluate_images.py`` reads it."""
        for item in self.items():
            file = folder / item.id / "metadata.jsonl"
            text = json.dumps(item.facts) + "\n"
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                write_atomic(file, text)

    def scorer(self, asker: Asker | None) -> GenEvalScorer:  # noqa: ARG002 - the protocol's
        """The detector, loaded once; no judge is asked.

        Raises:
            InputError: packages or models are missing.
        """
        if self._loaded is None:
            try:
                from arrkit.bench.geneval.detector import Detector
            except ImportError as error:
                raise InputError(
                    f"GenEval's detector needs a package that is not installed: {error}",
                    hint='pip install "arrkit[rpo]", or score a result file: --answers FILE',
                ) from error
            self._loaded = Detector(*self._models)
        return GenEvalScorer(self._loaded, self._detector)

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """See :func:`arrkit.bench.geneval.table.tallies`; the name is that of the detector that looked."""
        looked = {_detector_of(unit) for unit in units if unit.status is Status.SCORED}
        detector = " and ".join(sorted(looked)) if looked else self._detector
        return table.tallies(self._called(detector), items, units)

    def aggregate(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Score, ...]:
        """The table."""
        return scores(self.tallies(items, units))

    def read_answers(self, file: Path) -> list[Unit]:
        """The lines of a result file of ``evaluate_images.py``, their verdicts tested again where possible.

        Raises:
            InputError: lines cannot be used, or are about other prompts.
        """
        units = units_of(read_results(file), self.items(), file.name)
        self._answered_by = " and ".join(sorted({_detector_of(unit) for unit in units}))
        return units

    @property
    def _detector(self) -> str:
        """What sets the detector apart: of other models than the usual ones, the last part of their names."""
        if self._answered_by is not None:
            return self._answered_by
        detector, clip, _ = self._models
        name = HF if detector == DETECTOR else f"{HF}:{_last(detector)}"
        return name if clip == CLIP else f"{name}+{_last(clip)}"

    def _called(self, detector: str) -> str:
        """``geneval`` with all that sets it apart in brackets: another detector, another set of prompts."""
        marks = [detector] if detector else []
        if self._items is not None and (other := self._digest) != OFFICIAL:
            marks.append(f"prompts={other[:8]}")
        return f"geneval[{','.join(marks)}]" if marks else "geneval"

    @property
    def _digest(self) -> str:
        if self._digested is None:
            self._digested = prompts_digest(self.items())
        return self._digested


class GenEvalScorer:
    """Looks at images with a detector and judges what it found by the rules."""

    def __init__(self, detector: Detector, name: str) -> None:
        self._detector = detector
        self._name = name
        self._turn = asyncio.Lock()

    async def score(self, item: Item, images: Sequence[Picture | None]) -> list[Unit]:
        """1 for each image that holds what was asked.

        The answer says why not, and holds the boxes that counted, by class.
        """
        demand = demand_of(item.facts)
        shown: dict[int, Image] = {}
        units: dict[int, Unit] = {}
        for number, picture in enumerate(images):
            try:
                if picture is None:
                    raise ImageUnreadable("there is no image")
                shown[number] = await asyncio.to_thread(picture.load)
            except ImageUnreadable as error:
                units[number] = Unit(
                    item=item.id, image=number, status=Status.MISSING, answer={"reason": str(error)}
                )
        # One at a time: the device has room for one batch of masks.
        async with self._turn:
            seen = await asyncio.to_thread(self._detector.look, list(shown.values()), demand)
        for number, each in zip(shown, seen, strict=True):
            units[number] = self._unit(item, number, each)
        return [units[number] for number in sorted(units)]

    def _unit(self, item: Item, number: int, seen: Seen) -> Unit:
        right = bool(seen.verdict.correct)
        answer: dict[str, Json] = {
            "correct": right,
            "reason": "\n".join(seen.verdict.reasons),
            "details": {name: [list(box) for box in boxes] for name, boxes in seen.boxes.items()},
            "detector": self._name,
        }
        return Unit(item=item.id, image=number, value=float(right), answer=answer)


def _last(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1]


def _detector_of(unit: Unit) -> str:
    """The detector that an answer names; empty for the official one."""
    name = unit.answer.get("detector", "") if isinstance(unit.answer, Mapping) else ""
    return name if isinstance(name, str) else ""
