"""Stand-in: BAGEL's methods, for one sample at a time."""

from itertools import pairwise
from types import SimpleNamespace

import torch
from torch import nn


class BagelConfig(SimpleNamespace):
    pass


def _patches(image, side):
    c, h, w = image.shape
    cut = image[:, : h // side * side, : w // side * side].reshape(c, h // side, side, w // side, side)
    return cut.permute(1, 3, 2, 4, 0).reshape(-1, side * side * c)


class Bagel(nn.Module):
    def __init__(self, language_model, vit_model, config):
        super().__init__()
        width = config.llm_config.hidden_size
        self.config = config
        self.language_model = language_model
        self.vit_model = vit_model
        self.latent_patch_size = config.latent_patch_size
        self.latent_downsample = config.vae_config.downsample * config.latent_patch_size
        self.latent_channel = config.vae_config.z_channels
        self.max_latent_size = config.max_latent_size
        packed = self.latent_patch_size**2 * self.latent_channel
        self.time_embedder = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))
        self.vae2llm = nn.Linear(packed, width)
        self.llm2vae = nn.Linear(width, packed)
        self.latent_pos_embed = nn.Embedding(self.max_latent_size**2, width)
        self.connector = nn.Linear(config.vit_config.hidden_size, width)

    def _places(self, height, width):
        rows, columns = height // self.latent_downsample, width // self.latent_downsample
        return (torch.arange(rows)[:, None] * self.max_latent_size + torch.arange(columns)).flatten()

    @staticmethod
    def _frame(count, length, place):
        """``count`` tokens between the tokens that begin and end an image, after ``length`` others."""
        return {
            "packed_text_indexes": torch.tensor([0, count + 1]),
            "packed_seqlens": torch.tensor([count + 2], dtype=torch.int),
            "packed_position_ids": torch.full([count + 2], place),
            "packed_indexes": torch.arange(length, length + count + 2),
            "packed_key_value_indexes": torch.arange(length),
            "key_values_lens": torch.tensor([length], dtype=torch.int),
        }

    def prepare_prompts(self, curr_kvlens, curr_rope, prompts, tokenizer, new_token_ids):
        (length,), (place,), (prompt,) = curr_kvlens, curr_rope, prompts
        ids = [new_token_ids["bos_token_id"], *tokenizer.encode(prompt), new_token_ids["eos_token_id"]]
        given = {
            "text_token_lens": torch.tensor([len(ids)], dtype=torch.int),
            "packed_text_ids": torch.tensor(ids),
            "packed_text_position_ids": torch.arange(place, place + len(ids)),
            "packed_text_indexes": torch.arange(length, length + len(ids)),
            "packed_key_value_indexes": torch.arange(length),
            "key_values_lens": torch.tensor([length], dtype=torch.int),
        }
        return given, [length + len(ids)], [place + len(ids)]

    @torch.no_grad
    def forward_cache_update_text(
        self,
        past_key_values,
        packed_text_ids,
        packed_text_position_ids,
        text_token_lens,
        packed_text_indexes,
        packed_key_value_indexes,
        key_values_lens,
    ):
        return self.language_model.forward_inference(
            self.language_model.model.embed_tokens(packed_text_ids),
            text_token_lens,
            packed_text_position_ids,
            packed_text_indexes,
            past_key_values,
            key_values_lens,
            packed_key_value_indexes,
            update_past_key_values=True,
            is_causal=True,
            mode="und",
        ).past_key_values

    def prepare_vit_images(self, curr_kvlens, curr_rope, images, transforms, new_token_ids):
        (length,), (place,), (image,) = curr_kvlens, curr_rope, images
        tokens = _patches(transforms(image), self.config.vit_config.patch_size)
        given = self._frame(len(tokens), length, place) | {
            "packed_text_ids": torch.tensor([new_token_ids["start_of_image"], new_token_ids["end_of_image"]]),
            "packed_vit_tokens": tokens,
            "packed_vit_token_indexes": torch.arange(1, len(tokens) + 1),
            "packed_vit_position_ids": torch.arange(len(tokens)),
            "vit_token_seqlens": torch.tensor([len(tokens)], dtype=torch.int),
        }
        return given, [length + len(tokens) + 2], [place + 1]

    @torch.no_grad
    def forward_cache_update_vit(
        self,
        past_key_values,
        packed_text_ids,
        packed_text_indexes,
        packed_vit_tokens,
        packed_vit_token_indexes,
        packed_vit_position_ids,
        vit_token_seqlens,
        packed_position_ids,
        packed_seqlens,
        packed_indexes,
        packed_key_value_indexes,
        key_values_lens,
    ):
        tokens = packed_vit_tokens.to(self.connector.weight.dtype)
        seen = self.connector(self.vit_model(tokens, packed_vit_position_ids, None, None))
        x = self._sequence(packed_text_ids, packed_text_indexes, seen, packed_vit_token_indexes)
        return self.language_model.forward_inference(
            x,
            packed_seqlens,
            packed_position_ids,
            packed_indexes,
            past_key_values,
            key_values_lens,
            packed_key_value_indexes,
            update_past_key_values=True,
            is_causal=False,
            mode="und",
        ).past_key_values

    def prepare_vae_images(self, curr_kvlens, curr_rope, images, transforms, new_token_ids, timestep=0):
        (length,), (place,), (image,) = curr_kvlens, curr_rope, images
        pixels = transforms(image)
        places = self._places(*pixels.shape[1:])
        rows, columns = (side // self.latent_downsample for side in pixels.shape[1:])
        given = self._frame(len(places), length, place) | {
            "packed_text_ids": torch.tensor([new_token_ids["start_of_image"], new_token_ids["end_of_image"]]),
            "padded_images": pixels[None],
            "patchified_vae_latent_shapes": [(rows, columns)],
            "packed_vae_position_ids": places,
            "packed_vae_token_indexes": torch.arange(1, len(places) + 1),
            "packed_timesteps": torch.tensor([timestep]),
        }
        return given, [length + len(places) + 2], [place + 1]

    @torch.no_grad
    def forward_cache_update_vae(
        self,
        vae_model,
        past_key_values,
        padded_images,
        patchified_vae_latent_shapes,
        packed_vae_position_ids,
        packed_timesteps,
        packed_vae_token_indexes,
        packed_text_ids,
        packed_text_indexes,
        packed_position_ids,
        packed_seqlens,
        packed_indexes,
        key_values_lens,
        packed_key_value_indexes,
    ):
        latents = _patches(vae_model.encode(padded_images)[0], self.latent_patch_size)
        painted = self._painted(latents, packed_timesteps, packed_vae_position_ids)
        x = self._sequence(packed_text_ids, packed_text_indexes, painted, packed_vae_token_indexes)
        return self.language_model.forward_inference(
            x,
            packed_seqlens,
            packed_position_ids,
            packed_indexes,
            past_key_values,
            key_values_lens,
            packed_key_value_indexes,
            update_past_key_values=True,
            is_causal=False,
            mode="gen",
            packed_vae_token_indexes=packed_vae_token_indexes,
            packed_text_indexes=packed_text_indexes,
        ).past_key_values

    def prepare_vae_latent(self, curr_kvlens, curr_rope, image_sizes, new_token_ids):
        (length,), (place,), ((height, width),) = curr_kvlens, curr_rope, image_sizes
        places = self._places(height, width)
        return self._frame(len(places), length, place) | {
            "packed_text_ids": torch.tensor([new_token_ids["start_of_image"], new_token_ids["end_of_image"]]),
            "packed_init_noises": torch.randn(len(places), self.vae2llm.in_features),
            "packed_vae_position_ids": places,
            "packed_vae_token_indexes": torch.arange(1, len(places) + 1),
        }

    def prepare_vae_latent_cfg(self, curr_kvlens, curr_rope, image_sizes):
        (length,), (place,), ((height, width),) = curr_kvlens, curr_rope, image_sizes
        frame = self._frame(len(self._places(height, width)), length, place)
        return {
            "cfg_packed_position_ids": frame["packed_position_ids"],
            "cfg_key_values_lens": frame["key_values_lens"],
            "cfg_packed_query_indexes": frame["packed_indexes"],
            "cfg_packed_key_value_indexes": frame["packed_key_value_indexes"],
        }

    def _painted(self, latents, timestep, places):
        latents = latents.to(self.vae2llm.weight.dtype)
        time = self.time_embedder(timestep[:, None].to(latents))
        return self.vae2llm(latents) + time + self.latent_pos_embed(places)

    def _sequence(self, text_ids, text_indexes, others, indexes):
        words = self.language_model.model.embed_tokens(text_ids)
        x = words.new_zeros(len(words) + len(others), words.shape[1])
        x[text_indexes] = words
        x[indexes] = others.to(x.dtype)
        return x

    @torch.no_grad
    def generate_image(
        self, packed_init_noises, num_timesteps=24, timestep_shift=1.0, cfg_interval=(0, 1), **given
    ):
        x = packed_init_noises
        times = torch.linspace(1, 0, num_timesteps)
        times = timestep_shift * times / (1 + (timestep_shift - 1) * times)
        scales = given.pop("cfg_text_scale", 1.0), given.pop("cfg_img_scale", 1.0)
        for time, after in pairwise(times):
            text, image = scales if cfg_interval[0] < time <= cfg_interval[1] else (1.0, 1.0)
            v = self._forward_flow(x, time.expand(len(x)), cfg_text_scale=text, cfg_img_scale=image, **given)
            x = x - v * (time - after)
        return x.split((given["packed_seqlens"] - 2).tolist())

    @torch.no_grad
    def _forward_flow(
        self,
        x_t,
        timestep,
        packed_vae_token_indexes,
        packed_vae_position_ids,
        packed_text_ids,
        packed_text_indexes,
        packed_indexes,
        packed_position_ids,
        packed_seqlens,
        key_values_lens,
        past_key_values,
        packed_key_value_indexes,
        cfg_renorm_min=0.0,
        cfg_renorm_type="global",
        cfg_text_scale=1.0,
        cfg_text_packed_position_ids=None,
        cfg_text_packed_query_indexes=None,
        cfg_text_key_values_lens=None,
        cfg_text_past_key_values=None,
        cfg_text_packed_key_value_indexes=None,
        cfg_img_scale=1.0,
        cfg_img_packed_position_ids=None,
        cfg_img_packed_query_indexes=None,
        cfg_img_key_values_lens=None,
        cfg_img_past_key_values=None,
        cfg_img_packed_key_value_indexes=None,
        cfg_type="parallel",
    ):
        assert timestep.unique().shape[0] == 1
        painted = self._painted(x_t, timestep, packed_vae_position_ids)
        x = self._sequence(packed_text_ids, packed_text_indexes, painted, packed_vae_token_indexes)

        def ask(places, indexes, past, lens, past_indexes):
            out = self.language_model.forward_inference(
                x,
                packed_seqlens,
                places,
                indexes,
                past,
                lens,
                past_indexes,
                update_past_key_values=False,
                is_causal=False,
                mode="gen",
                packed_vae_token_indexes=packed_vae_token_indexes,
                packed_text_indexes=packed_text_indexes,
            )
            return self.llm2vae(out.packed_query_sequence)[packed_vae_token_indexes]

        v = ask(
            packed_position_ids, packed_indexes, past_key_values, key_values_lens, packed_key_value_indexes
        )
        if cfg_text_scale <= 1:
            return v
        without_text = ask(
            cfg_text_packed_position_ids,
            cfg_text_packed_query_indexes,
            cfg_text_past_key_values,
            cfg_text_key_values_lens,
            cfg_text_packed_key_value_indexes,
        )
        dims = None if cfg_renorm_type == "global" else -1

        def rescaled(guided):
            ratio = torch.norm(v, dim=dims, keepdim=True) / (
                torch.norm(guided, dim=dims, keepdim=True) + 1e-8
            )
            return guided * ratio.clamp(cfg_renorm_min, 1.0)

        guided = without_text + cfg_text_scale * (v - without_text)
        if cfg_renorm_type == "text_channel":
            guided = rescaled(guided)
        if cfg_img_scale > 1:
            without_image = ask(
                cfg_img_packed_position_ids,
                cfg_img_packed_query_indexes,
                cfg_img_past_key_values,
                cfg_img_key_values_lens,
                cfg_img_packed_key_value_indexes,
            )
            guided = without_image + cfg_img_scale * (guided - without_image)
        return guided if cfg_renorm_type == "text_channel" else rescaled(guided)
