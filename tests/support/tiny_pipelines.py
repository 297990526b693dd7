"""Tiny real pipelines of diffusers, built from configs, with tokenizers made on the spot.

Weights are random but the same for one seed. Each ``tiny_*`` writes a pipeline into a folder, as its hub
repository holds it, and returns the folder.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)
from transformers.models.t5.tokenization_t5 import T5Tokenizer

WIDTH = 32
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,-'"


def clip_tokenizer() -> CLIPTokenizer:
    """A token for each letter, 77 tokens at most, as in CLIP."""
    pieces = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    return CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[], model_max_length=77
    )


def t5_tokenizer() -> T5Tokenizer:
    """A token for each letter and for the space, and one for the end."""
    pieces = ["<pad>", "</s>", "<unk>", "\u2581", *LETTERS]
    return T5Tokenizer(vocab=[(piece, -float(at)) for at, piece in enumerate(pieces)], extra_ids=0)


def clip_encoder(projection: bool = False) -> CLIPTextModel:
    """Two layers."""
    config = CLIPTextConfig(
        vocab_size=len(clip_tokenizer()),
        hidden_size=WIDTH,
        intermediate_size=37,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def t5_encoder(width: int = WIDTH) -> T5EncoderModel:
    """Two layers."""
    config = T5Config(
        vocab_size=len(t5_tokenizer()),
        d_model=width,
        d_kv=8,
        d_ff=37,
        num_layers=2,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=20,
        is_encoder_decoder=False,
    )
    return T5EncoderModel(config).eval()


def vae(*channels: int) -> AutoencoderKL:
    """Factor 2 for two numbers of channels, 4 for three; constants that show when they are left out."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=0.3611,
        shift_factor=0.1159,
    ).eval()


def flux_transformer(guidance: bool = True) -> FluxTransformer2DModel:
    """One double and one single block of width 32 over packed latents of 4 channels."""
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=guidance,
    ).eval()


def flux_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """With the parameters of FLUX.1-dev."""
    return FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256,
        max_image_seq_len=4096,
        base_shift=0.5,
        max_shift=1.15,
        shift=3.0,
        use_dynamic_shifting=True,
    )


def tiny_flux(folder: Path, *, guidance: bool = True, seed: int = 0) -> Path:
    """A FluxPipeline: with ``guidance`` like dev, without like schnell. Images in multiples of 4 pixels."""
    torch.manual_seed(seed)
    pipeline = FluxPipeline(
        scheduler=flux_scheduler(),
        vae=vae(8, 16),
        text_encoder=clip_encoder(),
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5_encoder(),
        tokenizer_2=t5_tokenizer(),
        transformer=flux_transformer(guidance),
    )
    pipeline.save_pretrained(folder)
    return folder


def tiny_kontext(folder: Path, *, seed: int = 0) -> Path:
    """A FluxKontextPipeline. Images and sources in multiples of 4 pixels."""
    torch.manual_seed(seed)
    pipeline = FluxKontextPipeline(
        scheduler=flux_scheduler(),
        vae=vae(8, 16),
        text_encoder=clip_encoder(),
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5_encoder(),
        tokenizer_2=t5_tokenizer(),
        transformer=flux_transformer(),
    )
    pipeline.save_pretrained(folder)
    return folder


def tiny_sd35(folder: Path, *, t5: bool = True, seed: int = 0) -> Path:
    """A StableDiffusion3Pipeline with all of its encoders, or without T5. Images in multiples of 8 pixels."""
    torch.manual_seed(seed)
    transformer = SD3Transformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=32,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    t5_model = t5_encoder(2 * WIDTH) if t5 else None
    pipeline = StableDiffusion3Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(4, 8, 8),
        text_encoder=clip_encoder(projection=True),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip_encoder(projection=True),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5_model,
        tokenizer_3=t5_tokenizer() if t5 else None,
        transformer=transformer.eval(),
    )
    pipeline.save_pretrained(folder)
    return folder
