"""What the transports share: options, names, limits, and when the model is asked what it can do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.probe import probe
from arrkit.backends.judges.profiles import completed, hoped, look_up, recall, remember
from arrkit.backends.spec import Spec
from arrkit.errors import InputError, Problem
from arrkit.judge.transport import (
    BatchStatus,
    DecideRequest,
    ErrorKind,
    GenerateRequest,
    ImagePart,
    ModelProfile,
    Part,
    Reply,
    Sampling,
    TextPart,
    TransportError,
)

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the spec wants answers drawn. None and 0 leave a value to the request and the model."""

    effort: str | None = None
    temperature: float | None = None
    seed: int | None = None
    max_output_tokens: int = 0

    @classmethod
    def read(cls, where: str, *, effort: str, temperature: str, seed: str, max_output_tokens: int) -> Drawing:
        """From the spec's texts; raises :class:`InputError` with all that is wrong with them."""
        problems = []
        if effort and effort not in EFFORTS:
            problems.append(Problem(f"effort={effort} is none of {', '.join(EFFORTS)}", where))
        warmth: float | None = None
        if temperature:
            try:
                warmth = float(temperature)
            except ValueError:
                warmth = -1.0
            if not 0.0 <= warmth <= 2.0:
                problems.append(Problem(f"temperature={temperature} is no number from 0 to 2", where))
        number: int | None = None
        if seed:
            try:
                number = int(seed)
            except ValueError:
                problems.append(Problem(f"seed={seed} is not a whole number", where))
        if problems:
            raise InputError(problems)
        return cls(effort or None, warmth, number, max_output_tokens)

    def applied(self, request: GenerateRequest, profile: ModelProfile) -> Sampling:
        """How ``request`` is drawn from a model of ``profile``.

        What the spec asks for is sent as it stands: the endpoint may say no, and people should hear it. What
        the request merely prefers is left out where the model would refuse it.
        """
        wish = request.sampling
        effort = self.effort or (wish.effort if wish.effort in profile.effort else None)
        if request.labels and "none" in profile.effort:
            # Probabilities of the first word exist only where no reasoning comes before it.
            effort = "none"
        warm = profile.temperature and (not profile.effort or effort in (None, "none"))
        return Sampling(
            temperature=self.temperature
            if self.temperature is not None
            else (wish.temperature if warm else None),
            seed=self.seed if self.seed is not None else (wish.seed if profile.seed else None),
            max_output_tokens=max(self.max_output_tokens, wish.max_output_tokens),
            effort=effort,
        )


def checked_url(base_url: str, where: str) -> str:
    """``base_url`` without a slash at its end; :class:`InputError` where it is no plain HTTP address."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            Problem(f"base_url={base_url} is no http(s) address", where, "Such as http://localhost:8000/v1.")
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        # Not repeated: what stands before an @ or behind a ? is often a secret.
        raise InputError(
            Problem(
                "base_url holds more than an address (a user, a ? or a #)",
                where,
                "Keys come from the environment.",
            )
        )
    return base_url.rstrip("/")


class Line(Protocol):
    """What sends requests to one endpoint, in whatever format."""

    base_url: str
    endpoint: Endpoint

    async def aclose(self) -> None: ...


LineT = TypeVar("LineT", bound=Line)


class CompatibleTransport(Generic[LineT]):
    """One model behind one endpoint: everything but the format of its requests."""

    def __init__(
        self, spec: Spec, wire: LineT, drawing: Drawing, *, detail: str = "", shipped: bool = True
    ) -> None:
        self.spec = spec
        self.wire = wire
        self.drawing = drawing
        self.detail = detail
        self.known = look_up(spec.name, spec.model, shipped=shipped)
        self._profile: ModelProfile | None = None
        self._asking: asyncio.Task[ModelProfile] | None = None

    @property
    def name(self) -> str:
        return str(self.spec)

    @property
    def endpoint(self) -> str:
        return self.wire.endpoint.host

    @property
    def model(self) -> str:
        return self.spec.model

    async def profile(self) -> ModelProfile:
        """What the model can do: declared, remembered, or asked for once. Raises ``TransportError``."""
        if self._profile is None:
            # All who wait share one attempt and how it ends; whoever comes after a failure tries anew.
            if self._asking is None or self._asking.done():
                self._asking = asyncio.get_running_loop().create_task(self._found_out())
                self._asking.add_done_callback(_heard)
            self._profile = await asyncio.shield(self._asking)
        return self._profile

    def expected(self) -> ModelProfile:
        """What the model can do as far as can be said without asking it; the rest is hoped for."""
        return self._profile or self._on_record() or hoped(self.known)

    def _on_record(self) -> ModelProfile | None:
        if not self.known.unknown:
            return self.known.profile
        kept = recall(self.wire.base_url, self.model)
        return None if kept is None else completed(self.known, kept)

    async def _found_out(self) -> ModelProfile:
        if (kept := self._on_record()) is not None:
            return kept
        found = await self.ask_model()
        remember(self.wire.base_url, self.model, found)
        return found

    async def ask_model(self) -> ModelProfile:
        """Find out what the data leaves open, whatever the spec wants of each answer."""

        async def ask(request: GenerateRequest, profile: ModelProfile) -> Reply:
            return await self.send(request, profile, Drawing())

        return await probe(ask, self.known.unknown, self.known.profile)

    async def generate(self, request: GenerateRequest) -> Reply:
        profile = await self.profile()
        check_limits(request.parts, profile, self.model)
        return await self.send(request, profile, self.drawing)

    async def send(self, request: GenerateRequest, profile: ModelProfile, drawing: Drawing) -> Reply:
        """Ask a model that has ``profile``."""
        raise NotImplementedError

    async def decide(self, request: DecideRequest) -> Reply:
        raise NotImplementedError

    async def submit(self, requests: Mapping[str, GenerateRequest]) -> str:  # noqa: ARG002
        raise self.no_batches()

    async def collect(self, batch: str) -> BatchStatus:  # noqa: ARG002
        raise self.no_batches()

    def no_batches(self) -> TransportError:
        """The error of an endpoint that takes no batches."""
        return TransportError(
            ErrorKind.REJECTED, f"{self.name} takes no batches", remedy="Leave --batch out."
        )

    async def aclose(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        await self.wire.aclose()


def _heard(task: asyncio.Task[ModelProfile]) -> None:
    # Those who waited may have been cancelled; asyncio complains of a failure that nobody looked at.
    if not task.cancelled():
        task.exception()


def check_limits(parts: tuple[Part, ...], profile: ModelProfile, model: str) -> None:
    """Raise ``TransportError`` (too large) for what the endpoint would refuse, before it is sent."""
    sizes = [4 * ((len(part.data) + 2) // 3) for part in parts if isinstance(part, ImagePart)]
    heaviest = max((len(part.data) for part in parts if isinstance(part, ImagePart)), default=0)
    what = ""
    if len(sizes) > profile.images:
        what = f"{len(sizes)} images in one request, and {model} takes {profile.images}"
    elif profile.max_image_bytes and heaviest > profile.max_image_bytes:
        what = f"an image of {heaviest:,} bytes, and {model} takes {profile.max_image_bytes:,}"
    elif profile.max_request_bytes and sum(sizes) > profile.max_request_bytes:
        what = f"{sum(sizes):,} bytes of encoded images, and {model} takes {profile.max_request_bytes:,}"
    if what:
        raise TransportError(
            ErrorKind.TOO_LARGE, what, remedy="Send smaller images (--image-size), or fewer."
        )


def texts_of(request: GenerateRequest | DecideRequest) -> tuple[str, ...]:
    """The words of a request, which no error message repeats."""
    return (request.system, *(part.text for part in request.parts if isinstance(part, TextPart)))


def canonical_spec(spec: Spec, defaults: Mapping[str, object], **values: object) -> Spec:
    """``spec`` with those options that are not the defaults: what names a transport, and keys its cache."""
    options = {key: str(value) for key, value in values.items() if value != defaults[key]}
    return replace(spec, options=options)
