"""The options of ``arrkit rpo``. Imported for ``--help``, so nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from arrkit.options import Opt
from arrkit.rpo.recipe import (
    Algorithm,
    Divergence,
    GridKind,
    Noise,
    Preset,
    Reward,
    Schedule,
    StepWeight,
    Trust,
    Window,
)


class RubricMode(StrEnum):
    """``static``: one rubric for all prompts; ``zero-shot``: the judge writes criteria for each prompt."""

    STATIC = "static"
    ZERO_SHOT = "zero-shot"


class Precision(StrEnum):
    """The data type of the frozen model; latents, sampler and adapters are float32 always."""

    BF16 = "bf16"
    FP32 = "fp32"


PolicySpec = Annotated[
    str, Opt("policy plug-in, such as shapes or flux:black-forest-labs/FLUX.1-dev", metavar="SPEC")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions:
    """Which model, on what. Each command says ``policy`` again, so that its help begins with it."""

    policy: PolicySpec
    precision: Annotated[
        Precision | None, Opt("data type of the frozen model [bf16 on a GPU, fp32 on a CPU]", rare=True)
    ] = None
    device: Annotated[
        str, Opt("device to run on [the GPU where there is one]", metavar="NAME", rare=True, identity=False)
    ] = ""
    seed: Annotated[int, Opt("makes everything that is drawn repeatable", metavar="N")] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions(PolicyOptions):
    """Options of ``arrkit rpo train``. Those whose default is None are the preset's."""

    policy: PolicySpec
    prompts: Annotated[
        Path | None, Opt("file of prompts, text or rows, or the name of a set", metavar="FILE")
    ] = None
    data: Annotated[
        Path | None, Opt("folder that rpo preprocess wrote, instead of prompts", metavar="DIR")
    ] = None
    eval_prompts: Annotated[
        Path | None,
        Opt("held-out prompts to compare with the base model on [a share kept back]", metavar="FILE"),
    ] = None
    rubric: Annotated[str, Opt("rubric file or shipped name", metavar="FILE|NAME")] = ""
    rubric_mode: Annotated[RubricMode, Opt("one rubric for all prompts, or criteria for each", rare=True)] = (
        RubricMode.STATIC
    )
    watch_rubric: Annotated[
        str,
        Opt("another rubric, never trained on, that the alarm listens to", metavar="FILE|NAME", rare=True),
    ] = ""
    judge: Annotated[str, Opt("judge plug-in, such as vllm:Qwen/Qwen3-VL-8B-Instruct", metavar="SPEC")] = ""
    concurrency: Annotated[
        int, Opt("requests to the judge under way at once", metavar="N", low=1, identity=False)
    ] = 16
    preset: Annotated[Preset, Opt("recommended, or paper: RPO exactly as published")] = Preset.RECOMMENDED
    algorithm: Annotated[Algorithm, Opt("pairs under rpo, or groups of images under flow-grpo")] = (
        Algorithm.RPO
    )
    reward: Annotated[
        Reward | None, Opt("what the judge is asked [pairwise for rpo, weighted for flow-grpo]")
    ] = None
    max_steps: Annotated[int | None, Opt("optimiser updates", metavar="N", low=1)] = None
    pairs: Annotated[int | None, Opt("pairs or groups sampled for one update", metavar="N", low=1)] = None
    learning_rate: Annotated[float | None, Opt("of AdamW", metavar="X", low=0)] = None
    rank: Annotated[int | None, Opt("rank of the adapters", metavar="N", low=1)] = None
    out: Annotated[Path | None, Opt("run folder [runs/...]", metavar="DIR", identity=False)] = None
    resume: Annotated[bool, Opt("go on from the last checkpoint of the run folder", identity=False)] = False
    force: Annotated[bool, Opt("use the run folder even if it holds another run", identity=False)] = False
    launch: Annotated[
        int, Opt("start this many processes, one for each GPU", metavar="N", low=0, identity=False)
    ] = 0

    batch: Annotated[
        int | None,
        Opt(
            "images sampled and trained on at once [8, or what suits the model]",
            metavar="N",
            low=1,
            rare=True,
            identity=False,
        ),
    ] = None
    group: Annotated[
        int | None, Opt("images of one prompt under flow-grpo [8]", metavar="G", low=2, rare=True)
    ] = None
    mix: Annotated[
        float | None,
        Opt("share of the weighted reward in a mixture", metavar="X", low=0, high=1, rare=True),
    ] = None
    steps: Annotated[int | None, Opt("sampling steps", metavar="N", low=1, rare=True)] = None
    noise: Annotated[Noise | None, Opt("kind of the injected noise", rare=True)] = None
    level: Annotated[float | None, Opt("eta of dance, a of flow and cps", metavar="X", low=0, rare=True)] = (
        None
    )
    window: Annotated[Window | None, Opt("which steps are stochastic and trained", rare=True)] = None
    window_size: Annotated[int | None, Opt("how many they are", metavar="N", low=1, rare=True)] = None
    window_range: Annotated[
        int | None, Opt("the first steps that they are drawn from", metavar="N", low=1, rare=True)
    ] = None
    shared_start: Annotated[
        bool | None, Opt("all images of a prompt begin from the same noise", rare=True)
    ] = None
    grid: Annotated[GridKind | None, Opt("noise levels of the sampler", rare=True)] = None
    win: Annotated[float | None, Opt("advantage of the preferred image", metavar="X", rare=True)] = None
    lose: Annotated[float | None, Opt("advantage of the other image", metavar="X", rare=True)] = None
    updates: Annotated[
        int | None, Opt("optimiser updates for one rollout", metavar="N", low=1, rare=True)
    ] = None
    trust: Annotated[Trust | None, Opt("what keeps an update near the policy that sampled", rare=True)] = None
    clip: Annotated[float | None, Opt("of the ratio", metavar="X", low=0, rare=True)] = None
    divergence: Annotated[Divergence | None, Opt("penalty for leaving the base model", rare=True)] = None
    beta: Annotated[float | None, Opt("its weight", metavar="X", low=0, rare=True)] = None
    step_weight: Annotated[StepWeight | None, Opt("how much the gradient of a step counts", rare=True)] = None
    alpha: Annotated[float | None, Opt("alpha of the adapters", metavar="X", low=0, rare=True)] = None
    targets: Annotated[
        tuple[str, ...],
        Opt("modules that get adapters [the policy's]; repeatable", metavar="NAME", rare=True),
    ] = ()
    lora: Annotated[Path | None, Opt("begin from this adapter", metavar="FILE", rare=True)] = None
    warmup: Annotated[int | None, Opt("updates of warm-up", metavar="N", low=0, rare=True)] = None
    schedule: Annotated[Schedule | None, Opt("of the learning rate", rare=True)] = None
    weight_decay: Annotated[float | None, Opt("of AdamW", metavar="X", low=0, rare=True)] = None
    grad_clip: Annotated[
        float | None, Opt("norm at which gradients are cut", metavar="X", low=0, rare=True)
    ] = None
    ema: Annotated[
        float | None, Opt("decay of an average adapter", low=0, high=1, metavar="X", rare=True)
    ] = None
    checkpoint_every: Annotated[
        int, Opt("updates between checkpoints", metavar="N", low=1, rare=True, identity=False)
    ] = 25
    keep: Annotated[int, Opt("checkpoints kept", metavar="N", low=1, rare=True, identity=False)] = 3
    eval_every: Annotated[
        int,
        Opt("updates between comparisons with the base model", metavar="N", low=0, rare=True, identity=False),
    ] = 25
    eval_pairs: Annotated[
        int, Opt("held-out prompts compared", metavar="N", low=1, rare=True, identity=False)
    ] = 32
    stop_gap: Annotated[
        float | None,
        Opt(
            "stop when the trained rubric's win-rate is surely X above the watched one's",
            metavar="X",
            low=0,
            high=1,
            rare=True,
            identity=False,
        ),
    ] = None
    max_failures: Annotated[
        float,
        Opt("share of pairs without a verdict at which the run stops", low=0, high=1, metavar="X", rare=True),
    ] = 0.5
    max_bad_updates: Annotated[
        int, Opt("updates in a row with non-finite numbers before it stops", metavar="K", low=1, rare=True)
    ] = 5
    defer: Annotated[
        bool,
        Opt("back-propagate before the verdicts, sign later: for slow judges", rare=True, identity=False),
    ] = False
    compile: Annotated[bool, Opt("compile the transformer's blocks", rare=True, identity=False)] = False
    gradient_checkpointing: Annotated[
        bool, Opt("recompute activations: less memory, slower", rare=True, identity=False)
    ] = False
    max_cost: Annotated[
        float | None,
        Opt("dollars spent on the judge, at most", metavar="X", low=0, rare=True, identity=False),
    ] = None
    log_with: Annotated[
        tuple[str, ...],
        Opt("also log to tensorboard, wandb or trackio", metavar="NAME", rare=True, identity=False),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessOptions(PolicyOptions):
    """Options of ``arrkit rpo preprocess``."""

    policy: PolicySpec
    prompts: Annotated[Path, Opt("file of prompts, text or rows, or the name of a set", metavar="FILE")]
    out: Annotated[Path, Opt("folder to write", metavar="DIR", identity=False)]
    batch: Annotated[int, Opt("prompts encoded at once", metavar="N", low=1, rare=True, identity=False)] = 8
    limit: Annotated[int | None, Opt("only the first N prompts", metavar="N", low=1)] = None
    launch: Annotated[
        int, Opt("start this many processes, one for each GPU", metavar="N", low=0, identity=False)
    ] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions(PolicyOptions):
    """Options of ``arrkit rpo sample``."""

    policy: PolicySpec
    prompts: Annotated[Path | None, Opt("file of prompts [the policy's own]", metavar="FILE")] = None
    prompt: Annotated[tuple[str, ...], Opt("a prompt; repeatable", metavar="TEXT")] = ()
    lora: Annotated[Path | None, Opt("adapter: a file, or the folder of a run", metavar="PATH")] = None
    out: Annotated[Path, Opt("folder to write", metavar="DIR")] = Path("samples")
    count: Annotated[int, Opt("images for each prompt", metavar="N", low=1)] = 1
    steps: Annotated[
        int | None,
        Opt("sampling steps [those of the model's own pipeline; 8 for shapes]", metavar="N", low=1),
    ] = None
    batch: Annotated[int, Opt("images sampled at once", metavar="N", low=1, rare=True)] = 8
    limit: Annotated[int | None, Opt("only the first N prompts", metavar="N", low=1)] = None
    force: Annotated[bool, Opt("replace what is there")] = False
