"""The entry points of the embedded world: a judge, a policy, two datasets and a benchmark.

Imported to be listed, so kept light.
"""

from __future__ import annotations

from arrkit.backends.plugin import BenchmarkPlugin, DatasetPlugin, JudgePlugin, Parameter, PolicyPlugin
from arrkit.data.pairs import Task

judge = JudgePlugin(
    summary="embedded judge of the shapes world: looks at pixels, knows a small vocabulary",
    factory="arrkit.shapes.judge:make_judge",
    parameters={
        "noise": Parameter(0.0, "share of presentations judged by a coin flip", low=0, high=1),
        "primacy": Parameter(0.0, "share of presentations where the first image wins unseen", low=0, high=1),
        "seed": Parameter(0, "draws noise, primacy and failures"),
        "latency": Parameter(0.0, "seconds that each call takes", low=0),
        "fail": Parameter(0.0, "share of calls that fail; a retry may succeed", low=0, high=1),
    },
    example="shapes?noise=0.2",
)

policy = PolicyPlugin(
    summary="embedded model that paints and edits pictures of simple shapes; trains on one CPU core",
    factory="arrkit.shapes.policy.policy:make_policy",
    parameters={
        "task": Parameter("t2i", "paint for a prompt, or edit a source", choices=("t2i", "edit")),
        "size": Parameter(96, "side of the pictures in pixels", low=64, high=256),
    },
    modules=("torch", "diffusers", "peft", "safetensors"),
    extra="arrkit[rpo]",
    example="shapes?task=edit",
)

PAIRS_N, PAIRS_SEED, PAIRS_NOISE, PAIRS_TIES, PAIRS_SIZE = 200, 0, 0.08, 0.05, 96
SPLITS = ("test", "train")

_PAIRS = {
    "n": Parameter(PAIRS_N, "number of pairs", low=1),
    "seed": Parameter(PAIRS_SEED, "draws everything"),
    "noise": Parameter(
        PAIRS_NOISE, "share of decided pairs whose label is the wrong way round", low=0, high=1
    ),
    "ties": Parameter(PAIRS_TIES, "share of pairs that are ties", low=0, high=1),
    "size": Parameter(PAIRS_SIZE, "side of the pictures in pixels", low=32, high=256),
}

dataset_t2i = DatasetPlugin(
    summary="embedded preference pairs: pictures of simple shapes for a prompt",
    factory="arrkit.shapes.dataset:make_t2i",
    parameters=_PAIRS,
    splits=SPLITS,
    tasks=(Task.T2I,),
    license="Apache-2.0",
    embedded=True,
    example="shapes-t2i:test?n=400",
)

dataset_edit = DatasetPlugin(
    summary="embedded preference pairs: edits of pictures of simple shapes",
    factory="arrkit.shapes.dataset:make_edit",
    parameters=_PAIRS,
    splits=SPLITS,
    tasks=(Task.EDIT,),
    license="Apache-2.0",
    embedded=True,
    example="shapes-edit:test?n=400",
)

benchmark = BenchmarkPlugin(
    summary="embedded: held-out prompts of the shapes world, looked at by its exact checker",
    factory="arrkit.shapes.benchmark:make",
    parameters={
        "task": Parameter("t2i", "paint for a prompt, or edit a source", choices=("t2i", "edit")),
        "images": Parameter(1, "images painted for each prompt", low=1, high=256),
    },
    example="shapes?task=edit",
    items=480,
    images=480,
    license="Apache-2.0",
)
