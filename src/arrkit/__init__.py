"""arrkit: image preferences as explicit rubrics, judges measured under them, models trained against them."""

from __future__ import annotations

__version__ = "0.1.0"
