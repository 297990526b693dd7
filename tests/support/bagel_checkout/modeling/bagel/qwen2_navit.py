"""Stand-in: a language model with two experts, one for what is read and one for what is painted."""

import json
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn


class Qwen2Config(SimpleNamespace):
    @classmethod
    def from_json_file(cls, file):
        return cls(**json.loads(Path(file).read_text()))


class NaiveCache:
    def __init__(self, num_layers):
        self.key_cache = dict.fromkeys(range(num_layers))
        self.value_cache = dict.fromkeys(range(num_layers))

    @property
    def num_layers(self):
        return len(self.key_cache)


def _attend(q, k, v, causal):
    scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
    if causal:
        past = k.shape[0] - q.shape[0]
        seen = torch.arange(k.shape[0]) <= torch.arange(q.shape[0])[:, None] + past
        scores = scores.masked_fill(~seen, float("-inf"))
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), v)


class _Attention(torch.autograd.Function):
    """Keeps its output for the backward pass, as flash attention does."""

    @staticmethod
    def forward(ctx, q, k, v, causal):
        out = _attend(q, k, v, causal).contiguous()
        ctx.causal = causal
        ctx.save_for_backward(q, k, v, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        q, k, v, _ = ctx.saved_tensors
        with torch.enable_grad():
            given = [each.detach().requires_grad_() for each in (q, k, v)]
            out = _attend(*given, ctx.causal)
        return *torch.autograd.grad(out, given, grad), None


def flash_attn_varlen_func(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, causal):
    assert len(cu_seqlens_q) == 2, "one sample at a time"
    assert k.shape[0] == cu_seqlens_k[-1]
    return _Attention.apply(q, k, v, causal)


def _rotate(x, places):
    half = x.shape[-1] // 2
    angle = places[:, None, None] / 10.0 ** torch.arange(half)
    one, other = x[..., :half], x[..., half:]
    return torch.cat(
        [one * angle.cos() - other * angle.sin(), one * angle.sin() + other * angle.cos()], dim=-1
    )


class _Layer(nn.Module):
    def __init__(self, config, index):
        super().__init__()
        self.index = index
        self.heads = config.num_attention_heads
        width = config.hidden_size
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(width, width))
            setattr(self, f"{name}_moe_gen", nn.Linear(width, width))

    def by_expert(self, name, x, mode, vae, text):
        if mode == "und":
            return getattr(self, name)(x)
        out = x.new_zeros(x.shape)
        out[text] = getattr(self, name)(x[text])
        out[vae] = getattr(self, f"{name}_moe_gen")(x[vae])
        return out

    def forward(self, x, places, indexes, past, past_lens, past_indexes, update, causal, mode, vae, text):
        shape = (len(x), self.heads, -1)
        q, k, v = (self.by_expert(f"{name}_proj", x, mode, vae, text).view(shape) for name in "qkv")
        q, k = _rotate(q, places), _rotate(k, places)
        lens = torch.tensor([len(x)])
        if past.key_cache[self.index] is not None:
            total = len(x) + int(sum(past_lens))
            keys, values = k.new_zeros(total, *k.shape[1:]), v.new_zeros(total, *v.shape[1:])
            keys[indexes], keys[past_indexes] = k, past.key_cache[self.index]
            values[indexes], values[past_indexes] = v, past.value_cache[self.index]
            k, v = keys, values
        ends = nn.functional.pad(lens.cumsum(0), (1, 0)), torch.tensor([0, len(k)])
        out = flash_attn_varlen_func(q, k, v, *ends, len(q), len(k), causal).reshape(len(x), -1)
        if mode == "und":
            out = self.o_proj(out)
        else:
            out[text] = self.o_proj(out[text])
            out[vae] = self.o_proj_moe_gen(out[vae])
        if update:
            past.key_cache[self.index], past.value_cache[self.index] = k, v
        return x + torch.tanh(out)


class _Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config, index) for index in range(config.num_hidden_layers))


class Qwen2ForCausalLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.model = _Model(config)

    def forward_inference(
        self,
        packed_query_sequence,
        query_lens,
        packed_query_position_ids,
        packed_query_indexes,
        past_key_values=None,
        key_values_lens=None,
        packed_key_value_indexes=None,
        update_past_key_values=True,
        is_causal=True,
        mode="und",
        packed_vae_token_indexes=None,
        packed_text_indexes=None,
    ):
        x = packed_query_sequence
        for layer in self.model.layers:
            x = layer(
                x,
                packed_query_position_ids,
                packed_query_indexes,
                past_key_values,
                key_values_lens,
                packed_key_value_indexes,
                update_past_key_values,
                is_causal,
                mode,
                packed_vae_token_indexes,
                packed_text_indexes,
            )
        return SimpleNamespace(packed_query_sequence=x, past_key_values=past_key_values)
