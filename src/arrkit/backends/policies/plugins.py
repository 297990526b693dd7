"""Entry points of policies over diffusers pipelines, and of BAGEL. Imported to be listed, so kept light."""

from __future__ import annotations

from arrkit.backends.plugin import Parameter, PolicyPlugin
from arrkit.data.pairs import Task

MODULES = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors")
EXTRA = "arrkit[rpo]"

_SOURCE = {
    "revision": Parameter("", "branch, tag or commit of a model on the hub; its main branch by default"),
    "variant": Parameter("", "which of several sets of weight files, such as fp16"),
}
_SIZE = {
    "size": Parameter(0, "side of square images in pixels; 0 is the pipeline's default", low=0, high=4096),
    "width": Parameter(0, "width of the images in pixels, instead of size", low=0, high=4096),
    "height": Parameter(0, "height of the images in pixels, instead of size", low=0, high=4096),
}


def _length(default: int, most: int) -> dict[str, Parameter]:
    text = "length in tokens that prompts are padded to; a longer prompt is refused"
    return {"max_sequence_length": Parameter(default, text, low=1, high=most)}


def _cfg(default: float) -> Parameter:
    return Parameter(
        default, "true guidance scale, two passes a step; 1 is without, in one pass", low=1, high=30
    )


_NEGATIVE = Parameter("", "negative prompt of the true guidance")

flux = PolicyPlugin(
    summary="FLUX.1 dev and schnell: text to image",
    factory="arrkit.backends.policies.flux:make_flux",
    parameters={
        **_SIZE,
        "guidance": Parameter(3.5, "guidance that the model is told; schnell takes none", low=0, high=30),
        **_length(512, 512),
        **_SOURCE,
    },
    modules=MODULES,
    extra=EXTRA,
    model="",
    example="flux:black-forest-labs/FLUX.1-dev?size=512",
    tasks=(Task.T2I,),
)

flux_kontext = PolicyPlugin(
    summary="FLUX.1 Kontext: edits of one image",
    factory="arrkit.backends.policies.kontext:make_kontext",
    parameters={
        **_SIZE,
        "source_size": Parameter(
            0,
            "side of the square whose area sources are scaled to; 0 is one of the pipeline's sizes",
            low=0,
            high=4096,
        ),
        "guidance": Parameter(3.5, "guidance that the model is told", low=0, high=30),
        **_length(512, 512),
        **_SOURCE,
    },
    modules=MODULES,
    extra=EXTRA,
    model="",
    example="flux-kontext:black-forest-labs/FLUX.1-Kontext-dev?size=512&source_size=512",
    tasks=(Task.EDIT,),
)

sd35 = PolicyPlugin(
    summary="Stable Diffusion 3 and 3.5: text to image",
    factory="arrkit.backends.policies.sd35:make_sd35",
    parameters={**_SIZE, "cfg": _cfg(7.0), "negative": _NEGATIVE, **_length(256, 512), **_SOURCE},
    modules=MODULES,
    extra=EXTRA,
    model="",
    example="sd35:stabilityai/stable-diffusion-3.5-medium?size=512",
    tasks=(Task.T2I,),
)

_EDIT_SIZE = {
    "size": Parameter(
        0,
        "side of the square whose area results have, in the source's aspect; 0 is the pipeline's 1024",
        low=0,
        high=4096,
    ),
    "width": Parameter(0, "width of all results in pixels, instead of size; with height", low=0, high=4096),
    "height": Parameter(0, "height of all results in pixels, instead of size; with width", low=0, high=4096),
    "source_size": Parameter(
        0, "side of the square whose area sources are scaled to; 0 is the results' area", low=0, high=4096
    ),
}
_QWEN = {"cfg": _cfg(4.0), "negative": Parameter(" ", "negative prompt of the true guidance")}

qwen_image = PolicyPlugin(
    summary="Qwen-Image: text to image",
    factory="arrkit.backends.policies.qwen_image:make_qwen_image",
    parameters={
        **_SIZE,
        **_QWEN,
        "max_sequence_length": Parameter(
            512, "tokens that a prompt may have; a longer one is refused", low=1, high=1024
        ),
        **_SOURCE,
    },
    modules=MODULES,
    extra=EXTRA,
    model="",
    example="qwen-image:Qwen/Qwen-Image?size=512&cfg=1",
    tasks=(Task.T2I,),
)

qwen_edit = PolicyPlugin(
    summary="Qwen-Image-Edit: edits of one image",
    factory="arrkit.backends.policies.qwen_edit:make_qwen_edit",
    parameters={**_EDIT_SIZE, **_QWEN, **_SOURCE},
    modules=MODULES,
    extra=EXTRA,
    model="",
    example="qwen-edit:Qwen/Qwen-Image-Edit?size=512&cfg=1",
    tasks=(Task.EDIT,),
)

qwen_edit_plus = PolicyPlugin(
    summary="Qwen-Image-Edit 2509 and 2511: edits of one image or several",
    factory="arrkit.backends.policies.qwen_edit:make_qwen_edit_plus",
    parameters={**_EDIT_SIZE, **_QWEN, **_SOURCE},
    modules=MODULES,
    extra=EXTRA,
    model="",
    example="qwen-edit-plus:Qwen/Qwen-Image-Edit-2509?size=512&cfg=1",
    tasks=(Task.EDIT,),
)

bagel = PolicyPlugin(
    summary="BAGEL, from a checkout of its own code: text to image, and edits",
    factory="arrkit.backends.policies.bagel:make_bagel",
    parameters={
        "path": Parameter("", "folder of BAGEL's code, where it cannot be imported as it is"),
        "task": Parameter("t2i", "what to train for", choices=("t2i", "edit")),
        "size": Parameter(
            0, "side of square images, of edits the longest side; 0 is BAGEL's 1024", low=0, high=1024
        ),
        "width": Parameter(0, "width of the images in pixels, instead of size", low=0, high=1024),
        "height": Parameter(0, "height of the images in pixels, instead of size", low=0, high=1024),
        "cfg": Parameter(
            4.0,
            "guidance by the prompt, up to three passes a step; 1 is without, in one pass",
            low=1,
            high=30,
        ),
        "cfg_image": Parameter(
            0.0, "guidance by the sources; 0 is BAGEL's 1.5, and 2 for edits; 1 is without", low=0, high=30
        ),
        "cfg_begin": Parameter(
            -1.0,
            "noise level above which there is guidance; -1 is BAGEL's 0.4, and 0 for edits",
            low=-1,
            high=1,
        ),
        "renorm": Parameter(
            "own",
            "what guided velocities are rescaled by; BAGEL's own is global, and text_channel for edits",
            choices=("own", "global", "channel", "text_channel"),
        ),
        "shift": Parameter(3.0, "shift of the noise levels", low=0.1, high=20),
    },
    modules=("torch", "peft", "accelerate", "safetensors"),
    extra=EXTRA,
    model="",
    example="bagel:models/BAGEL-7B-MoT?path=../Bagel&cfg=1",
)
