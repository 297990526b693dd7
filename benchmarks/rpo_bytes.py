"""Bytes a sample that ``rpo preprocess`` writes, for each pipeline, at the true widths of the real models.

The real command runs over pipelines of the real classes. What decides the bytes is as published: widths of
the text encoders' states, sequence lengths, pixels a token of the vision encoder, channels and scale of the
VAE, 1024 x 1024 pixels. What does not is tiny: layers, and the width of everything inside. Instructions are
some 40 tokens long, nearly all in words that the tokenizers made here know, as the real ones do.

The published code's Qwen-Image-Edit embeddings are padded to 5,000 tokens of 3,584 bfloat16 numbers, 35.8 MB,
sources not counted; its FLUX embeddings hold all 512 tokens of 4,096, 4.2 MB.

python benchmarks/rpo_bytes.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from common import Bar, Result, main

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import tiny_pipelines
import tiny_qwen
from diffusers import (
    AutoencoderKLQwenImage,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImagePipeline,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from transformers import CLIPTextModel, CLIPTextModelWithProjection, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

import arrkit
from arrkit.backends.policies.pipeline import quiet
from arrkit.commands.rpo_policies import choose_policy
from arrkit.rpo.policy import Condition
from arrkit.rpo.store import open_store

PUBLISHED_EDIT = 5000 * 3584 * 2
PUBLISHED_FLUX = 512 * 4096 * 2
FIRST = """Generate a new image that meets the key features of the input, make the background blue, the red
circle on the left of one green square, and alter the shape, size, texture"""
SECOND = """make it blue, then alter the spatial relationships of the objects in the image: a red circle on
the left of one green square, the text and the background, while maintaining consistency"""
INSTRUCTIONS = tuple(text.replace("\n", " ") for text in (FIRST, SECOND))
COUNT = 16
"""Prompts where there are no sources, so that what a shard's prompts share (a negative one) hardly counts."""


def clip(width: int, *, projection: bool) -> Any:
    """CLIP's text encoder of this width, in one layer."""
    small = tiny_pipelines.clip_encoder(projection).config
    config = type(small)(
        **{**small.to_dict(), "hidden_size": width, "projection_dim": width, "num_hidden_layers": 1}
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def vae() -> Any:
    """The KL autoencoder of FLUX and SD3.5 in scale and channels; encoding uses nothing of it."""
    made = tiny_pipelines.vae(4, 4, 4, 4)
    return type(made).from_config({**made.config, "latent_channels": 16})


def flux() -> FluxPipeline:
    """T5 of width 4096 and CLIP of 768."""
    transformer = FluxTransformer2DModel(
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )
    return FluxPipeline(
        scheduler=tiny_pipelines.flux_scheduler(),
        vae=vae(),
        text_encoder=clip(768, projection=False),
        tokenizer=tiny_pipelines.clip_tokenizer(),
        text_encoder_2=tiny_pipelines.t5_encoder(4096),
        tokenizer_2=tiny_pipelines.t5_tokenizer(),
        transformer=transformer,
    )


def sd35() -> StableDiffusion3Pipeline:
    """T5 of width 4096, CLIP of 768 and of 1280."""
    transformer = SD3Transformer2DModel(
        sample_size=128,
        in_channels=16,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=4096,
        pooled_projection_dim=2048,
        pos_embed_max_size=96,
    )
    return StableDiffusion3Pipeline(
        scheduler=tiny_pipelines.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(),
        text_encoder=clip(768, projection=True),
        tokenizer=tiny_pipelines.clip_tokenizer(),
        text_encoder_2=clip(1280, projection=True),
        tokenizer_2=tiny_pipelines.clip_tokenizer(),
        text_encoder_3=tiny_pipelines.t5_encoder(4096),
        tokenizer_3=tiny_pipelines.t5_tokenizer(),
        transformer=transformer,
    )


def qwen(kind: Callable[..., Any], make: Callable[[], Any]) -> Any:
    """A Qwen-Image pipeline: Qwen2.5-VL of width 3584 with 28 x 28 pixels a token, a VAE of factor 8."""
    parts = make().components
    config = parts["text_encoder"].config.to_dict()
    config["text_config"] |= {
        "hidden_size": 3584,
        "num_hidden_layers": 1,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "layer_types": ["full_attention"],
        "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6},
    }
    config["vision_config"]["out_hidden_size"] = 3584
    parts["text_encoder"] = Qwen2_5_VLForConditionalGeneration(
        type(parts["text_encoder"].config).from_dict(config)
    ).eval()
    parts["vae"] = AutoencoderKLQwenImage(base_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    transformer = parts["transformer"]
    parts["transformer"] = type(transformer).from_config(
        {**transformer.config, "in_channels": 64, "out_channels": 16, "joint_attention_dim": 3584}
    )
    if "processor" in parts:
        pixels = Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=28 * 28 * 16384)
        parts["processor"] = tiny_qwen.ImageOnlyProcessor(
            image_processor=pixels, tokenizer=tiny_qwen.tokenizer()
        )
    return kind(**parts)


def write_prompts(folder: Path, *, edits: bool) -> Path:
    """A file of prompts; those of edits with a source of 1024 x 1024 pixels each."""
    if not edits:
        file = folder / "prompts.txt"
        words = INSTRUCTIONS[0].split()
        lines = [" ".join(words[number:] + words[:number]) for number in range(COUNT)]
        file.write_text("\n".join(lines))
        return file
    rows = []
    for number, text in enumerate(INSTRUCTIONS):
        ramp = np.linspace(0, 255 - 40 * number, 1024, dtype=np.uint8)
        Image.fromarray(np.stack([np.tile(ramp, (1024, 1))] * 3, -1)).save(folder / f"{number}.png")
        rows.append(json.dumps({"prompt": text, "image": f"{number}.png"}))
    file = folder / "prompts.jsonl"
    file.write_text("\n".join(rows))
    return file


def preprocessed(name: str, pipeline: Any, folder: Path, options: str = "") -> tuple[float, Condition]:
    """Bytes a sample as the command writes them, and one of the conditions."""
    folder.mkdir()
    with quiet():
        tiny_qwen.save(pipeline, folder / "model")
    spec = f"{name}:{folder / 'model'}{options}"
    prompts = write_prompts(folder, edits="edit" in name)
    made = arrkit.preprocess_prompts(
        arrkit.PreprocessOptions(policy=spec, prompts=prompts, out=folder / "data", device="cpu")
    )
    assert made.size is not None
    assert not made.problems, made.problems
    store = open_store(folder / "data", choose_policy(spec))
    return made.size.each, store.condition(store.prompts[0])


def shapes(condition: Condition) -> str:
    """What a condition holds."""
    return ", ".join(
        f"{name} {' x '.join(map(str, tensor.shape))}" for name, tensor in condition.tensors.items()
    )


def measure() -> list[Result]:
    """The published code's bytes over ours, or those of the pipeline's own padding."""
    torch.set_num_threads(1)
    mega = 10**6
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        edit_plus = qwen(QwenImageEditPlusPipeline, tiny_qwen.qwen_edit_plus)
        each, condition = preprocessed("qwen-edit-plus", edit_plus, folder / "plus")
        text = condition.tensors["prompt"].shape[0] - 14**2
        room = text + int((PUBLISHED_EDIT / 15 - each) / (2 * 3584))
        results.append(
            Result(
                "rpo preprocess, published padding / qwen-edit-plus, bytes a sample",
                PUBLISHED_EDIT / each,
                15.0,
                Bar.AT_LEAST,
                f"{PUBLISHED_EDIT / mega:.1f} MB / {each / mega:.2f} MB: {shapes(condition)}; {text} tokens "
                f"beside the 14 x 14 of the source, and the bar is held up to {room}",
            )
        )
        small, condition = preprocessed("qwen-edit-plus", edit_plus, folder / "plus-512", "?size=512")
        edit = qwen(QwenImageEditPipeline, tiny_qwen.qwen_edit)
        whole, seen = preprocessed("qwen-edit", edit, folder / "edit")
        low, looked = preprocessed("qwen-edit", edit, folder / "edit-512", "?size=512")
        image, said = preprocessed(
            "qwen-image", qwen(QwenImagePipeline, tiny_qwen.qwen_image), folder / "qwen"
        )
        told, fed = preprocessed("flux", flux(), folder / "flux")
        sd, both = preprocessed("sd35", sd35(), folder / "sd35")
    published, own = "published padding", "the pipeline's longest prompt"
    noted = [
        ("qwen-edit-plus at 512 px", PUBLISHED_EDIT, published, small, condition, "fewer source tokens"),
        (
            "qwen-edit at 1024 px",
            PUBLISHED_EDIT,
            published,
            whole,
            seen,
            "its text encoder sees the source whole, a token for 28 x 28 px, and so does the model",
        ),
        ("qwen-edit at 512 px", PUBLISHED_EDIT, published, low, looked, "a quarter of the tokens"),
        (
            "qwen-image",
            512 * 3584 * 2,
            own,
            image,
            said,
            "padding is dropped, and the negative prompt is kept once a shard",
        ),
        (
            "flux",
            PUBLISHED_FLUX,
            published,
            told,
            fed,
            "the model attends to T5's padding, so it cannot be dropped; max_sequence_length shortens it",
        ),
        (
            "sd35",
            (77 + 256) * 4096 * 2,
            own,
            sd,
            both,
            f"as with flux; the negative prompt is as long, and kept once a shard, of {COUNT} here",
        ),
    ]
    for name, theirs, what, ours, made, why in noted:
        detail = f"{theirs / mega:.2f} MB / {ours / mega:.2f} MB: {shapes(made)}; {why}"
        results.append(Result(f"the same, {what} / {name}", theirs / ours, 1.0, Bar.NOTED, detail))
    return results


if __name__ == "__main__":
    sys.exit(main(measure))
