"""The user's own checkout of BAGEL: found, imported, built and filled with its weights.

BAGEL (https://github.com/ByteDance-Seed/Bagel) is published as code to clone and not as a package; neither
diffusers nor transformers has it. Only its public names are used here: those that its own ``app.py`` imports.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from accelerate import init_empty_weights  # type: ignore[import-untyped]
from accelerate.utils import set_module_tensor_to_device  # type: ignore[import-untyped]
from safetensors import SafetensorError, safe_open
from torch import nn

from arrkit.canonical import Json
from arrkit.errors import InputError

_MODULES = (
    "modeling.bagel",
    "modeling.bagel.qwen2_navit",
    "modeling.autoencoder",
    "modeling.qwen2",
    "data.data_utils",
)
_TRANSFORMS = "data.transforms"
_WEIGHTS = "ema.safetensors"
_VAE = "ae.safetensors"
_CONFIGS = ("llm_config.json", "vit_config.json")

_HELP = (
    "Clone https://github.com/ByteDance-Seed/Bagel, install its requirements, and name the folder: "
    "bagel:WEIGHTS?path=FOLDER."
)


@dataclass(frozen=True, slots=True)
class Checkout:
    """The modules of BAGEL's code that are used, by what they hold."""

    bagel: ModuleType
    navit: ModuleType
    autoencoder: ModuleType
    qwen2: ModuleType
    data_utils: ModuleType
    transforms: ModuleType

    @classmethod
    def find(cls, path: str) -> Checkout:
        """Import BAGEL from the folder ``path``, or from where Python finds it if ``path`` is empty.

        The folder stays on the import path, since BAGEL imports parts of itself late.
        Raises :class:`~arrkit.errors.InputError` with the reason where that fails.
        """
        if path:
            folder = Path(path).expanduser().resolve()
            if not (folder / "modeling" / "bagel").is_dir():
                raise InputError(f"{path} is no checkout of BAGEL: it has no modeling/bagel", hint=_HELP)
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
        try:
            found = [importlib.import_module(name) for name in (*_MODULES, _TRANSFORMS)]
        except Exception as error:  # whatever a stranger's code raises while it is imported
            what = (
                "BAGEL's code is not importable" if not path else f"BAGEL's code in {path} cannot be imported"
            )
            raise InputError(f"{what}: {type(error).__name__}: {error}", hint=_HELP) from error
        _let_gradients_pass(found[1])
        return cls(*found)

    def config(self, weights: Path) -> Any:
        """BAGEL's configuration, as its ``app.py`` makes it from the files beside the weights."""
        language = self.bagel.Qwen2Config.from_json_file(str(weights / _CONFIGS[0]))
        language.qk_norm = True
        language.tie_word_embeddings = False
        language.layer_module = "Qwen2MoTDecoderLayer"
        vision = self.bagel.SiglipVisionConfig.from_json_file(str(weights / _CONFIGS[1]))
        vision.rope = False
        vision.num_hidden_layers -= 1
        return self.bagel.BagelConfig(
            visual_gen=True,
            visual_und=True,
            llm_config=language,
            vit_config=vision,
            vae_config=self.autoencoder.load_ae(local_path=None)[1],
            vit_max_num_patch_per_side=70,
            connector_act="gelu_pytorch_tanh",
            latent_patch_size=2,
            max_latent_size=64,
        )

    def empty(self, weights: Path) -> nn.Module:
        """BAGEL without weights: parameters on the meta device, buffers as they are computed."""
        with init_empty_weights():
            config = self.config(weights)
            language = self.bagel.Qwen2ForCausalLM(config.llm_config)
            vision = self.bagel.SiglipVisionModel(config.vit_config)
            model: nn.Module = self.bagel.Bagel(language, vision, config)
            vision.vision_model.embeddings.convert_conv2d_to_linear(config.vit_config, meta=True)
        return model

    def load(self, weights: Path, *, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """BAGEL with its weights, frozen, in eval mode."""
        model = self.empty(weights)
        known = {name for name, _ in model.named_parameters()} | {name for name, _ in model.named_buffers()}
        try:
            with safe_open(weights / _WEIGHTS, framework="pt", device=str(device)) as opened:
                for name in known & set(opened.keys()):
                    value = opened.get_tensor(name)
                    set_module_tensor_to_device(model, name, device, value=value, dtype=dtype)
        except (RuntimeError, ValueError, OSError, SafetensorError) as error:
            raise InputError(f"{weights / _WEIGHTS} does not fit BAGEL's code: {error}") from error
        missing = [name for name, each in model.named_parameters() if each.is_meta]
        if missing:
            raise InputError(
                f"{weights / _WEIGHTS} lacks {len(missing)} of BAGEL's weights, such as {missing[0]}"
            )
        return model.to(device).requires_grad_(False).eval()

    def vae(self, weights: Path, *, device: torch.device) -> nn.Module:
        """The autoencoder, float32, frozen."""
        model: nn.Module = self.autoencoder.load_ae(local_path=str(weights / _VAE))[0]
        return model.to(device).requires_grad_(False).eval()

    def tokenizer(self, weights: Path) -> tuple[Any, dict[str, int]]:
        """The tokenizer with BAGEL's special tokens, and their numbers."""
        tokenizer, numbers, _ = self.data_utils.add_special_tokens(
            self.qwen2.Qwen2Tokenizer.from_pretrained(str(weights))
        )
        return tokenizer, numbers


def check_weights(weights: str) -> Path:
    """The folder of the weights; raises :class:`~arrkit.errors.InputError` naming what is missing in it."""
    folder = Path(weights).expanduser()
    missing = [name for name in (*_CONFIGS, _WEIGHTS, _VAE) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{weights} does not hold BAGEL's weights: {', '.join(missing)} missing",
            hint="Download ByteDance-Seed/BAGEL-7B-MoT into a folder: bagel:FOLDER?path=CHECKOUT.",
        )
    return folder


def fingerprint(weights: Path) -> Json:
    """What tells one release of the weights from another: configurations by content, weights by size."""
    state = hashlib.sha256()
    for name in _CONFIGS:
        state.update((weights / name).read_bytes())
    for name in (_WEIGHTS, _VAE):
        state.update(f"{name} {(weights / name).stat().st_size}\n".encode())
    return state.hexdigest()


def unfrozen(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of BAGEL without its ``torch.no_grad``, so that whoever calls it decides about gradients."""
    inner = getattr(method, "__wrapped__", None)
    return method if inner is None else functools.partial(inner, getattr(method, "__self__"))  # noqa: B009


def _let_gradients_pass(navit: ModuleType) -> None:
    """Hand BAGEL a copy of what attention returns.

    Its layers write into that tensor, which flash attention keeps for its backward pass: without a copy
    every backward pass through BAGEL's cached path ends in an error.
    """
    attention = getattr(navit, "flash_attn_varlen_func", None)
    if attention is None or getattr(attention, "copies", False):
        return

    @functools.wraps(attention)
    def copied(*args: Any, **options: Any) -> Any:
        out = attention(*args, **options)
        return out.clone() if torch.is_grad_enabled() else out

    copied.copies = True  # type: ignore[attr-defined]
    navit.flash_attn_varlen_func = copied  # type: ignore[attr-defined]
