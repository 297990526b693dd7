"""ImgEdit-Bench: what the judge is told, in arrkit's own words or in the official ones of a person's copy.

The criteria, the scale and the shape of the answer are those that were published; the sentences are not, so
numbers under them bear a bracket in their names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from arrkit.bench.sources import Home, official_file
from arrkit.canonical import Json
from arrkit.errors import InputError, Problem

HOME = Home(
    name="ImgEdit-Bench",
    files="instructions and images",
    license="no licence stated",
    url="https://github.com/PKU-YuanGroup/ImgEdit",
    hub="sysuyy/ImgEdit",
    hub_file="Benchmark.tar",  # the rest are training data, far more than anyone wants here
)

PROMPT_FILES = (
    "Benchmark/Basic/prompts.json",
    "Benchmark/singleturn/judge_prompt.json",
    "singleturn/judge_prompt.json",
)
"""Where the official words stand: in a copy of the repository, and in the archive of images."""

ALIASES = {"alter": "adjust"}
"""What forks call types of edits."""

_PLACE = "<edit_prompt>"


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of edit: what the edit was to do, and the three criteria, each with what is asked of it."""

    does: str
    criteria: tuple[tuple[str, str], tuple[str, str], tuple[str, str]]

    @property
    def names(self) -> tuple[str, ...]:
        """The criteria as answers name them."""
        return tuple(name for name, _ in self.criteria)


_NATURAL = "the change cannot be told from what was photographed: edges, light, perspective and grain fit"
_SEAMLESS = "no border, halo or change of tone shows where the edit begins"

KINDS: Mapping[str, Kind] = {
    "add": Kind(
        "put something new into the image",
        (
            ("Prompt Compliance", "what was to be added is there, as described and where it was wanted"),
            ("Visual Naturalness", _NATURAL),
            (
                "Physical & Detail Coherence",
                "size, shadows and contact are those that it would have; all else is as it was",
            ),
        ),
    ),
    "adjust": Kind(
        "change an attribute of something, such as its colour, material or size",
        (
            (
                "Prompt Compliance",
                "the attribute that was named is as wanted, on the right thing and all of it",
            ),
            ("Visual Seamlessness", _SEAMLESS),
            (
                "Physical & Detail Fidelity",
                "shape, texture and shading stay true under the new attribute; all else is as it was",
            ),
        ),
    ),
    "extract": Kind(
        "cut one thing out and show it alone on a plain background",
        (
            ("Object Identity", "it is the thing that was asked for, the whole of it and nothing else"),
            ("Mask Precision", "its outline is exact: nothing is cut off, nothing of the scene is left"),
            ("Visual Quality", "it is as sharp and as rich in detail as in the source"),
        ),
    ),
    "replace": Kind(
        "put one thing in the place of another",
        (
            ("Prompt Compliance", "the old thing is gone, and the new one is as described and in its place"),
            ("Visual Naturalness", _NATURAL),
            (
                "Physical & Detail Integrity",
                "size, shadows and contact are those that it would have; all else is as it was",
            ),
        ),
    ),
    "remove": Kind(
        "take something out of the image",
        (
            (
                "Prompt Compliance",
                "what was to go is gone, with its shadow and reflection, and nothing else is",
            ),
            ("Visual Naturalness", "what fills its place could have been there all along"),
            (
                "Physical & Detail Integrity",
                "lines, textures and light run on through the place; all else is as it was",
            ),
        ),
    ),
    "background": Kind(
        "change what is behind the subject",
        (
            (
                "Instruction Compliance",
                "the background is the one that was asked for; the subject is the same",
            ),
            ("Visual Seamlessness", "subject and background meet without halos, gaps or torn edges"),
            ("Physical Consistency", "light, shadows, scale and perspective of both belong together"),
        ),
    ),
    "style": Kind(
        "show the same image in another style",
        (
            ("Style Fidelity", "strokes, palette and texture are those of the style, all over the image"),
            (
                "Content Preservation",
                "the things in the image, their layout and who they are can be known again",
            ),
            ("Rendering Quality", "the image is clean and of one piece: no noise, smears or broken shapes"),
        ),
    ),
    "action": Kind(
        "let a person or an animal do something else",
        (
            ("Action Fidelity", "pose or expression is the one that was asked for"),
            ("Identity Preservation", "it is the same individual: face, build, clothes or fur"),
            (
                "Visual & Anatomical Coherence",
                "limbs and joints are possible, and the figure sits in the scene as before",
            ),
        ),
    ),
    "compose": Kind(
        "carry out several edits at once",
        (
            ("Instruction Compliance", "each of the edits that were asked for is done, and none besides"),
            ("Visual Naturalness", _NATURAL),
            (
                "Physical Consistency & Fine Detail",
                "the changes agree with each other and with the scene; fine detail survives",
            ),
        ),
    ),
}
"""The nine types, with their criteria as the official answers name them (Benchmark/Basic/prompts.json)."""

_SHAPE = """\
Marks are whole numbers: 1 fails, 2 is poor, 3 passes, 4 is good, 5 could not be better. The second and the \
third mark are not above the first: an edit that was not made cannot be made well."""

UGE_ROLE = """\
You grade an edit that takes understanding: the instruction names its object by what it is, where it is or \
how it differs from others. You see the source image, then the edited one, and read the instruction.

Look at four things. Is exactly what the instruction says done, in number, colour and place? Does the edit \
look as if it had been photographed? Did it stay within the region that the instruction means? Is all else \
as it was?

Give one mark, a whole number. 1: ignored, or badly done. 2: far from what was asked. 3: near it, with \
flaws that show. 4: what was asked, with small flaws. 5: what was asked, without a flaw. Where regions \
changed that should have stayed as they were, the mark is 3 at most.

Answer with two lines and nothing beside them:
Brief reasoning: twenty words at most
Score: N"""

UGE_ASKED = f"The instruction: {_PLACE}"


@dataclass(frozen=True, slots=True)
class Words:
    """What the judge is told for each type of edit.

    ``roles`` go before all; in ``asked``, which stand with the images, ``<edit_prompt>`` stands for the
    instruction. ``temperature`` None is the endpoint's own.
    """

    roles: Mapping[str, str]
    asked: Mapping[str, str]
    temperature: float | None = 0.0
    official: bool = False
    record: Mapping[str, Json] = field(init=False)

    def __post_init__(self) -> None:
        record: dict[str, Json] = {kind: [self.roles[kind], self.asked[kind]] for kind in sorted(self.asked)}
        object.__setattr__(self, "record", record)

    def about(self, kind: str, instruction: str) -> str:
        """The question about an edit of a type."""
        return self.asked[kind].replace(_PLACE, instruction)


def own_words() -> Words:
    """arrkit's own words for the nine types."""
    return Words(
        {name: _role(kind) for name, kind in KINDS.items()},
        dict.fromkeys(KINDS, f"The instruction: {_PLACE}"),
    )


def uge_words() -> Words:
    """arrkit's own words for UGE, whose official ones ask for no line with a score."""
    return Words({"": UGE_ROLE}, {"": UGE_ASKED})


def official_words(folder: str) -> Words:
    """The official words for the nine types: of ``prompts.json`` or ``judge_prompt.json`` in a copy.

    The official script sets no temperature, so none is set with them. Raises
    :class:`~arrkit.errors.InputError` where the file, a type or the place for the instruction is missing.
    """
    path = official_file(folder, PROMPT_FILES, HOME)
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(Problem(f"this is not JSON: {error}", str(path))) from None
    if not isinstance(found, dict):
        raise InputError(Problem("this is not a JSON object", str(path)))
    asked = {ALIASES.get(name, name): text for name, text in found.items()}
    for name in KINDS:
        if not isinstance(asked.get(name), str) or _PLACE not in asked[name]:
            raise InputError(Problem(f'there is no text with {_PLACE} for the type "{name}"', str(path)))
    chosen = {name: asked[name] for name in KINDS}
    return Words(dict.fromkeys(KINDS, ""), chosen, temperature=None, official=True)


def _role(kind: Kind) -> str:
    criteria = "\n".join(
        f"{number}. {name}: {asks}." for number, (name, asks) in enumerate(kind.criteria, start=1)
    )
    lines = "\n".join(f"{name}: N" for name in kind.names)
    return (
        f"You grade edits of images. You see a source image, then the edited one, and read the instruction: "
        f"the edit was to {kind.does}.\n\nGive a mark for each of three criteria.\n{criteria}\n\n{_SHAPE}\n\n"
        f"Answer with four lines and nothing beside them:\nBrief reasoning: twenty words at most\n{lines}"
    )
