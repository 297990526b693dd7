"""A tiny real Mask2Former with COCO's 80 classes and a tiny real CLIP, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    SwinConfig,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz-"


def tokenizer() -> CLIPTokenizer:
    """A token for each letter. Not that of tiny_pipelines, which takes seconds to import diffusers."""
    pieces = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def tiny_mask2former(folder: Path, *, classes: int = 80, queries: int = 12, seed: int = 0) -> Path:
    """One block of Swin a stage, one or two layers of each kind above it. Writes it into ``folder``."""
    torch.manual_seed(seed)
    backbone = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=16,
        num_queries=queries,
        num_labels=classes,
    )
    model = Mask2FormerForUniversalSegmentation(config).eval()
    # Random logits of 80 classes are all unsure; made steep, some queries are sure of a class.
    with torch.no_grad():
        model.class_predictor.weight.mul_(60)
    model.save_pretrained(folder)
    return folder


def tiny_clip(folder: Path, *, seed: int = 0) -> Path:
    """Two layers for texts and two for images of 16 pixels. Writes it into ``folder``."""
    torch.manual_seed(seed)
    tokens = tokenizer()
    config = CLIPConfig(
        text_config={
            "vocab_size": len(tokens),
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 77,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 8,
        },
        projection_dim=16,
    )
    CLIPModel(config).eval().save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder
