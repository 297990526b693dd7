"""Tiny real Qwen-Image pipelines, built from configs, with a tokenizer made on the spot.

The tokenizer is trained on the words of the pipelines' templates, so that each is one token, as in Qwen's:
the pipelines drop the first 34 or 64 hidden states, and that many tokens must come before the prompt.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

WORDS = """system
Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of
the objects and background:
user
Describe the key features of the input image (color, shape, size, texture, objects, background), then
 explain how the user's text instruction should alter or modify the image. Generate a new image that meets
 the user's requirements while maintaining consistency with the original input where appropriate.
assistant
Picture 1: make it blue, a red circle on the left of one green square"""

FACTOR = 16
"""Pixels of a latent's side: a source of 1024 x 1024 pixels is then 1,024 tokens and not 4,096."""


class ImageOnlyProcessor(Qwen2VLProcessor):
    """Qwen's processor without its video part, which needs torchvision."""

    def __init__(self, image_processor: object = None, tokenizer: object = None, **options: object) -> None:
        super().__init__(image_processor, tokenizer, None, **options)


@cache
def _words() -> tuple[dict[str, int], tuple[tuple[str, str], ...]]:
    model = Tokenizer(BPE())
    model.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=4000,
        min_frequency=1,
        special_tokens=list(SPECIAL),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator([WORDS], trainer)
    state = json.loads(model.to_str())["model"]
    merges = tuple((pair[0], pair[1]) for pair in state["merges"])
    return state["vocab"], merges


def tokenizer() -> Qwen2Tokenizer:
    """Byte-level BPE with the words of the templates and Qwen's special tokens."""
    vocabulary, merges = _words()
    return Qwen2Tokenizer(vocab=dict(vocabulary), merges=list(merges), extra_special_tokens=list(SPECIAL[1:]))


def text_encoder() -> Qwen2_5_VLForConditionalGeneration:
    """Two text layers of width 32, one vision block of width 32."""
    words = tokenizer()
    number = words.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6},
            "bos_token_id": number("<|endoftext|>"),
            "eos_token_id": number("<|im_end|>"),
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def transformer(zero_cond_t: bool = False) -> QwenImageTransformer2DModel:
    """Two blocks of width 32 over packed latents of 4 channels."""
    model = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(8, 4, 4),
        zero_cond_t=zero_cond_t,
    )
    return model.eval()


def vae() -> AutoencoderKLQwenImage:
    """Factor 16, with means and deviations that are not 0 and 1, so that leaving them out shows."""
    model = AutoencoderKLQwenImage(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 2, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, False, True, True],
        latents_mean=[-0.1, 0.2, 0.05, -0.3],
        latents_std=[1.5, 0.8, 1.2, 2.0],
    )
    return model.eval()


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """With the released models' parameters: dynamic shift over 256 to 8192 tokens, stretched to 0.02."""
    return FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256,
        max_image_seq_len=8192,
        base_shift=0.5,
        max_shift=0.9,
        shift=1.0,
        shift_terminal=0.02,
        time_shift_type="exponential",
        use_dynamic_shifting=True,
    )


def processor() -> ImageOnlyProcessor:
    """At most 16 tokens an image, whatever its size."""
    images = Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=4 * 4 * 28 * 28)
    return ImageOnlyProcessor(image_processor=images, tokenizer=tokenizer())


def qwen_image(seed: int = 0) -> QwenImagePipeline:
    """A tiny Qwen-Image with random weights."""
    torch.manual_seed(seed)
    return QwenImagePipeline(
        scheduler=scheduler(),
        vae=vae(),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(),
        transformer=transformer(),
    )


def qwen_edit(seed: int = 0) -> QwenImageEditPipeline:
    """A tiny Qwen-Image-Edit with random weights."""
    torch.manual_seed(seed)
    return QwenImageEditPipeline(
        scheduler=scheduler(),
        vae=vae(),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(),
        processor=processor(),
        transformer=transformer(),
    )


def qwen_edit_plus(seed: int = 0, zero_cond_t: bool = False) -> QwenImageEditPlusPipeline:
    """A tiny Qwen-Image-Edit-Plus with random weights; the condition's timestep is 0 in the later models."""
    torch.manual_seed(seed)
    return QwenImageEditPlusPipeline(
        scheduler=scheduler(),
        vae=vae(),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(),
        processor=processor(),
        transformer=transformer(zero_cond_t),
    )


def save(
    pipeline: QwenImagePipeline | QwenImageEditPipeline | QwenImageEditPlusPipeline, folder: Path
) -> Path:
    """Write a pipeline as its hub repository holds it, with its processor in the files of Qwen's class."""
    pipeline.save_pretrained(folder)
    index = folder / "model_index.json"
    entries = json.loads(index.read_text())
    if "processor" in entries:
        entries["processor"] = ["transformers", "Qwen2VLProcessor"]
        index.write_text(json.dumps(entries, indent=2))
        (folder / "processor" / "processor_config.json").unlink()
        pipeline.processor.image_processor.save_pretrained(folder / "processor")
    return folder
