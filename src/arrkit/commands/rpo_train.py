"""``rpo train``: from options to a trained adapter in a run folder.

All that can be found wrong is found, together, before a judge is asked; the judge is asked before weights are
loaded. After that only what nobody could know beforehand goes wrong.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from arrkit.canonical import Json, digest
from arrkit.commands.inputs import EMBEDDED_JUDGE, NamedRubric, open_rubrics
from arrkit.commands.judges import ChosenJudge, choose_judge
from arrkit.commands.options import JudgingOptions
from arrkit.commands.painting import ADAPTER, find_adapter
from arrkit.commands.rpo_policies import choose_policy
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt, read_prompts
from arrkit.errors import InputError, Problem, RunError
from arrkit.judge.protocol import Judge
from arrkit.progress import Watch, unwatched
from arrkit.rpo.options import RubricMode, TrainOptions
from arrkit.rpo.recipe import Algorithm, Preset, Recipe, Reward, Schedule, Trust, recipe_for
from arrkit.rubric.files import require_task
from arrkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from arrkit.rpo.against import Evaluation
    from arrkit.rpo.job import Job
    from arrkit.rpo.policy import Policy
    from arrkit.rpo.processes import Processes
    from arrkit.rpo.store import ConditionStore

T = TypeVar("T")

Notice = Callable[[str], None]
"""Is told, in a sentence, what whoever runs the command should hear at once."""

HELD_BACK = 0.1
"""The share of the prompts that is kept back to compare on, where no other prompts are named."""

ZERO_SHOT_CRITERIA = 5

COMMAND = "rpo train"

EMBEDDED_RUBRICS = {Task.T2I: "shapes-painting", Task.EDIT: "shapes-edit"}
"""The rubrics that the embedded policy is trained on; ``make rubrics`` builds them."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training run came to. ``evaluation`` is the last comparison with the base model."""

    policy: str
    judge: str
    rubric: str
    folder: Path
    adapter: Path
    updates: int
    seconds: float
    evaluation: Evaluation | None
    alarms: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """What a person wants to hear of it."""
        took = f"{self.seconds / 60:.1f} min" if self.seconds >= 90 else f"{self.seconds:.0f} s"
        updates = "1 update" if self.updates == 1 else f"{self.updates} updates"
        said = [f"{self.policy} after {updates} under {self.rubric} ({took})"]
        found = self.evaluation.training if self.evaluation is not None else None
        if found is not None and found.win_rate is not None:
            rate = found.win_rate
            said.append(
                f"The judge {self.judge} prefers it to the base in {100 * rate.value:.1f} "
                f"[{100 * rate.low:.0f}, {100 * rate.high:.0f}] % of {rate.n} held-out prompts "
                f"({found.wins} wins, {found.ties} ties, {found.losses} losses)"
            )
        else:
            said.append("It was not compared with the base: no prompts were held out, or none was judged.")
        return said + [f"Alarm: {message}" for message in self.alarms]


def train_policy(
    options: TrainOptions,
    *,
    policy: Policy | None = None,
    judge: Judge | None = None,
    watch: Watch = unwatched,
    notice: Notice = lambda _: None,
) -> TrainReport | None:
    """Train an adapter for a model against a judge, and compare it with the model that it began as.

    In a process of several (see :mod:`arrkit.rpo.launching`) each returns when all are done; the first one
    writes and has the report, the others None.

    Args:
        policy, judge: ready-made ones, instead of those that the options name.
        watch, notice: are told of the progress, and of what should be heard at once.

    Raises:
        InputError: what the options name cannot be used; all of it is listed, and nothing was loaded.
        RunError: the run cannot go on; where it got to is in a checkpoint, for ``--resume``.
    """
    prepared = _prepare(options, policy, judge)
    from arrkit.rpo.processes import join

    with join(options.device) as processes:
        quiet: Notice = notice if processes.is_main else lambda _: None
        watch = watch if processes.is_main else unwatched
        if processes.world > 1:
            quiet(processes.describe())
        with _folder(prepared, processes) as (folder, started_at), _telling_how_to_go_on(folder):
            return _run(prepared, folder, processes, started_at, watch=watch, notice=quiet)


@contextmanager
def _telling_how_to_go_on(folder: Path) -> Iterator[None]:
    """What stops a run that has got somewhere carries a note on where that is kept."""
    try:
        yield
    except (KeyboardInterrupt, RunError) as stop:
        from arrkit.rpo.checkpoint import latest

        newest, _ = latest(folder)
        if newest is not None and getattr(stop, "resumable", True):
            updates = "1 update is" if newest.step == 1 else f"{newest.step} updates are"
            stop.add_note(f"{updates} saved in {newest.path}: --resume goes on from there.")
        raise


def _run(
    prepared: Prepared,
    folder: Path,
    processes: Processes,
    started_at: str,
    *,
    watch: Watch,
    notice: Notice,
) -> TrainReport | None:
    from arrkit.commands.rpo_results import write_results
    from arrkit.rpo.job import JobProcess, find_checkpoint
    from arrkit.rpo.reward import Referee

    began = time.monotonic()
    job = prepared.job
    found = find_checkpoint(job, folder, processes, notice)
    zero_shot = job.options.rubric_mode is RubricMode.ZERO_SHOT
    with (
        prepared.judge.at_work() as bench,
        Referee(
            bench.session,
            prepared.rubric.rubric.dimensions if prepared.rubric else (),
            zero_shot=ZERO_SHOT_CRITERIA if zero_shot else 0,
            window=bench.window,
            totals=bench.totals,
            revive=bench.revive,
            notice=notice,
        ) as referee,
    ):
        processes.on_main(lambda: referee.check(job.policy.task))
        outcome = JobProcess(job, folder, processes, referee, watch, notice).train(found)
    if not processes.is_main:
        return None
    evaluations = outcome.history.evaluations
    report = TrainReport(
        policy=job.policy.name,
        judge=prepared.judge.name,
        rubric=prepared.rubric.shown if prepared.rubric else "zero-shot",
        folder=folder,
        adapter=folder / ADAPTER,
        updates=outcome.updates,
        seconds=time.monotonic() - began,
        evaluation=evaluations[-1] if evaluations else None,
        alarms=outcome.alarms,
    )
    rows = outcome.pictures.rows() if outcome.pictures is not None else []
    write_results(prepared, report, outcome.history, rows, started_at=started_at, processes=processes.world)
    return report


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a run needs, with nothing loaded: the job, who judges it and under what."""

    job: Job
    judge: ChosenJudge
    rubric: NamedRubric | None
    watched: NamedRubric | None


def _prepare(options: TrainOptions, policy: Policy | None, judge: Judge | None) -> Prepared:
    policy = policy or choose_policy(options.policy)
    from arrkit.rpo.job import Job
    from arrkit.rpo.log import check_trackers
    from arrkit.rpo.lora import check_adapter, check_targets

    found = _Problems()
    recipe = found.of(lambda: _recipe(options, policy)) or Recipe()
    targets = tuple(options.targets or policy.targets)
    skeleton = found.of(policy.skeleton)
    found += check_targets(skeleton, targets) if skeleton is not None else []
    found += check_trackers(options.log_with)
    embedded = bool(policy.prompts("train"))
    rubric = found.of(lambda: _rubric(options, policy.task, embedded))
    watched = found.of(lambda: _named(options.watch_rubric, policy.task)) if options.watch_rubric else None
    chosen = found.of(lambda: _judge(options, judge, embedded, findings=recipe.reward.compares))
    start = options.lora
    lora = found.of(lambda: find_adapter(start)) if start is not None else None
    found += check_adapter(skeleton, lora) if skeleton is not None and lora is not None else []
    store = found.of(lambda: _store(options, policy)) if options.data else None
    given = found.of(lambda: _prompts(options, policy, store))
    found.check()
    assert chosen is not None
    assert given is not None
    prompts, held_out = given
    known: dict[str, Json] = asdict(recipe)
    if recipe.schedule is Schedule.CONSTANT:
        del known["max_steps"]  # then it is where to stop and no more
    marks: dict[str, Json] = {
        "policy": policy.name,
        "model": digest(dict(policy.identity)),
        "recipe": known,
        "targets": list(targets),
        "judge": chosen.name,
        "rubric": rubric.digest if rubric else f"zero-shot, {ZERO_SHOT_CRITERIA} criteria",
        "prompts": digest([[prompt.task, prompt.text] for prompt in prompts]),
        "start": str(lora or ""),
        "seed": options.seed,
    }
    job = Job(
        options=options,
        policy=policy,
        recipe=recipe,
        batch=options.batch or int(policy.suggested.get("batch", 8)),
        targets=targets,
        marks=marks,
        prompts=prompts,
        held_out=held_out,
        store=store,
        lora=lora,
        watched=watched.rubric.dimensions if watched else (),
    )
    return Prepared(job, chosen, rubric, watched)


class _Problems(list[Problem]):
    """What was found wrong so far, to be told together."""

    def of(self, work: Callable[[], T]) -> T | None:
        """What ``work`` gives, or None where it refuses."""
        try:
            return work()
        except InputError as error:
            self.extend(error.problems)
            return None

    def check(self) -> None:
        if self:
            raise InputError(list(self), closing="Nothing was loaded.")


def _recipe(options: TrainOptions, policy: Policy) -> Recipe:
    names = {field.name for field in fields(Recipe)}
    given = {name: getattr(options, name, None) for name in names}
    suggested = {name: value for name, value in policy.suggested.items() if name in names}
    recipe = recipe_for(options.preset, suggested, given)
    problems = []
    if recipe.updates > 1 and recipe.trust is Trust.NONE:
        hint = "Add --trust ratio-norm, or make one update for each rollout."
        problems.append(Problem("several updates for one rollout need a trust region", "--updates", hint))
    if recipe.steps < 2:
        problems.append(Problem("one step leaves none to be trained: the last never is", "--steps"))
    if options.defer and (recipe.trust is not Trust.NONE or recipe.updates > 1):
        problems.append(Problem("--defer needs one update on policy, without a trust region", "--defer"))
    problems += _algorithm(options, recipe)
    if problems:
        raise InputError(problems)
    return recipe


def _algorithm(options: TrainOptions, recipe: Recipe) -> list[Problem]:
    """What does not go together of an algorithm, its reward, and options that are another one's."""
    problems = []
    if options.mix is not None and recipe.reward is not Reward.MIXTURE:
        problems.append(Problem(f"--mix has no meaning for the reward {recipe.reward}", "--mix"))
    if options.stop_gap is not None and not options.watch_rubric:
        hint = "Add --watch-rubric with a rubric that is not trained on."
        problems.append(Problem("--stop-gap needs a second rubric to compare with", "--stop-gap", hint))
    if options.stop_gap is not None and not options.eval_every:
        problems.append(Problem("--stop-gap looks at evaluations, and there are none", "--eval-every"))
    if recipe.algorithm is Algorithm.RPO:
        if recipe.group != 2:
            hint = "Add --algorithm flow-grpo."
            problems.append(Problem("rpo samples two images for each prompt", "--group", hint))
        return problems
    if options.preset is Preset.PAPER:
        hint = "Leave --preset out, and give the numbers that you want one by one."
        problems.append(Problem("the paper's preset is RPO as published, not flow-grpo", "--preset", hint))
    if options.win is not None or options.lose is not None:
        problems.append(Problem("flow-grpo takes advantages from rewards, not --win and --lose", "--win"))
    if options.defer:
        problems.append(Problem("--defer signs gradients of pairs, not of groups", "--defer"))
    return problems


def _rubric(options: TrainOptions, task: Task, embedded: bool) -> NamedRubric | None:
    if options.rubric_mode is RubricMode.ZERO_SHOT:
        if options.rubric:
            raise InputError(
                Problem("--rubric is given, and --rubric-mode zero-shot uses none", hint="Leave one out.")
            )
        return None
    name = options.rubric or (EMBEDDED_RUBRICS[task] if embedded else "")
    if not name:
        raise InputError(
            Problem(
                "no rubric is named",
                "--rubric",
                f"arrkit rubric build --task {task} learns one, arrkit rubric list shows some.",
            )
        )
    return _named(name, task)


def _named(name: str, task: Task) -> NamedRubric:
    (rubric,) = open_rubrics([name])
    require_task(rubric.rubric, task, name)
    return rubric


def _judge(options: TrainOptions, ready: Judge | None, embedded: bool, *, findings: bool) -> ChosenJudge:
    judging = JudgingOptions(
        judge=options.judge,
        concurrency=options.concurrency,
        max_cost=options.max_cost,
        seed=options.seed,
    )
    if ready is not None:
        return ChosenJudge(ready, judging, findings=findings)
    return choose_judge(options.judge or (EMBEDDED_JUDGE if embedded else ""), judging, findings=findings)


def _store(options: TrainOptions, policy: Policy) -> ConditionStore:
    from arrkit.rpo.store import open_store

    assert options.data is not None
    return open_store(options.data, policy)


def _prompts(
    options: TrainOptions, policy: Policy, store: ConditionStore | None
) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """The prompts to train on, and those to compare on."""
    if options.prompts is not None and options.data is not None:
        raise InputError("--prompts and --data are both given", hint="Give one of them.")
    if options.prompts is not None:
        prompts = read_prompts(options.prompts, task=policy.task)
    elif options.data is not None:
        prompts = store.prompts if store is not None else ()
    else:
        prompts = policy.prompts("train")
        if not prompts:
            raise InputError(
                "no prompts are given", hint="Pass --prompts FILE, or --data DIR that rpo preprocess wrote."
            )
    if options.eval_prompts is not None:
        return prompts, read_prompts(options.eval_prompts, task=policy.task)[: options.eval_pairs]
    own = policy.prompts("test") if options.prompts is None and options.data is None else ()
    if own:
        return prompts, own[: options.eval_pairs]
    return _hold_back(prompts, options.eval_pairs)


def _hold_back(prompts: Sequence[Prompt], most: int) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """Keep some prompts back; which ones, their text alone decides. None of a handful."""
    count = min(most, int(len(prompts) * HELD_BACK))
    ranked = sorted(range(len(prompts)), key=lambda index: digest(prompts[index].text))
    kept = set(ranked[:count])
    return (
        tuple(prompt for index, prompt in enumerate(prompts) if index not in kept),
        tuple(prompts[index] for index in sorted(kept)),
    )


@contextmanager
def _folder(prepared: Prepared, processes: Processes) -> Iterator[tuple[Path, str]]:
    """The run folder, which only the first process opens, and when the run began."""
    from arrkit.rpo.job import refuse_changes

    job = prepared.job
    if not processes.is_main:
        told = processes.on_main(lambda: None)
        assert isinstance(told, list)
        yield Path(str(told[0])), str(told[1])
        return
    opened: list[RunFolder] = []

    def open_folder() -> Json:
        if job.options.resume and job.options.out is not None:
            refuse_changes(job, job.options.out)
        path = job.options.out
        force = job.options.force or (path is not None and _came_to_nothing(path))
        opened.append(RunFolder(COMMAND, job.marks, path=path, force=force))
        return [str(opened[0].path), opened[0].started_at]

    try:
        processes.on_main(open_folder)
        with opened[0] as run:
            yield run.path, run.started_at
    finally:
        for each in opened:
            each.close()


def _came_to_nothing(folder: Path) -> bool:
    """Whether a training run was begun in ``folder`` and made no update: another one may have its place."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    log = folder / "metrics.jsonl"
    return (
        isinstance(config, dict)
        and config.get("command") == COMMAND
        and not (log.exists() and log.stat().st_size)
        and not any(folder.glob("checkpoint-*"))
    )
