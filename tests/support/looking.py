"""A model for the loopback servers that looks: it decodes the images it is sent and likes the brighter one.

    with wire_openai.Wire(looking_openai()) as wire: ...

Whatever is asked (verdicts, rankings, scores, criteria, dimensions, one word, decisions) is answered through
the schema, the words or the questions of the request, as a model would have to.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import wire_gemini
import wire_openai
from loopback import Action, Seen
from PIL import Image, ImageStat

SKELETON = "Write this JSON object and nothing else:"
STATEMENTS = ("The image is brightly lit.", "The picture is light all over.", "No part of it is very dark.")
LABELS = re.compile(r"one word: (.*?)\.")


@dataclass(frozen=True)
class Asked:
    """What a request says, whichever wire it came by."""

    system: str
    texts: Sequence[str]
    images: Sequence[bytes]
    given: Mapping[str, Any] | None
    words: bool

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema that was sent, or the one that the prompt shows by an example."""
        if self.given is not None:
            return self.given
        _, shown, outline = self.system.partition(SKELETON)
        assert shown, "an object is asked for without a word on its form"
        return _schema_of(json.loads(re.sub(r"<[^>]*>", "0", outline)))

    @property
    def lights(self) -> list[float]:
        """How bright each image is, in [0, 1]."""
        return [brightness(data) for data in self.images]


def digest(seen: Seen) -> str:
    """What a request said, to the byte."""
    return hashlib.sha256(seen.raw).hexdigest()


def brightness(data: bytes) -> float:
    """The mean of an encoded image's pixels, in [0, 1]."""
    return ImageStat.Stat(Image.open(io.BytesIO(data)).convert("L")).mean[0] / 255


def looked(asked: Asked) -> dict[str, Any]:
    """An answer for the schema asked for."""
    fields = asked.schema["properties"]
    if "verdict" in fields:
        return _verdict(fields, asked.lights[-2:])
    if "dimensions" in fields:
        return {"dimensions": [_dimension("\n".join(asked.texts))]}
    if "points" in fields:
        first, second = asked.lights[-2:]
        points = [{"statement": each, "guidance": "Look at the whole of it."} for each in STATEMENTS[:2]]
        return {"reasoning": "Their light.", "points": points if abs(first - second) >= 0.01 else []}
    if "missing" in fields:
        return {"reasoning": "It says nothing of light.", "missing": STATEMENTS[1], "dimension": "Light"}
    if "score" in fields["criteria"]["items"]["properties"]:
        return {"criteria": _scores(asked, fields["criteria"]["items"]["properties"])}
    assert "statement" in fields["criteria"]["items"]["properties"], fields
    most = fields["criteria"].get("maxItems", 3)
    return {
        **{name: "Light decides." for name in fields if name != "criteria"},
        "criteria": [
            {"statement": each, "guidance": "Look at the whole of it.", "dimension": "Light"}
            for each in STATEMENTS[:most]
        ],
    }


def chances(asked: Asked, labels: Sequence[str]) -> dict[str, float]:
    """The probabilities of A, B and tie (or equal), or of Yes and No where one image is looked at."""
    if "Yes" in labels:
        return {"Yes": asked.lights[-1], "No": 1 - asked.lights[-1]}
    first, second = asked.lights[-2:]
    undecided = labels[-1]
    if abs(first - second) < 0.01:
        return {undecided: 0.9, "A": 0.05, "B": 0.05}
    return (
        {"A": 0.9, "B": 0.06, undecided: 0.03} if first > second else {"B": 0.9, "A": 0.06, undecided: 0.03}
    )


def looking_openai() -> Callable[[Seen], Action]:
    """What an OpenAI or vLLM server answers."""

    def respond(seen: Seen) -> Action:
        body = seen.body
        if seen.path.endswith("/systemone"):
            return wire_openai.systemone(
                _decisions(body["questions"], [_from_url(each) for each in body["images"]])
            )
        asked = Asked(
            wire_openai.system_of(seen),
            wire_openai.texts_of(seen),
            wire_openai.images_of(seen),
            wire_openai.schema_of(seen),
            bool(body.get("logprobs") or "top_logprobs" in body),
        )
        if asked.words:
            shares = chances(asked, _labels(asked.texts))
            return wire_openai.chat(max(shares, key=shares.__getitem__), tokens=shares)
        return wire_openai.chat(json.dumps(looked(asked)))

    return respond


def looking_gemini() -> Callable[[Seen], Action]:
    """What a Gemini server answers."""

    def respond(seen: Seen) -> Action:
        if seen.path.endswith("/decisions"):
            body = seen.body
            images = [base64.b64decode(each["data"]) for each in body["input"] if each["type"] == "image"]
            return wire_gemini.decision(_decisions(body["questions"], images))
        config = wire_gemini.config_of(seen)
        texts = [part["text"] for part in wire_gemini.parts_of(seen) if "text" in part]
        words = bool(config.get("responseLogprobs"))
        schema = config.get("responseJsonSchema")
        asked = Asked(wire_gemini.system_of(seen), texts, wire_gemini.images_of(seen), schema, words)
        if asked.words:
            shares = chances(asked, _labels(texts))
            return wire_gemini.answer(max(shares, key=shares.__getitem__), tokens=shares)
        return wire_gemini.answer(json.dumps(looked(asked)))

    return respond


def _verdict(fields: Mapping[str, Any], lights: Sequence[float]) -> dict[str, Any]:
    first, second = lights
    choice = "tie" if abs(first - second) < 0.01 else "A" if first > second else "B"
    answer: dict[str, Any] = {"reasoning": f"A is {first:.2f} bright, B {second:.2f}.", "verdict": choice}
    if "criteria" in fields:
        found = "equal" if choice == "tie" else choice
        ids = fields["criteria"]["items"]["properties"]["id"]["enum"]
        answer["criteria"] = [{"id": each, "evidence": "its light", "answer": found} for each in ids]
        answer["override"] = ""
    return answer


def _scores(asked: Asked, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    shown = "\n".join([asked.system, *asked.texts])
    ids = entry["id"].get("enum") or re.findall(r"^- (\S+?)(?: \(weight .*\))?: ", shown, re.MULTILINE)
    score = round(entry["score"].get("maximum", 10) * asked.lights[-1])
    return [{"id": each, "evidence": "its light", "score": score} for each in ids]


def _dimension(pool: str) -> dict[str, Any]:
    drafts = re.findall(r"^\[(\d+)\] (.*)$", pool, re.MULTILINE)
    return {
        "name": "Light",
        "description": "How bright an image is.",
        "criteria": [
            {"statement": statement, "guidance": "Look at the whole of it.", "members": [int(number)]}
            for number, statement in drafts
        ],
    }


def _schema_of(outline: Any) -> dict[str, Any]:
    if isinstance(outline, dict):
        return {"properties": {name: _schema_of(each) for name, each in outline.items()}}
    if isinstance(outline, list):
        return {"items": _schema_of(outline[0])}
    return {"enum": outline.split(" | ")} if isinstance(outline, str) else {}


def _from_url(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])


def _labels(texts: Sequence[str]) -> list[str]:
    (said,) = LABELS.findall(texts[-1])
    return re.split(r", | or ", said)


def _decisions(questions: Mapping[str, Any], images: Sequence[bytes]) -> dict[str, Any]:
    asked = Asked("", (), images, None, words=True)
    answers = {}
    for name, question in questions.items():
        if question["type"] == "noul":
            sure = asked.lights[-1]
            answers[name] = {"type": "noul", "noul": sure, "confidence": max(sure, 1 - sure)}
            continue
        shares = chances(asked, list(question["criteria"]))
        choice = max(shares, key=shares.__getitem__)
        sure = shares[choice]
        answers[name] = {"type": "choice", "choice": choice, "confidence": sure, "probabilities": shares}
    return answers
