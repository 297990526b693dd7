"""Stand-in: a vision transformer of one linear layer."""

import json
from pathlib import Path
from types import SimpleNamespace

from torch import nn


class SiglipVisionConfig(SimpleNamespace):
    @classmethod
    def from_json_file(cls, file):
        return cls(**json.loads(Path(file).read_text()))


class _Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.patch_embedding = None

    def convert_conv2d_to_linear(self, config, meta=False):
        self.patch_embedding = nn.Linear(
            3 * config.patch_size**2, config.hidden_size, device="meta" if meta else None
        )


class SiglipVisionModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.vision_model = nn.Module()
        self.vision_model.embeddings = _Embeddings(config)

    def forward(self, packed_pixel_values, packed_flattened_position_ids, cu_seqlens, max_seqlen):
        return self.vision_model.embeddings.patch_embedding(packed_pixel_values)
