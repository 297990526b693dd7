"""``rubric verify``: is a rubric file sound, and does a judge do better under it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from arrkit.commands.evaluate import foresee, measure
from arrkit.commands.inputs import NamedRubric, contenders, open_dataset, open_judge
from arrkit.commands.options import VerifyOptions
from arrkit.commands.pages import judge_page
from arrkit.commands.runs import open_run
from arrkit.concurrency import run_sync
from arrkit.data.pairs import PairDataset
from arrkit.errors import InputError
from arrkit.judge.calls.dry import Forecast
from arrkit.judge.choices import Orders
from arrkit.judge.protocol import Judge
from arrkit.judge.report import JudgeReport
from arrkit.judge.tally import TIE_CREDIT
from arrkit.options import identity
from arrkit.progress import Watch, unwatched
from arrkit.rubric.files import criterion_lines, parse_rubric, read_rubric, rubric_digest
from arrkit.rubric.library import find_rubric
from arrkit.rubric.lint import LintFinding, Severity, lint_rubric
from arrkit.rubric.model import Rubric
from arrkit.runs.page import write_page
from arrkit.serial import to_json


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What ``rubric verify`` found. ``measured`` is None where no pairs were given.

    ``failures`` says why the rubric did not pass, one sentence part each: errors among the findings, or an
    accuracy below the one asked for. Empty where it passed.
    """

    rubric: Rubric
    digest: str
    findings: tuple[LintFinding, ...]
    measured: JudgeReport | None
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures


def verify_rubric(
    options: VerifyOptions,
    *,
    judge: Judge | None = None,
    pairs: PairDataset | None = None,
    watch: Watch = unwatched,
) -> VerifyReport:
    """Check a rubric file (schema, digest, lint) and, with pairs, the judge's accuracy under it.

    Args:
        options: which rubric, on what; see each field.
        judge, pairs: ready-made ones, instead of those that the options name.
        watch: is told of the progress.

    Raises:
        InputError: the file is not a valid, sealed rubric, with every problem at once; or the pairs or the
            judge cannot be used.
        RunError: no pair could be judged.
    """
    found = find_rubric(options.rubric)
    rubric = parse_rubric(found.text, found.name)
    findings = lint_rubric(rubric, criterion_lines(found.text))
    measured = None
    if pairs is not None or options.pairs is not None or options.dataset:
        measured = _measured(options, rubric, judge, pairs, watch)
    elif options.min_accuracy is not None:
        raise InputError(
            "--min-accuracy needs pairs to measure on",
            hint=f"Add --pairs FILE, or --dataset shapes-{rubric.task}:test.",
        )
    failures = tuple(_failures(findings, measured, options.min_accuracy))
    return VerifyReport(rubric, rubric_digest(rubric), findings, measured, failures)


def forecast_verify(options: VerifyOptions) -> Forecast:
    """What :func:`verify_rubric` would send and cost. Nothing is sent.

    Raises:
        InputError: as for verifying, or there is nothing to send.
    """
    if options.pairs is None and not options.dataset:
        raise InputError(
            "without pairs nothing is sent, so there is nothing to foresee",
            hint="Leave out --dry-run, or add --pairs FILE.",
        )
    rubric = read_rubric(options.rubric)
    named = NamedRubric(rubric.name, rubric, rubric_digest(rubric))
    dataset = open_dataset(options, task=rubric.task, split="test")
    tried = contenders([named], baseline=True)
    return foresee(open_judge(options), dataset, tried, orders=Orders.BOTH, seed=options.seed)


def _failures(
    findings: Sequence[LintFinding], measured: JudgeReport | None, least: float | None
) -> Iterator[str]:
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if errors:
        yield f"{errors} of the findings above {'is an error' if errors == 1 else 'are errors'}"
    if measured is None or least is None:
        return
    rate = measured.rows[-1].stats.accuracy
    if rate is None:
        yield f"no judgment decided anything, so that the accuracy of {least:g} asked for is not shown"
    elif rate.value < least:
        yield f"the accuracy is {rate.value:.3f}, below the {least:g} asked for"


def _measured(
    options: VerifyOptions, rubric: Rubric, judge: Judge | None, pairs: PairDataset | None, watch: Watch
) -> JudgeReport:
    chosen = open_judge(options, ready=judge)
    dataset = pairs if pairs is not None else open_dataset(options, task=rubric.task, split="test")
    named = NamedRubric(rubric.name, rubric, rubric_digest(rubric))
    tried = contenders([named], baseline=True)
    known = identity(options) | {"judge": chosen.name, "dataset": dataset.name, "rubric": named.digest}
    known.pop("min_accuracy")
    with (
        open_run("rubric verify", known, options.out, force=options.force) as run,
        chosen.at_work(run) as bench,
    ):
        report, evaluation = run_sync(
            measure(
                bench,
                dataset,
                tried,
                options,
                orders=Orders.BOTH,
                tie_credit=TIE_CREDIT,
                rubrics=[named],
                watch=watch,
                run=run,
            )
        )
        run.write_json("report.json", to_json(report, defaults=True))
        page = judge_page("rubric verify", report, evaluation, tried, [named], started_at=run.started_at)
        write_page(page, run.path / "report.html")
    return report
