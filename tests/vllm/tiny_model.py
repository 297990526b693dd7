"""Write a tiny Qwen3-VL with random weights that a real vLLM serves: ``python tiny_model.py FOLDER``.

Nothing is downloaded. The model has half a million parameters and says nothing that means anything, but its
next word does depend on the prompt and on the images, in their order, and it has its own share of good and
bad answers: it writes words into a schema's strings and mostly ends them. The same seed gives the same file.

Needs the server's environment (tokenizers, torch, transformers, safetensors) and the shim beside this file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

NAME = "tiny-judge"

# A prompt of ours is five thousand tokens to a tokenizer that knows a hundred words, an answer two thousand.
MOST_TOKENS = 32_768
MOST_PIXELS = 256 * 256
SEED = 0

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# One token each. Whatever else there is gets spelled in bytes, so that every text can be read and written.
WORDS = """
    Yes No yes no A B tie equal true false null verdict criteria reasoning evidence answer override statement
    image images picture prompt better worse colour red green blue sharp first second the a an of to in is and
    or not with for on this that more than because each all one two rubric criterion score system user judge
"""
PIECES = r" ?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+|\s+"

CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}
{%- for part in message.content -%}
{%- if part.type == 'text' %}{{ part.text }}{% else %}<|vision_start|><|image_pad|><|vision_end|>{% endif -%}
{%- endfor -%}
{%- endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""

# Added to a token's logit, whatever came before it. Left alone, random weights end a string or a list once
# in a hundred tokens, fill the free space between JSON's tokens with newlines until the room is used up, call
# every pair a tie, and end a free text by chance, which a test that waits for its room to run out cannot use.
ENDS = 3.0
WHITE = -8.0
TIE = -4.0
NEVER = -20.0
# What the constant dimension of the residual stream enters with, and what the last norm leaves of it: 0.048
# on every text, give or take an eighth.
HELD = 1.0
HELD_AT_THE_END = 0.048


def build(folder: Path) -> None:
    """Write everything that ``vllm serve FOLDER`` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    config = build_config(tokenizer)
    for name, content in {
        "config.json": config,
        # Token ids alone: defaults for drawing would change what a test's request means.
        "generation_config.json": {"eos_token_id": tokenizer.token_to_id("<|im_end|>")},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MOST_TOKENS,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": False,
        },
        "preprocessor_config.json": {**PROCESSOR, "image_processor_type": "Qwen2VLImageProcessor"},
        "video_preprocessor_config.json": {**PROCESSOR, "video_processor_type": "Qwen3VLVideoProcessor"},
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    save_file(build_weights(tokenizer, config), str(folder / "model.safetensors"), metadata={"format": "pt"})


def build_tokenizer() -> Tokenizer:
    """Byte-level BPE over :data:`WORDS`, each with and without a space before it, and JSON's punctuation."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = WORDS.split()
    corpus = [*words, *(f" {word}" for word in words), '{"answer": "A", "verdict": "B"}', '", "', '"}]']
    tokenizer.train_from_iterator(corpus * 20, trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    for word in ("Yes", "No", "A", "B", "tie"):
        assert len(tokenizer.encode(word).ids) == 1, f"{word} is no single token"
    return tokenizer


def build_config(tokenizer: Tokenizer) -> dict[str, object]:
    token = tokenizer.token_to_id
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "dtype": "float32",
        "tie_word_embeddings": False,
        "image_token_id": token("<|image_pad|>"),
        "video_token_id": token("<|video_pad|>"),
        "vision_start_token_id": token("<|vision_start|>"),
        "vision_end_token_id": token("<|vision_end|>"),
        "text_config": {
            "model_type": "qwen3_vl_text",
            "dtype": "float32",
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,  # the least that vLLM's attention takes on a CPU
            "max_position_embeddings": MOST_TOKENS,
            "initializer_range": 0.3,
            "bos_token_id": token("<|endoftext|>"),
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
            # Time, height and width: together half of head_dim.
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_interleaved": True,
                "mrope_section": [6, 5, 5],
            },
        },
        "vision_config": {
            "model_type": "qwen3_vl_vision",
            "dtype": "float32",
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "patch_size": 16,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "initializer_range": 0.3,
        },
    }


PROCESSOR: dict[str, object] = {
    "processor_class": "Qwen3VLProcessor",
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    # Called edges, and meant as numbers of pixels in all.
    "size": {"shortest_edge": 32 * 32, "longest_edge": MOST_PIXELS},
}


def build_weights(tokenizer: Tokenizer, config: dict[str, object]) -> dict[str, torch.Tensor]:
    """Random weights, with a bias on the next token.

    The architecture has no bias there, so one dimension of the residual stream is held constant: every
    token enters with the same value in it, no layer reads or writes it, and the output weights take the bias
    from it.
    """
    torch.manual_seed(SEED)
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig.from_dict(config)).float()
    text = model.model.language_model
    bias = torch.zeros(tokenizer.get_vocab_size())
    for number in range(tokenizer.get_vocab_size()):
        written = tokenizer.decode([number])
        if written.startswith(('"', "]", "}")):
            bias[number] = ENDS
        elif written and not written.strip():
            bias[number] = WHITE
        elif written.strip() == "tie":
            bias[number] = TIE
        elif tokenizer.id_to_token(number) in SPECIAL:
            bias[number] = NEVER
    with torch.no_grad():
        text.embed_tokens.weight[:, 0] = HELD
        for layer in text.layers:
            attention, mlp = layer.self_attn, layer.mlp
            for reads in (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj):
                reads.weight[:, 0] = 0.0
            for writes in (attention.o_proj, mlp.down_proj):
                writes.weight[0] = 0.0
        model.lm_head.weight[:, 0] = bias / HELD_AT_THE_END
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    build(parser.parse_args().folder)
