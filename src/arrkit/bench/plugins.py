"""The entry points of the benchmarks. Imported to be listed, so kept light."""

from __future__ import annotations

from arrkit.backends.plugin import BenchmarkPlugin, Parameter
from arrkit.data.pairs import Task

_DATA = {
    "data": Parameter("", "folder with the benchmark's own files; --data names it too"),
    "revision": Parameter("", "branch, tag or commit of the files on the hub; a pinned one by default"),
}
_OFFICIAL = {
    "prompt_dir": Parameter("", "folder with the official prompts to the judge; --prompt-dir names it too")
}


def _images(count: int) -> dict[str, Parameter]:
    return {"images": Parameter(count, "images painted for each prompt", low=1, high=16)}


geneval = BenchmarkPlugin(
    summary="GenEval: objects, counts, colours and places, found by a detector",
    factory="arrkit.bench.geneval:make",
    parameters=_images(4)
    | {
        "data": _DATA["data"],
        "detector": Parameter(
            "facebook/mask2former-swin-small-coco-instance", "Mask2Former with COCO's classes: folder or name"
        ),
        "clip": Parameter("openai/clip-vit-large-patch14", "CLIP that tells colours: folder or name"),
        "device": Parameter("", "where both run, such as cuda:1; the first GPU by default"),
    },
    tasks=(Task.T2I,),
    prompts_in_answers=True,
    items=553,
    images=2212,
    license="MIT",
    source="github.com/djghosh13/geneval",
    size="0.2 MB",
)

dpg = BenchmarkPlugin(
    summary="DPG-Bench: dense prompts, asked about by yes/no questions that depend on each other",
    factory="arrkit.bench.dpg:make",
    parameters=_images(4)
    | {
        "data": _DATA["data"],
        "layout": Parameter(
            "four", "four files for a prompt, or grids painted elsewhere", choices=("four", "grid")
        ),
        "vqa": Parameter(
            "judge", "who answers: a judge, or the official model by modelscope", choices=("judge", "mplug")
        ),
        "ask": Parameter(
            "each", "a judge is asked each question alone, or all of an image", choices=("each", "together")
        ),
    },
    tasks=(Task.T2I,),
    judged=True,
    items=1065,
    images=4260,
    license="Apache-2.0",
    source="github.com/TencentQQGYLab/ELLA",
    size="5 MB",
)

tiif = BenchmarkPlugin(
    summary="TIIF-Bench: instruction following in 39 dimensions, short and long prompts",
    factory="arrkit.bench.tiif:make",
    parameters={"data": _DATA["data"]}
    | _OFFICIAL
    | {
        "split": Parameter("testmini", "the small set or the full one", choices=("testmini", "test")),
        "length": Parameter("both", "which prompts", choices=("both", "short", "long")),
        "seed": Parameter(0, "draws which official template asks about an image"),
    },
    tasks=(Task.T2I,),
    judged=True,
    items=554,
    images=554,
    license="none stated",
    source="github.com/A113N-W3I/TIIF-Bench",
)

unigenbench = BenchmarkPlugin(
    summary="UniGenBench++: test points under ten dimensions, short and long, English and Chinese",
    factory="arrkit.bench.unigenbench:make",
    parameters={"data": _DATA["data"]}
    | _OFFICIAL
    | _images(4)
    | {"sets": Parameter("en", "prompt sets, separated by commas: en, en_long, zh, zh_long")},
    tasks=(Task.T2I,),
    judged=True,
    items=600,
    images=2400,
    license="CC BY 4.0",
    source="github.com/CodeGoat24/UniGenBench",
)

gedit = BenchmarkPlugin(
    summary="GEdit-Bench: edits of real photos in eleven groups, marked for semantics and quality",
    factory="arrkit.bench.gedit:make",
    parameters=_DATA
    | _OFFICIAL
    | {"languages": Parameter("en,cn", "languages of the instructions, separated by commas: en, cn")},
    tasks=(Task.EDIT,),
    judged=True,
    items=1212,
    images=1212,
    license="Apache-2.0 (code)",
    source="huggingface.co/datasets/stepfun-ai/GEdit-Bench",
)

imgedit = BenchmarkPlugin(
    summary="ImgEdit-Bench: nine types of edits (basic), hard ones (uge), edits in turns (multiturn)",
    factory="arrkit.bench.imgedit:make",
    parameters=_DATA
    | _OFFICIAL
    | {"part": Parameter("basic", "which of its parts", choices=("basic", "uge", "multiturn"))},
    tasks=(Task.EDIT,),
    judged=True,
    items=737,
    images=737,
    license="none stated",
    source="huggingface.co/datasets/sysuyy/ImgEdit",
)

prompts = BenchmarkPlugin(
    summary="your own prompts: how often a judge prefers the trained model's images to the base model's",
    factory="arrkit.bench.prompts:make",
    parameters={
        "data": Parameter("", "file of prompts; --data names it too"),
        "rubric": Parameter("", "rubric file or shipped name that images are judged under"),
        "task": Parameter("", "what the prompts are for: found from their rows", choices=("", "t2i", "edit")),
        **_images(1),
    },
    judged=True,
    license="your own",
)
