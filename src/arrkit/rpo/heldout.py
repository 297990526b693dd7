"""Prompts that are never trained on: painted by base and trained model from the same noise, and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arrkit.canonical import Json
from arrkit.data.pairs import Label
from arrkit.data.prompts import Prompt
from arrkit.rpo.against import Ask, Evaluation, Sitting, evaluation, evaluation_metrics, sit
from arrkit.rpo.alarm import Alarm, alarms, gap
from arrkit.rpo.lora import reference
from arrkit.rpo.policy import Condition, Policy
from arrkit.rpo.processes import Processes
from arrkit.rpo.reward import shown_source
from arrkit.rpo.ruling import Ruling
from arrkit.rpo.sample import sample_images
from arrkit.rpo.sheet import SheetRow, before_after, save_png
from arrkit.serial import from_json, to_json

if TYPE_CHECKING:
    from PIL.Image import Image

ON_A_SHEET = 8
"""How many prompts a sheet of pictures shows."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What this process painted last, one entry a prompt: images of both models, and what the judge said."""

    prompts: tuple[Prompt, ...]
    base: tuple[Image, ...]
    trained: tuple[Image, ...]
    rulings: tuple[Ruling, ...]

    def rows(self) -> list[SheetRow]:
        """As the rows of a sheet."""
        entries = zip(self.prompts, self.base, self.trained, self.rulings, strict=True)
        return [
            SheetRow(
                prompt.text,
                base,
                trained,
                source=_source(prompt),
                won={Label.A: True, Label.B: False}.get(ruling.preferred or Label.TIE),
                judged=ruling.preferred is not None,
            )
            for prompt, base, trained, ruling in entries
        ]


class HeldOut:
    """Compares the policy with its base, each time on the same prompts from the same noise.

    Args:
        steps: sampling steps, without injected noise.
        ask, watch: judges under the rubric that is trained on, and under the one that is only watched.
        sheets: folder for sheets of pictures.
        alarmed: is told of each alarm that goes off, on the first process.
        history: earlier evaluations of a run that was taken up again.
    """

    def __init__(
        self,
        policy: Policy,
        prompts: Sequence[Prompt],
        conditions: Sequence[Condition],
        processes: Processes,
        *,
        steps: int,
        seed: int,
        batch: int,
        ask: Ask,
        watch: Ask | None,
        sheets: Path,
        alarmed: Callable[[Alarm], None],
        history: Sequence[Evaluation] = (),
    ) -> None:
        self.policy = policy
        self.processes = processes
        self.history = list(history)
        self.pictures = Pictures((), (), (), ())
        self._prompts = prompts
        self._conditions = conditions
        self._mine = processes.share(range(len(prompts)))
        self._steps, self._seed, self._batch = steps, seed, batch
        self._ask, self._watch = ask, watch
        self._sheets = sheets
        self._alarmed = alarmed
        self._sounding = {alarm.what for alarm in alarms(self.history)}

    def __call__(self, update: int) -> Mapping[str, Json]:
        """Compare, and say what is to be logged; every process must call it."""
        mine = tuple(self._prompts[index] for index in self._mine)
        base = self.pictures.base
        if not base:
            with reference(self.policy.transformer):
                base = self._paint()
        trained = self._paint()
        sitting = sit(mine, base, trained, self._ask, update=update, watch=self._watch)
        self.pictures = Pictures(mine, base, trained, sitting.training)
        parts = self.processes.gather(to_json(sitting))
        found = evaluation(update, Sitting.joined(from_json(Sitting, part) for part in parts))
        self.history.append(found)
        if self.processes.is_main:
            self._show(self.pictures.rows()[:ON_A_SHEET], update)
            self._listen()
        apart = gap(found)
        between = {} if apart is None else {"gap": apart.value, "gap/low": apart.low, "gap/high": apart.high}
        return evaluation_metrics(found) | between

    def _show(self, rows: Sequence[SheetRow], update: int) -> None:
        sheet = before_after(rows, title=f"After {update} updates", columns=2)
        save_png(sheet, self._sheets / f"update-{update:06d}.png")

    def _listen(self) -> None:
        now = alarms(self.history)
        for alarm in now:
            if alarm.what not in self._sounding:
                self._alarmed(alarm)
        self._sounding = {alarm.what for alarm in now}

    def _paint(self) -> tuple[Image, ...]:
        wanted = [(index, 0) for index in self._mine]
        made = dict(
            sample_images(
                self.policy,
                self._conditions,
                wanted,
                steps=self._steps,
                seed=self._seed,
                batch=self._batch,
            )
        )
        return tuple(made[each] for each in wanted)


def _source(prompt: Prompt) -> Image | None:
    picture = shown_source(prompt)
    return None if picture is None else picture.load()
