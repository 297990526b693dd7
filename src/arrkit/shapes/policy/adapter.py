"""Adapters of the embedded policy as diffusers stores them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY
from diffusers.loaders.peft import PeftAdapterMixin
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from arrkit.errors import InputError, RunError

FILE = "pytorch_lora_weights.safetensors"
_PREFIX = "transformer."
_ADAPTER = "default"


def save_adapter(transformer: nn.Module, folder: Path) -> Path:
    """Write the transformer's adapter to ``folder``, whole or not at all, and return the file.

    Names and settings of the adapter begin with ``transformer.``, as in files of diffusers' pipelines.
    Raises :class:`~arrkit.errors.RunError` where the disk does not take it; an earlier file is then still
    there.
    """
    configs: Mapping[str, Any] = getattr(transformer, "peft_config", {})
    assert configs, "the transformer has no adapter"
    name, config = next(iter(configs.items()))
    tensors = {
        f"{_PREFIX}{key}": tensor.detach().cpu().contiguous()
        for key, tensor in get_peft_model_state_dict(transformer, adapter_name=name).items()
    }
    settings = {
        f"{_PREFIX}{key}": sorted(value) if isinstance(value, set) else value
        for key, value in config.to_dict().items()
    }
    metadata = {"format": "pt", LORA_ADAPTER_METADATA_KEY: json.dumps(settings, indent=2, sort_keys=True)}
    file, partial = folder / FILE, folder / f".{FILE}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            stream.write(save(tensors, metadata))
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise RunError(f"cannot write {file}: {error}", hint="Make room, then resume.") from error
    return file


def restore_adapter(transformer: nn.Module, file: Path) -> None:
    """Put the adapter of ``file`` into the transformer.

    An adapter of the same rank, alpha and modules gets the file's numbers, so that whoever trains it keeps
    its parameters; another one is replaced. Raises :class:`~arrkit.errors.InputError` where the file cannot
    be read or does not fit.
    """
    tensors, settings = _read(file)
    modules = {name for name, _ in transformer.named_modules()}
    strangers = sorted({name.split(".lora_")[0] for name in tensors} - modules)
    if not tensors or strangers:
        detail = f" (it has no {', '.join(strangers[:3])})" if strangers else ""
        raise InputError(
            f"{file} is no adapter of the embedded policy{detail}",
            hint="Name an adapter that was trained with --policy shapes.",
        )
    if _same_kind(transformer, tensors, settings):
        set_peft_model_state_dict(transformer, tensors, adapter_name=_ADAPTER)
        return
    mixin = cast(PeftAdapterMixin, transformer)
    if _ADAPTER in getattr(transformer, "peft_config", {}):
        mixin.delete_adapters(_ADAPTER)
    prefixed = {f"{_PREFIX}{name}": tensor for name, tensor in tensors.items()}
    metadata = {f"{_PREFIX}{name}": value for name, value in settings.items()} or None
    try:
        mixin.load_lora_adapter(prefixed, prefix="transformer", adapter_name=_ADAPTER, metadata=metadata)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"{file} does not fit the embedded policy: {error}") from error


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and settings of an adapter file, both without the transformer's prefix."""
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name.removeprefix(_PREFIX): opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        settings = json.loads(metadata.get(LORA_ADAPTER_METADATA_KEY, "{}"))
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"cannot read the adapter {file}: {error}") from error
    return tensors, {name.removeprefix(_PREFIX): value for name, value in settings.items()}


def _same_kind(transformer: nn.Module, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> bool:
    config = getattr(transformer, "peft_config", {}).get(_ADAPTER)
    if config is None:
        return False
    own = get_peft_model_state_dict(transformer, adapter_name=_ADAPTER)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return (
        {name: tensor.shape for name, tensor in own.items()} == shapes
        and settings.get("r") == config.r
        and settings.get("lora_alpha") == config.lora_alpha
    )
