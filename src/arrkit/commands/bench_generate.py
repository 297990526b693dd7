"""``bench generate``: the images of a benchmark, laid out as its own evaluator expects them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from arrkit.canonical import Json
from arrkit.commands.bench_inputs import Chosen, choose_benchmark
from arrkit.commands.bench_options import BenchGenerateOptions, PaintingOptions
from arrkit.commands.bench_paint import Painter, check_task, claim_images
from arrkit.commands.painting import fitting_adapter
from arrkit.commands.rpo_policies import choose_policy
from arrkit.commands.runs import going_on
from arrkit.errors import Problem
from arrkit.progress import Watch, unwatched

if TYPE_CHECKING:
    from arrkit.rpo.policy import Policy
    from arrkit.rpo.processes import Processes


@dataclass(frozen=True, slots=True)
class Generated:
    """Where the images are. ``painted`` of ``images`` were painted now, the others were there.

    ``problems`` are prompts that could not be painted; ``note`` says where not all prompts were taken.
    ``main`` is whether this process, of several, is the one that tells people.
    """

    benchmark: str
    policy: str
    lora: str
    steps: int
    out: Path
    images: int
    painted: int
    problems: tuple[Problem, ...] = ()
    note: str = ""
    main: bool = True


@dataclass(frozen=True, slots=True)
class Brush:
    """A policy that was named, with its adapter's file, before anything is loaded."""

    policy: Policy
    lora: Path | None
    lora_digest: str


def choose_brush(options: PaintingOptions, chosen: Chosen) -> Brush:
    """The policy and adapter of the options.

    Raises:
        InputError: one of them cannot be used, or the benchmark asks for something else.
    """
    policy = choose_policy(options.policy)
    check_task(policy, chosen.items, chosen.benchmark.name)
    lora = fitting_adapter(policy, options.lora)
    if lora is None:
        return Brush(policy, None, "")
    with lora.open("rb") as stream:
        return Brush(policy, lora, hashlib.file_digest(stream, "sha256").hexdigest())


@contextmanager
def painter(options: PaintingOptions, brush: Brush) -> Iterator[Painter]:
    """The policy at work, in this process or one of several. Nothing is loaded before it paints."""
    from arrkit.rpo.placing import settle_threads
    from arrkit.rpo.processes import join
    from arrkit.rpo.sample import usual_steps

    with join(options.device) as processes:
        settle_threads(brush.policy, processes.device)
        yield Painter(
            brush.policy,
            processes,
            steps=options.steps or usual_steps(brush.policy),
            seed=options.seed,
            batch=options.batch,
            precision=options.precision,
        )


def painted_by(brush: Brush, made: Painter, *, trained: bool) -> dict[str, Json]:
    """All that decides the images of given prompts, as it is kept beside them."""
    return {
        "policy": brush.policy.name,
        "model": dict(brush.policy.identity),
        "lora": brush.lora_digest if trained else "",
        "steps": made.steps,
        "seed": made.seed,
        "dtype": made.dtype,
    }


def all_problems(processes: Processes, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """What could not be painted by any of the processes."""
    mine: list[Json] = [[problem.what, problem.where] for problem in problems]
    found = cast("list[list[list[str]]]", processes.gather(mine))
    unique = dict.fromkeys(Problem(what, where) for each in found for what, where in each)
    return tuple(unique)


def generate_images(options: BenchGenerateOptions, *, watch: Watch = unwatched) -> Generated:
    """Paint all images of a benchmark that are not there yet, and write what belongs beside them.

    An image depends on the model, its adapter, the steps, the seed, the prompt's id and the image's number
    alone. The same command run again goes on where it stopped.

    Raises:
        InputError: benchmark, policy or adapter cannot be used, or the folder holds images that were painted
            otherwise; found before any weights are loaded.
    """
    chosen = choose_benchmark(options)
    brush = choose_brush(options, chosen)
    with going_on(options.out), painter(options, brush) as made:
        processes = made.processes
        by = painted_by(brush, made, trained=True)
        processes.on_main(lambda: begin_images(options.out, chosen, by, force=options.force))
        painted = made.paint(
            chosen.items,
            options.out,
            lora=brush.lora,
            watch=watch if processes.is_main else unwatched,
        )
        total = round(processes.total([painted])[0])
        problems = all_problems(processes, made.problems)
        if processes.is_main:
            chosen.benchmark.lay_out(options.out)
    return Generated(
        chosen.benchmark.name,
        brush.policy.name,
        str(brush.lora or ""),
        made.steps,
        options.out,
        chosen.images,
        total,
        problems,
        chosen.note,
        processes.is_main,
    )


def begin_images(folder: Path, chosen: Chosen, by: Mapping[str, Json], *, force: bool) -> None:
    """Claim a folder for images, and write what can be written before they are there."""
    claim_images(folder, chosen.items, by, force=force)
    chosen.benchmark.lay_out(folder)
