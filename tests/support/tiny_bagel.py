"""Weights for the stand-in of BAGEL, and BAGEL's own way of asking it, written out once more."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from arrkit.backends.policies.bagel_checkout import Checkout

CODE = Path(__file__).resolve().parent / "bagel_checkout"


def write_weights(folder: Path) -> Path:
    """Random weights of the stand-in, in the files of a download of BAGEL."""
    folder.mkdir(parents=True, exist_ok=True)
    language = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 260}
    vision = {"hidden_size": 8, "patch_size": 14, "num_hidden_layers": 2}
    (folder / "llm_config.json").write_text(json.dumps(language))
    (folder / "vit_config.json").write_text(json.dumps(vision))
    code = Checkout.find(str(CODE))
    generator = torch.Generator().manual_seed(0)

    def drawn(module: Any) -> dict[str, Any]:
        shapes = {name: each.shape for name, each in module.state_dict().items()}
        return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}

    save_file(drawn(code.autoencoder.load_ae(None)[0]), folder / "ae.safetensors")
    save_file(drawn(code.empty(folder)), folder / "ema.safetensors")
    return folder


def ask_bagel(policy: Any, text: str, image: Any, noise: Any, steps: int, **options: Any) -> Any:
    """Clean latents as BAGEL's ``inferencer.py`` gets them: contexts of guidance are copies on the way."""
    model, code = policy.model, policy.code
    tokenizer, numbers = code.tokenizer(policy._weights)
    transform = code.transforms.ImageTransform

    def read_text(context: Any) -> Any:
        cache, lengths, places = context
        given, lengths, places = model.prepare_prompts(lengths, places, [text], tokenizer, numbers)
        return model.forward_cache_update_text(cache, **given), lengths, places

    torch.manual_seed(0)
    empty = (code.navit.NaiveCache(2), [0], [0])
    context, only_text = deepcopy(empty), read_text(deepcopy(empty))
    if image is not None:
        sides = transform(*policy._source_sides())
        image = sides.resize_transform(image)
        cache, lengths, places = context
        given, lengths, places = model.prepare_vae_images(lengths, places, [image], sides, numbers)
        cache = model.forward_cache_update_vae(policy._vae, cache, **given)
        given, lengths, places = model.prepare_vit_images(
            lengths, places, [image], transform(980, 224, 14), numbers
        )
        context = model.forward_cache_update_vit(cache, **given), lengths, places
    without_text = deepcopy(context)
    cache, lengths, places = read_text(context)
    size = [image.size[::-1] if image is not None else policy._sides[::-1]]
    given = model.prepare_vae_latent(lengths, places, size, numbers) | {"packed_init_noises": noise}
    for prefix, (past, *counts) in (("cfg_text", without_text), ("cfg_img", only_text)):
        made = model.prepare_vae_latent_cfg(*counts, size)
        given |= {f"{prefix}_{name.removeprefix('cfg_')}": value for name, value in made.items()}
        given[f"{prefix}_past_key_values"] = past
    return model.generate_image(
        past_key_values=cache, num_timesteps=steps + 1, timestep_shift=3.0, **given, **options
    )[0]
