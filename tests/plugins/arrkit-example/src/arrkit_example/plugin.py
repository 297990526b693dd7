"""What this package adds to arrkit. Imported to list it, so it imports nothing heavy."""

from arrkit.backends.plugin import DatasetPlugin, JudgePlugin, Parameter, PolicyPlugin
from arrkit.data.pairs import Task

judge = JudgePlugin(
    summary="prefers the brighter and more colourful image",
    factory="arrkit_example.judge:make_judge",
    modules=("PIL",),
    extra="arrkit-example",
    parameters={
        "margin": Parameter(0.02, "smaller differences than this are a tie", low=0, high=1),
    },
    example="vivid?margin=0.05",
)

policy = PolicyPlugin(
    summary="paints the colour that the prompt names",
    factory="arrkit_example.policy:make_policy",
    modules=("torch", "peft", "safetensors"),
    extra="arrkit[rpo]",
    model="plain",
    tasks=(Task.T2I,),
    parameters={
        "size": Parameter(64, "side of the image in pixels", low=8, high=1024),
    },
    example="tint:plain?size=32",
)

dataset = DatasetPlugin(
    summary="procedural pairs in which people like the brighter image",
    factory="arrkit_example.dataset:make_dataset",
    modules=("PIL",),
    extra="arrkit-example",
    splits=("train", "test"),
    tasks=(Task.T2I,),
    license="Apache-2.0",
    embedded=True,
    parameters={
        "count": Parameter(20, "how many pairs", low=1),
        "ties": Parameter(0.0, "share of pairs that people call a tie", low=0, high=1),
        "seed": Parameter(0, "another seed gives other pairs"),
    },
    example="bright-dark:test?count=50",
)
