"""The words of the native pair format: keys, task names, and what a misspelt key was meant to be."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable

from arrkit.data.pairs import Task
from arrkit.errors import InputError, nearest

PROMPT = ("query", "prompt", "instruction")
T2I_IMAGES = (
    "image_paths",
    "response",
    "responses",
    "images",
    "image",
    "generated_image",
    "generated_images",
)
SOURCE = (
    "source_image",
    "base_image",
    "original_image",
    "input_image",
    "reference_image",
    "ref_image",
)
EDIT_IMAGES = (
    "edited_image",
    "edited_images",
    "target_image",
    "target_images",
    "output_image",
    "output_images",
    "result_image",
    "result_images",
)
EDIT_FALLBACK = ("response", "responses", "images", "image_paths", "image")
ALL_SOURCES = "source_images"
CANDIDATES = "candidates"
LABELS = ("label_rank", "label", "label_score")
OTHER = ("id", "task", "metadata", "response_includes_base", "group", "votes", "confidence")
KNOWN = frozenset((*PROMPT, *T2I_IMAGES, *SOURCE, *EDIT_IMAGES, ALL_SOURCES, CANDIDATES, *LABELS, *OTHER))

_TASKS = {
    **dict.fromkeys(("t2i", "text_to_image", "text2image", "image_generation", "gen"), Task.T2I),
    **dict.fromkeys(("edit", "image_edit", "image_editing", "i2i", "image_to_image"), Task.EDIT),
    "interleaved": Task.INTERLEAVED,
}

TASK_HINT = (
    "The tasks are t2i (text to image), edit (instruction-guided editing) and interleaved (text and images)."
)

# A key this alike to a known one is taken for a slip of the pen ("imges", "label_ranks"); below it a key such
# as "prompt_id" (0.80 to "prompt") is the user's own.
_SLIP = 0.82


def task_named(text: str) -> Task | None:
    """The task of a name or alias, such as ``image-editing``; None for an unknown one."""
    return _TASKS.get(text.strip().lower().replace("-", "_"))


def parse_task(text: str) -> Task:
    """Like :func:`task_named`, but an unknown name raises :class:`~arrkit.errors.InputError`."""
    task = task_named(text)
    if task is None:
        raise InputError(f'unknown task "{text}"{nearest(text.lower(), _TASKS)}', hint=TASK_HINT)
    return task


def task_hint(text: str) -> str:
    """``(did you mean ...)`` for a task name, or an empty string."""
    return nearest(text.lower(), _TASKS)


@functools.lru_cache(maxsize=1024)
def slip_of(key: str) -> str | None:
    """The known key that ``key`` was most likely meant to be, or None where it is a key of the user's own."""
    word = key.strip().lower()
    if word.endswith("_id"):
        return None
    close = difflib.get_close_matches(word, sorted(KNOWN), n=1, cutoff=_SLIP)
    return close[0] if close else None


def resembles(key: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that ``key`` resembles at least loosely, for a row that lacks all of them."""
    close = difflib.get_close_matches(key.strip().lower(), list(names), n=1, cutoff=0.6)
    return close[0] if close else None
