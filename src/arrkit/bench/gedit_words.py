"""GEdit-Bench: what the judge is told, in arrkit's own words or in the official ones of a person's copy.

The criteria, the scale and the shape of the answer are those that were published; the sentences are not, so
numbers under them bear ``[arrkit-prompt]`` in their names.
"""

from __future__ import annotations

from dataclasses import dataclass

from arrkit.bench.sources import Home, constants, official_file
from arrkit.errors import InputError

HOME = Home(
    name="GEdit-Bench",
    files="instructions and images",
    license="licence not stated; the code is Apache-2.0",
    url="https://github.com/stepfun-ai/Step1X-Edit",
    hub="stepfun-ai/GEdit-Bench",
)

PROMPT_FILES = ("GEdit-Bench/viescore/vie_prompts.py", "viescore/vie_prompts.py")
"""Where the official words stand in a copy of the repository."""

_PLACE = "<instruction>"
_OFFICIAL_SC = ("_context_no_delimit", "_prompts_0shot_two_image_edit_rule", "_prompts_0shot_tie_rule_SC")
_OFFICIAL_PQ = ("_context_no_delimit", "_prompts_0shot_rule_PQ")

_SEMANTICS = """\
You mark edits of images as a professional retoucher would. You see a source image, then its edited version, \
and read the instruction that the edit was to carry out.

Give two marks, whole numbers from 0 to 10.
1. Instruction: how much of what the instruction asks for is to be seen in the edited image. 0: nothing of \
it. 10: all of it, just as asked.
2. Restraint: how far the edit kept to what it had to touch. 0: the edited image is another scene. 10: the \
smallest change that does what was asked.

An edit may have failed and left the image as it was; the first mark is then low.

Answer with one JSON object and nothing beside it; keep the reason short:
{"score": [instruction, restraint], "reasoning": "..."}"""

_QUALITY = """\
You mark generated images as a professional retoucher would. You see one image. What it was to show plays no \
part.

Give two marks, whole numbers from 0 to 10.
1. Naturalness: does the scene look like one that could be seen? 0: distances, shadows or light are \
plainly wrong. 10: nothing looks unnatural.
2. Cleanness: is the image free of artifacts? 0: distortions, watermarks, scratches, blurred faces, odd \
limbs or things that do not belong together fill much of it. 10: there are none.

Answer with one JSON object and nothing beside it; keep the reason short:
{"score": [naturalness, cleanness], "reasoning": "..."}"""


@dataclass(frozen=True, slots=True)
class Words:
    """The two questions to the judge.

    ``semantics_role`` and ``quality_role`` go before all; ``semantics``, in which ``<instruction>`` stands
    for the instruction, and ``quality`` stand with the images. ``temperature`` None is the endpoint's own.
    """

    semantics_role: str
    semantics: str
    quality_role: str
    quality: str
    temperature: float | None
    official: bool

    def about(self, instruction: str) -> str:
        """The question about semantics for one instruction."""
        return self.semantics.replace(_PLACE, instruction)


OWN = Words(
    semantics_role=_SEMANTICS,
    semantics=f"The instruction: {_PLACE}",
    quality_role=_QUALITY,
    quality="Mark this image.",
    temperature=0.0,
    official=False,
)


def words(prompt_dir: str) -> Words:
    """The official words from ``prompt_dir``, a copy of the repository or the folder of ``vie_prompts.py``;
    arrkit's own where it is empty.

    The official script sets no temperature, so none is set with its words. Raises
    :class:`~arrkit.errors.InputError` where the file or a text in it is missing.
    """
    if not prompt_dir:
        return OWN
    path = official_file(prompt_dir, PROMPT_FILES, HOME)
    known = constants(path)

    def joined(names: tuple[str, ...]) -> str:
        parts = []
        for name in names:
            part = known.get(name)
            if not isinstance(part, str):
                raise InputError(f"{path} holds no text {name}, of which the official prompts are made")
            parts.append(part)
        return "\n".join(parts)

    semantics = joined(_OFFICIAL_SC)
    if _PLACE not in semantics:
        raise InputError(f"{path} leaves no place for the instruction: {_PLACE} is not in {_OFFICIAL_SC[-1]}")
    return Words("", semantics, "", joined(_OFFICIAL_PQ), temperature=None, official=True)
