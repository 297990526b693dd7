"""One judge or several that decide together, from their specs to a panel that can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from arrkit.commands.inputs import open_named_judge
from arrkit.commands.judges import Bench, ChosenJudge
from arrkit.commands.options import MeasuringOptions
from arrkit.errors import InputError
from arrkit.judge.calls.dry import Forecast
from arrkit.judge.calls.money import Budget
from arrkit.judge.calls.totals import CallTotals, together
from arrkit.judge.choices import Ensemble
from arrkit.judge.ensemble import SURE_MARGIN, Panel, panel_name
from arrkit.judge.protocol import Judge
from arrkit.judge.session import JudgeSession
from arrkit.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class PanelBench:
    """Several judges at work; beside that as :class:`~arrkit.commands.judges.Bench`."""

    panel: Panel
    benches: tuple[Bench, ...]

    @property
    def window(self) -> int:
        """How many pairs are under way at once: as many as the busiest of them can take."""
        return max(bench.window for bench in self.benches)

    @property
    def totals(self) -> CallTotals | None:
        """What the calls of all came to; None where none of them sends anything."""
        held = [bench.totals for bench in self.benches if bench.totals is not None]
        return together(held) if held else None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should hear of the caches, each thing once."""
        return tuple(dict.fromkeys(remark for bench in self.benches for remark in bench.remarks))


class ChosenPanel:
    """Judges that were named, not yet asked. ``name`` decides which run their answers belong to."""

    def __init__(
        self,
        judges: tuple[ChosenJudge, ...],
        shown: tuple[str, ...],
        rule: Ensemble,
        options: MeasuringOptions,
    ) -> None:
        self._judges = judges
        self._shown = shown
        self._rule = rule
        self._margin = SURE_MARGIN if options.margin is None else options.margin
        self._max_cost = options.max_cost
        self.name = panel_name(rule, [judge.name for judge in judges])

    @contextmanager
    def at_work(self, run: RunFolder | None = None) -> Iterator[PanelBench]:
        """The judges, asked through the journal of ``run`` on one budget. Whoever gets them closes them."""
        budget = Budget(self._max_cost, self.name)
        with ExitStack() as stack:
            benches = tuple(
                stack.enter_context(judge.at_work(run, budget=budget, batches=f"batches{end}.jsonl"))
                for judge, end in zip(self._judges, self._ends(), strict=True)
            )
            yield PanelBench(self._panel([bench.session for bench in benches]), benches)

    @contextmanager
    def on_paper(self) -> Iterator[tuple[Panel, Forecast]]:
        """The judges with nothing sent: those that send nothing anyway are asked, the others counted."""
        if not any(judge.sends for judge in self._judges):
            raise InputError(
                f"{self.name} sends nothing, so there is nothing to foresee", hint="Leave out --dry-run."
            )
        forecast = Forecast()
        with ExitStack() as stack:
            sessions: list[JudgeSession] = []
            for judge in self._judges:
                if judge.sends:
                    sessions.append(stack.enter_context(judge.on_paper(forecast))[0])
                else:
                    sessions.append(stack.enter_context(judge.at_work()).session)
            yield self._panel(sessions), forecast

    def _panel(self, sessions: list[JudgeSession]) -> Panel:
        return Panel(tuple(sessions), self._shown, self._rule, self._margin)

    def _ends(self) -> list[str]:
        return ["" if place == 1 else f"-{place}" for place in range(1, len(self._judges) + 1)]


def open_panel(options: MeasuringOptions, *, ready: Judge | None = None) -> ChosenJudge | ChosenPanel:
    """The judge that the options name, or the judges that decide together.

    ``ready`` is a judge made elsewhere, which then serves alone.

    Raises:
        InputError: as for one judge; several without a rule or a rule without several, one judge twice.
    """
    names = options.judge
    if options.margin is not None and options.ensemble is not Ensemble.CASCADE:
        raise InputError("--margin is for a cascade", hint="Leave --margin out, or add --ensemble cascade.")
    if ready is not None or (len(names) < 2 and options.ensemble is None):
        return open_named_judge(names[0] if names else "", options, ready=ready)
    if len(names) < 2:
        raise InputError(
            f"--ensemble {options.ensemble} needs at least two judges",
            hint="Give --judge once for each of them" + (", the cheapest first." if names else "."),
        )
    if options.ensemble is None:
        rules = ", ".join(Ensemble)
        raise InputError(
            f"{len(names)} judges are named, and nothing says how they decide together",
            hint=f"Add --ensemble with one of: {rules}.",
        )
    judges = tuple(open_named_judge(name, options) for name in names)
    held = [judge.name for judge in judges]
    twice = next((name for name, full in zip(names, held, strict=True) if held.count(full) > 1), None)
    if twice is not None:
        raise InputError(
            f"the judge {twice} is named twice, and would answer the same twice",
            hint="Name it once, or tell the two apart by an option such as shapes?seed=1.",
        )
    return ChosenPanel(judges, tuple(names), options.ensemble, options)
