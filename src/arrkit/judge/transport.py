"""What differs between vision-language endpoints, and nothing else.

A *transport* sends one multimodal request and returns what came back, typed. It builds no prompts, reads no
verdicts, retries nothing, keeps nothing and waits for nobody: that is done once, above it, for all endpoints.

    VLMJudge ── prompts, parsing, the five operations
       │
    Caller ──── cache, budget, limits, retries, batches
       │
    Transport ─ openai, gemini, vllm, or anyone's

A transport raises :class:`TransportError` for everything that is not an answer. A refusal, a filter and a cut
answer are answers: they come back as a :class:`Reply` with the :class:`Finish` that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Protocol

from arrkit.canonical import Json
from arrkit.judge.protocol import Usage


@dataclass(frozen=True, slots=True)
class TextPart:
    """Words."""

    text: str

    def content(self) -> Json:
        return {"text": self.text}


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An encoded image, of which every endpoint gets these very bytes. ``mime`` is such as ``image/png``.

    ``digest`` is the SHA-256 of ``data``; whoever knows it passes it, since it takes a millisecond a
    megabyte and every request's key needs it.
    """

    data: bytes
    mime: str
    width: int
    height: int
    digest: str = ""

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", sha256(self.data).hexdigest())

    def content(self) -> Json:
        return {"image": self.digest}


Part = TextPart | ImagePart


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the endpoint should draw. None leaves a value to the endpoint's default, which is the safe choice:
    many models refuse any temperature but their own.

    ``max_output_tokens`` includes reasoning tokens where the model reasons. ``effort`` is none, minimal, low,
    medium or high.
    """

    temperature: float | None = None
    seed: int | None = None
    max_output_tokens: int = 4096
    effort: str | None = None


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One request for text, for JSON, or for the probabilities of a few words.

    ``system`` is the static prefix (task and rubric), byte-equal over pairs, so that prompt caches help;
    ``parts`` follow in order. With ``schema`` the answer must be JSON of that JSON Schema, written in the
    dialect that all endpoints share (object root, every property required, no maps, no patterns);
    ``schema_name`` matches ``[A-Za-z0-9_-]{1,64}``. With ``labels`` (words such as ``A`` or ``Yes``) the
    endpoint is asked for the probability that its first word is each of them, and writes one token at most.
    """

    system: str
    parts: tuple[Part, ...]
    schema: Mapping[str, Json] | None = None
    schema_name: str = "answer"
    labels: tuple[str, ...] = ()
    sampling: Sampling = Sampling()

    def content(self) -> dict[str, Json]:
        """All that the endpoint is told, images by their digests."""
        return {
            "kind": "generate",
            "system": self.system,
            "parts": [part.content() for part in self.parts],
            "schema": self.schema,
            "labels": list(self.labels),
            "sampling": {
                "temperature": self.sampling.temperature,
                "seed": self.sampling.seed,
                "max_output_tokens": self.sampling.max_output_tokens,
                "effort": self.sampling.effort,
            },
        }


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a decision request.

    ``options`` empty asks yes or no; otherwise one of the options (2 to 26) is chosen.
    """

    id: str
    text: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecideRequest:
    """Several questions over one shared input, answered with probabilities and no prose."""

    system: str
    parts: tuple[Part, ...]
    questions: tuple[Question, ...]

    def content(self) -> dict[str, Json]:
        """All that the endpoint is told, images by their digests."""
        return {
            "kind": "decide",
            "system": self.system,
            "parts": [part.content() for part in self.parts],
            "questions": [
                {"id": each.id, "text": each.text, "options": list(each.options)} for each in self.questions
            ],
        }


TransportRequest = GenerateRequest | DecideRequest


class Finish(StrEnum):
    """Why the endpoint stopped."""

    STOP = "stop"
    LENGTH = "length"
    REFUSAL = "refusal"
    FILTER = "filter"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    ``text`` is the answer as written, kept raw whatever is made of it. ``refusal`` holds the words of a
    refusal or the name of a filter. ``labels`` maps each label asked for to its probability, summed over the
    spellings that mean it; ``mass`` is their sum, low where the model wanted to say something else.
    ``answers`` maps a question's id to its options' probabilities, ``{"yes": p, "no": 1 - p}`` for yes or no;
    a question that was refused is missing. ``model`` is the name the endpoint resolved.
    """

    finish: Finish
    text: str = ""
    refusal: str = ""
    labels: Mapping[str, float] = field(default_factory=dict)
    mass: float | None = None
    answers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    usage: Usage = Usage()
    model: str = ""
    request_id: str = ""
    tier: str = ""


class ErrorKind(StrEnum):
    """What a failed request calls for."""

    RATE_LIMIT = "rate_limit"
    """Too fast or too busy: wait as told, and ask fewer at once."""
    TRANSIENT = "transient"
    """The endpoint or the line stumbled: try again soon."""
    EXHAUSTED = "exhausted"
    """Money or quota is used up: stop the run cleanly."""
    REFUSED = "refused"
    """The input was refused by policy: never ask again as it is."""
    TOO_LARGE = "too_large"
    """The request is over a limit of the endpoint."""
    REJECTED = "rejected"
    """The request, the key or the model's name is wrong: no retry will help."""


class TransportError(Exception):
    """A request that got no answer.

    ``retry_after`` is the wait in seconds that the endpoint asked for, in whatever form it did, or None.
    ``remedy`` is what a person can do about it. Neither message nor remedy holds a key or a request's body.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        retry_after: float | None = None,
        remedy: str = "",
        status: int | None = None,
        request_id: str = "",
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.remedy = remedy
        self.status = status
        self.request_id = request_id
        self.usage = usage or Usage()


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What one model behind one endpoint can do.

    ``structured`` is ``schema`` (the endpoint enforces a JSON Schema), ``json`` (any JSON) or ``none``.
    ``logprobs`` is how many alternatives a token's probabilities are given for, 0 for none. ``questions`` is
    how many questions one decision request takes, 0 where there is no decision endpoint. Sizes are in bytes,
    0 for "no limit known". ``known`` tells where it was learned: ``data`` (the list of models that arrkit
    ships), ``probe`` or ``user``; ``hope`` where it is a guess.
    """

    images: int = 2
    structured: str = "none"
    logprobs: int = 0
    questions: int = 0
    temperature: bool = False
    seed: bool = False
    effort: tuple[str, ...] = ()
    batch: bool = False
    cache_control: bool = False
    max_image_bytes: int = 0
    max_request_bytes: int = 0
    known: str = "data"


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """Where a batch stands. Once ``done``, ``replies`` maps each id to what came back."""

    done: bool
    state: str
    replies: Mapping[str, Reply | TransportError] = field(default_factory=dict)


class Transport(Protocol):
    """One model behind one endpoint. Safe for concurrent calls from one event loop."""

    @property
    def name(self) -> str:
        """The canonical spec, without secrets, such as ``vllm:Qwen/Qwen3-VL-8B-Instruct?base_url=...``."""
        ...

    @property
    def endpoint(self) -> str:
        """The host (and port) that limits are shared with, such as ``api.openai.com``."""
        ...

    @property
    def model(self) -> str: ...

    async def profile(self) -> ModelProfile:
        """What the model can do; the first call may ask the endpoint, later ones do not."""
        ...

    def expected(self) -> ModelProfile:
        """What the model can do as far as that is known without asking it, hoping for the rest."""
        ...

    async def generate(self, request: GenerateRequest) -> Reply: ...

    async def decide(self, request: DecideRequest) -> Reply: ...

    async def submit(self, requests: Mapping[str, GenerateRequest]) -> str:
        """Hand in a batch of requests by id, and return the batch's id."""
        ...

    async def collect(self, batch: str) -> BatchStatus:
        """Look at a batch."""
        ...

    async def aclose(self) -> None: ...
