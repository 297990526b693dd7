"""Stand-in: an autoencoder of factor 8 that, like BAGEL's, draws what it makes of an image."""

from types import SimpleNamespace

import torch
from safetensors.torch import load_file
from torch import nn


class AutoEncoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.down = nn.Conv2d(3, channels, 8, stride=8)
        self.up = nn.ConvTranspose2d(channels, 3, 8, stride=8)

    def encode(self, x):
        z = self.down(x)
        return z + 0.1 * torch.randn_like(z)

    def decode(self, z):
        return self.up(z)


def load_ae(local_path):
    params = SimpleNamespace(downsample=8, z_channels=4)
    model = AutoEncoder(params.z_channels)
    if local_path is not None:
        model.load_state_dict(load_file(local_path))
    return model, params
