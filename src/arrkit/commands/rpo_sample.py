"""``rpo sample``: pictures of a policy, with or without an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arrkit.canonical import Json, canonical_json, refuse_existing, write_atomic
from arrkit.commands.painting import fitting_adapter, save_image
from arrkit.commands.rpo_policies import choose_policy
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt, read_prompts
from arrkit.errors import InputError, Problem
from arrkit.progress import Progress, Watch, unwatched
from arrkit.rpo.options import SampleOptions

if TYPE_CHECKING:
    from arrkit.rpo.policy import Policy


@dataclass(frozen=True, slots=True)
class Sampled:
    """Where the pictures are: ``files`` in the order of the prompts, and ``samples.jsonl`` beside them."""

    policy: str
    lora: str
    steps: int
    out: Path
    files: tuple[str, ...]


def sample_policy(options: SampleOptions, *, watch: Watch = unwatched) -> Sampled:
    """Paint ``count`` pictures for each prompt, as the model's own pipeline would, without injected noise.

    The encoders are let go before the transformer is loaded. A picture depends on the seed, the place of its
    prompt in the file and its number alone.

    Raises:
        InputError: policy, prompts, adapter or folder cannot be used; found before any weights are loaded,
            but for prompts that the encoders refuse.
    """
    policy = choose_policy(options.policy)
    refuse_existing(options.out / "samples.jsonl", force=options.force)
    lora = fitting_adapter(policy, options.lora)
    prompts = _prompts(options, policy)[: options.limit]
    _make(options.out)

    from arrkit.rpo.encode import encode_all
    from arrkit.rpo.placing import dtype_for
    from arrkit.rpo.policy import Part
    from arrkit.rpo.processes import join
    from arrkit.rpo.sample import sample_images, usual_steps

    steps = options.steps or usual_steps(policy)

    with join(options.device) as processes:
        watch = watch if processes.is_main else unwatched
        device, dtype = processes.device, dtype_for(options.precision, processes.device)
        conditions = encode_all(policy, prompts, device=device, dtype=dtype, batch=options.batch, watch=watch)
        policy.load([Part.TRANSFORMER, Part.DECODER], device=device, dtype=dtype)
        if lora is not None:
            policy.restore(lora)
        wanted = [(prompt, image) for prompt in range(len(prompts)) for image in range(options.count)]
        mine = processes.share(wanted)
        if processes.is_main:
            _clear(options.out)
        processes.barrier()
        made = sample_images(policy, conditions, mine, steps=steps, seed=options.seed, batch=options.batch)
        watch(Progress("paint", 0, len(mine)))
        for done, ((prompt, image), picture) in enumerate(made, start=1):
            save_image(options.out / _file(prompt, image), picture)
            watch(Progress("paint", done, len(mine)))
        processes.barrier()
        if processes.is_main:
            common: dict[str, Json] = {"policy": policy.name, "lora": str(lora or "")}
            common |= {"steps": steps, "seed": options.seed}
            rows = [_row(prompts[prompt], prompt, image, common) for prompt, image in wanted]
            write_atomic(options.out / "samples.jsonl", "".join(f"{row}\n" for row in rows))
    files = tuple(_file(prompt, image) for prompt, image in wanted)
    return Sampled(policy.name, str(lora or ""), steps, options.out, files)


def _prompts(options: SampleOptions, policy: Policy) -> tuple[Prompt, ...]:
    if options.prompts is not None and options.prompt:
        raise InputError("--prompts and --prompt are both given", hint="Give one of them.")
    if options.prompts is not None:
        return read_prompts(options.prompts, task=policy.task)
    if options.prompt:
        if policy.task is Task.EDIT:
            raise InputError(
                f"{policy.name} edits, and --prompt names no source image", hint="Give --prompts FILE.jsonl."
            )
        if any(not text.strip() for text in options.prompt):
            raise InputError(Problem("the prompt is empty", "--prompt"))
        return tuple(
            Prompt(f"prompt-{number}", policy.task, text, origin=f"--prompt {number}")
            for number, text in enumerate(options.prompt, start=1)
        )
    own = policy.prompts("test")
    if not own:
        raise InputError("no prompts are given", hint="Pass --prompts FILE or --prompt TEXT.")
    return own


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {out}: {error.strerror or error}") from error


def _clear(out: Path) -> None:
    """Remove what an earlier run painted, and nothing else."""
    for file in (*out.glob("[0-9][0-9][0-9][0-9][0-9]-*.png"), out / "samples.jsonl"):
        file.unlink(missing_ok=True)


def _file(prompt: int, image: int) -> str:
    return f"{prompt:05d}-{image}.png"


def _row(prompt: Prompt, number: int, image: int, common: dict[str, Json]) -> str:
    sources: Sequence[str] = [picture.name for picture in prompt.sources]
    row: dict[str, Json] = {"file": _file(number, image), "id": prompt.id, "prompt": prompt.text}
    if sources:
        row["sources"] = sources
    row |= {"image": image, **common}
    if prompt.metadata:
        row["metadata"] = dict(prompt.metadata)
    return canonical_json(row).decode()
