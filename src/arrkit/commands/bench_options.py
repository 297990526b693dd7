"""The options of ``arrkit bench``. Imported for ``--help``, so nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from arrkit.commands.options import HostedOptions
from arrkit.options import Opt
from arrkit.rpo.options import Precision

Name = Annotated[
    str, Opt("benchmark plug-in, such as shapes or geneval; arrkit bench list shows all", argument=True)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """Which benchmark, and how much of it. Each command says ``benchmark`` again: its help begins with it."""

    benchmark: Name
    data: Annotated[
        str, Opt("folder (or file) with the benchmark's prompts [pinned ones from its source]", metavar="DIR")
    ] = ""
    prompt_dir: Annotated[
        str,
        Opt("folder with the official prompts to the judge, from your copy of the benchmark", metavar="DIR"),
    ] = ""
    languages: Annotated[
        str, Opt("languages of the prompts, separated by commas, where there are several", metavar="CODES")
    ] = ""
    rubric: Annotated[
        str, Opt("what images are judged under, for prompts", metavar="FILE|NAME", rare=True)
    ] = ""
    limit: Annotated[
        int | None,
        Opt("a quick look: only N prompts, spread over all groups", metavar="N", low=1),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintingOptions(BenchOptions):
    """Which model paints, and how."""

    benchmark: Name
    policy: Annotated[
        str, Opt("policy plug-in, such as shapes or flux:black-forest-labs/FLUX.1-dev", metavar="SPEC")
    ]
    lora: Annotated[Path | None, Opt("adapter: a file, or the folder of a run", metavar="PATH")] = None
    steps: Annotated[
        int | None,
        Opt("sampling steps [those of the model's own pipeline; 8 for shapes]", metavar="N", low=1),
    ] = None
    batch: Annotated[int, Opt("images sampled at once", metavar="N", low=1, rare=True, identity=False)] = 8
    precision: Annotated[
        Precision | None, Opt("data type of the frozen model [bf16 on a GPU, fp32 on a CPU]", rare=True)
    ] = None
    device: Annotated[
        str, Opt("device to run on [the GPU where there is one]", metavar="NAME", rare=True, identity=False)
    ] = ""
    seed: Annotated[int, Opt("draws the noise of the images", metavar="N")] = 0
    launch: Annotated[
        int, Opt("start this many processes, one for each GPU", metavar="N", low=0, identity=False)
    ] = 0


@dataclass(frozen=True, kw_only=True)
class AskerOptions(HostedOptions):
    """Which judge is asked, and how. Without slots, to be joined to others."""

    judge: Annotated[
        str,
        Opt("judge plug-in, such as openai:gpt-4.1 or vllm:Qwen/Qwen3-VL-8B-Instruct", metavar="SPEC"),
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchGenerateOptions(PaintingOptions):
    """Options of ``arrkit bench generate``."""

    out: Annotated[Path, Opt("folder for the images", metavar="DIR", identity=False)]
    force: Annotated[bool, Opt("remove images that were painted otherwise", identity=False)] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchScoreOptions(BenchOptions, AskerOptions):
    """Options of ``arrkit bench score``."""

    benchmark: Name
    images: Annotated[
        Path | None, Opt("folder of images, as bench generate lays them out", metavar="DIR")
    ] = None
    base_images: Annotated[
        Path | None, Opt("folder of the base model's images, to compare with", metavar="DIR", rare=True)
    ] = None
    answers: Annotated[
        Path | None,
        Opt(
            "result file of the official script, or units.jsonl of a run: no image, no model", metavar="FILE"
        ),
    ] = None
    out: Annotated[Path | None, Opt("run folder [runs/...]", metavar="DIR", identity=False)] = None
    force: Annotated[bool, Opt("use the run folder even if it holds another run", identity=False)] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRunOptions(PaintingOptions, AskerOptions):
    """Options of ``arrkit bench run``."""

    benchmark: Name
    policy: Annotated[
        str, Opt("policy plug-in, such as shapes or flux:black-forest-labs/FLUX.1-dev", metavar="SPEC")
    ]
    out: Annotated[Path | None, Opt("run folder [runs/...]", metavar="DIR", identity=False)] = None
    force: Annotated[bool, Opt("use the run folder even if it holds another run", identity=False)] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchTableOptions:
    """Options of ``arrkit bench table``."""

    runs: Annotated[
        tuple[Path, ...], Opt("folders of bench run and bench score", argument=True, metavar="RUN...")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchListOptions:
    """``arrkit bench list`` has no options of its own."""
