"""``arrkit rpo``: train an image model against a rubric judge, and what belongs to that."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from arrkit.cli.bind import bind
from arrkit.cli.several import arguments_of, is_main, start_processes, starts_processes
from arrkit.errors import RunError
from arrkit.rpo.launching import PROMISE
from arrkit.rpo.options import PreprocessOptions, SampleOptions, TrainOptions

if TYPE_CHECKING:
    from arrkit.commands.rpo_train import TrainReport
    from arrkit.rpo.preprocess import Preprocessed
    from arrkit.rpo.store import StoreSize

app = typer.Typer(help="Train image models against a rubric judge.", no_args_is_help=True)


@bind(app, "rpo", "train", TrainOptions, example="arrkit rpo train --policy shapes --max-steps 3")
def train(options: TrainOptions, as_json: bool) -> int:
    """Train an adapter for a model: it paints images for a prompt, the judge says which are better.

    At the end the run folder holds a LoRA that diffusers loads, curves, pictures before and after, and how
    often the judge prefers the trained model to the base.
    """
    from arrkit.cli.progress import watching
    from arrkit.commands.rpo_train import train_policy

    if starts_processes(options.launch):
        return start_processes("rpo train", options, as_json)
    with watching() as watch:
        try:
            report = train_policy(options, watch=watch, notice=lambda text: typer.echo(text, err=True))
        except (KeyboardInterrupt, RunError) as stop:
            ours = PROMISE in os.environ or "WORLD_SIZE" not in os.environ  # else a launcher's command
            if ours and getattr(stop, "__notes__", []):  # there is something to go on from
                stop.add_note(f"  {_again(options)}")
            raise
    if report is not None:  # else another process has the last word
        _trained(report, options.policy, as_json)
    return 0


@bind(
    app,
    "rpo",
    "preprocess",
    PreprocessOptions,
    example="arrkit rpo preprocess --policy flux:black-forest-labs/FLUX.1-dev --prompts p.txt --out data",
)
def preprocess(options: PreprocessOptions, as_json: bool) -> int:
    """Encode prompts once, so that training needs no encoders: rpo train --data takes the folder.

    What is kept is exactly what the model's own pipeline would feed its transformer, in bf16 (or in fp32
    with --precision fp32). The same command run again encodes what is not there yet.
    """
    from arrkit.cli.progress import watching
    from arrkit.commands.rpo_preprocess import preprocess_prompts

    if starts_processes(options.launch):
        return start_processes("rpo preprocess", options, as_json)
    with watching() as watch:
        done = preprocess_prompts(options, watch=watch)
    if done.size is None:  # another process has the last word
        return 0
    _report(done, done.size, as_json)
    return 1 if done.problems else 0


@bind(
    app, "rpo", "sample", SampleOptions, example="arrkit rpo sample --policy shapes --lora runs/try --count 4"
)
def sample(options: SampleOptions, as_json: bool) -> None:
    """Paint images with a model, with or without a trained adapter."""
    from arrkit.cli import draw
    from arrkit.cli.progress import watching
    from arrkit.commands.rpo_sample import sample_policy

    with watching() as watch:
        sampled = sample_policy(options, watch=watch)
    if not is_main():
        return
    if as_json:
        draw.print_json(sampled)
        return
    images = "1 image" if len(sampled.files) == 1 else f"{len(sampled.files)} images"
    by = f"{sampled.policy} with {sampled.lora}" if sampled.lora else sampled.policy
    draw.console().print(f"{images} by {by}, {sampled.steps} steps: {sampled.out}", markup=False)


def _again(options: TrainOptions) -> str:
    """The command that goes on with a run."""
    count = os.environ.get(PROMISE, "")
    launch = [f"--launch={count}"] if count else []
    return shlex.join(["arrkit", "rpo", "train", *arguments_of(replace(options, resume=True)), *launch])


def _trained(report: TrainReport, spec: str, as_json: bool) -> None:
    from arrkit.cli import draw

    if as_json:
        draw.print_json(report)
        return
    out = draw.console()
    for line in report.sentences:
        out.print(line, markup=False)
    out.print(f"report   {report.folder / 'report.html'}", markup=False)
    out.print(f"adapter  {report.adapter}", markup=False)
    paint = shlex.join(["arrkit", "rpo", "sample", "--policy", spec, "--lora", str(report.folder)])
    out.print(f"paint    {paint}", markup=False, soft_wrap=True)


def _report(done: Preprocessed, size: StoreSize, as_json: bool) -> None:
    from arrkit.cli import draw

    if as_json:
        draw.print_json(
            {
                "folder": str(done.folder),
                "prompts": done.prompts,
                "encoded": done.encoded,
                "conditions": size.conditions,
                "bytes": size.bytes,
                "bytes_each": round(size.each),
                "problems": done.problems,
            }
        )
    else:
        out = draw.console()
        prompts = "1 prompt" if done.prompts == 1 else f"{done.prompts} prompts"
        out.print(f"{done.folder}: {prompts}, {done.encoded} encoded now", markup=False)
        out.print(
            f"{_size(size.each)} a condition, {_size(size.bytes)} for {size.conditions}",
            markup=False,
        )
    if done.problems:
        bad = len(done.problems)
        lines = [str(problem) for problem in done.problems]
        lines.append(
            f"{'1 problem' if bad == 1 else f'{bad} problems'}. The other prompts are in {done.folder}."
        )
        typer.echo("\n".join(lines), err=True)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1000
    return f"{count:.3g} GB"
