"""Stand-in: scale to sides between two bounds, multiples of a stride; then to a tensor in [-1, 1]."""

import numpy as np
import torch


class ImageTransform:
    def __init__(self, max_image_size, min_image_size, image_stride):
        self.sides = max_image_size, min_image_size, image_stride

    def resize_transform(self, image):
        most, least, stride = self.sides
        scale = max(min(most / max(image.size), 1.0), least / min(image.size))
        width, height = (max(stride, round(side * scale / stride) * stride) for side in image.size)
        return image.resize((min(width, most), min(height, most)))

    def __call__(self, image):
        pixels = np.asarray(self.resize_transform(image), dtype=np.float32)
        return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)
