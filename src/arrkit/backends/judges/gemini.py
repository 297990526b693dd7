"""The transport ``gemini``: Google's models through the Gemini API."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from google.genai import types

from arrkit.backends.judges import gemini_batches as batches
from arrkit.backends.judges import gemini_reply as replies
from arrkit.backends.judges import gemini_request as requests_
from arrkit.backends.judges import plugins
from arrkit.backends.judges.compatible import (
    CompatibleTransport,
    Drawing,
    canonical_spec,
    check_limits,
    checked_url,
    texts_of,
)
from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.gemini_wire import GeminiWire
from arrkit.backends.spec import Spec
from arrkit.canonical import Json
from arrkit.errors import InputError, Problem
from arrkit.judge.transport import (
    BatchStatus,
    DecideRequest,
    ErrorKind,
    GenerateRequest,
    ModelProfile,
    Question,
    Reply,
    Sampling,
    TextPart,
    TransportError,
)

OFFICIAL = "https://generativelanguage.googleapis.com"
KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
"""Where a key is looked for, in this order: the first is the more particular one."""

_CANARY = "This is a check of the connection."
_QUESTIONS = 1000
# Batch files are up to 2 GB: minutes of sending are not a server that hangs.
_PATIENCE_FOR_FILES = 10.0
_EFFORTS = ("minimal", "low", "medium", "high")


def make_transport(
    spec: Spec,
    *,
    base_url: str = "",
    media_resolution: str = "auto",
    effort: str = "",
    temperature: str = "",
    seed: str = "",
    max_output_tokens: int = 0,
    timeout: float = 120.0,
) -> GeminiTransport:
    """The transport that ``spec`` names. Raises :class:`~arrkit.errors.InputError` for impossible options."""
    where = "judge gemini"
    drawing = Drawing.read(
        where, effort=effort, temperature=temperature, seed=seed, max_output_tokens=max_output_tokens
    )
    address = checked_url(base_url or OFFICIAL, where)
    variable, key = _key(where)
    name = canonical_spec(
        spec,
        {each: parameter.default for each, parameter in plugins.gemini.parameters.items()},
        base_url="" if address == OFFICIAL else address,
        media_resolution=media_resolution,
        effort=effort,
        temperature=temperature,
        seed=seed,
        max_output_tokens=max_output_tokens,
    )
    endpoint = Endpoint(host=urlsplit(address).netloc, model=spec.model, key=variable, secrets=(key,))
    wire = GeminiWire(address, key, endpoint, timeout=timeout)
    return GeminiTransport(
        name, wire, drawing, resolution="" if media_resolution == "auto" else media_resolution
    )


def _key(where: str) -> tuple[str, str]:
    """The variable that holds a key, and the key."""
    for variable in KEYS:
        key = os.environ.get(variable, "").strip()
        if key and not key.isascii():
            raise InputError(
                Problem(f"{variable} holds characters that no key has", where, f"Set {variable} again.")
            )
        if key:
            return variable, key
    raise InputError(Problem(f"neither {' nor '.join(KEYS)} is set", where, f"Set {KEYS[0]}."))


class GeminiTransport(CompatibleTransport[GeminiWire]):
    """A model of Google's, asked through ``generateContent``, ``decisions`` or a batch."""

    def __init__(self, spec: Spec, wire: GeminiWire, drawing: Drawing, *, resolution: str = "") -> None:
        super().__init__(spec, wire, drawing)
        self.resolution = resolution

    async def ask_model(self) -> ModelProfile:
        found = await super().ask_model()
        if self.known.listed:
            return found
        return replace(
            found, effort=await self._efforts(found), questions=await self._questions(), batch=True
        )

    async def _efforts(self, found: ModelProfile) -> tuple[str, ...]:
        """The levels of thinking that the model takes."""
        taken = []
        for effort in _EFFORTS:
            sampling = Sampling(max_output_tokens=16, effort=effort)
            request = GenerateRequest(_CANARY, (TextPart("Name a colour."),), sampling=sampling)
            try:
                await self.send(request, replace(found, effort=_EFFORTS), Drawing())
            except TransportError as error:
                if error.kind is not ErrorKind.REJECTED:
                    raise
            else:
                taken.append(effort)
        return tuple(taken)

    async def _questions(self) -> int:
        """How many questions the decision endpoint takes for this model; most models have none."""
        request = DecideRequest(_CANARY, (TextPart("Grass is green."),), (Question("q", "Is grass green?"),))
        try:
            await self._decide(request)
        except TransportError as error:
            if error.kind is not ErrorKind.REJECTED:
                raise
            return 0
        return _QUESTIONS

    async def send(self, request: GenerateRequest, profile: ModelProfile, drawing: Drawing) -> Reply:
        settings = self._config(request, profile, drawing)
        turns = requests_.contents(request.parts, resolution=self.resolution)
        started = time.monotonic()
        answered = await self.wire.call(
            lambda client: client.models.generate_content(
                model=self.model, contents=list(turns), config=settings
            ),
            texts_of(request),
        )
        seconds = time.monotonic() - started
        response = answered.sdk_http_response
        headers = {name.lower(): value for name, value in ((response and response.headers) or {}).items()}
        return self._reply(
            self.wire.read(response.body if response else None),
            request.labels,
            seconds=seconds,
            tier=headers.get("x-gemini-service-tier", ""),
        )

    def _config(
        self, request: GenerateRequest, profile: ModelProfile, drawing: Drawing
    ) -> types.GenerateContentConfig:
        return requests_.config(
            request,
            drawing.applied(request, profile),
            profile,
            thinking=self.known.thinking,
            resolution=self.resolution,
        )

    def _reply(
        self,
        body: Mapping[str, Json],
        labels: tuple[str, ...],
        *,
        seconds: float | None = None,
        tier: str = "",
    ) -> Reply:
        return replies.generate_reply(body, labels, host=self.endpoint, seconds=seconds, tier=tier)

    async def decide(self, request: DecideRequest) -> Reply:
        """Ask the decision endpoint; where the model has none, it says so in its own words."""
        check_limits(request.parts, await self.profile(), self.model)
        return await self._decide(request)

    async def _decide(self, request: DecideRequest) -> Reply:
        started = time.monotonic()
        answered = await self.wire.call(
            lambda client: client.decisions.with_raw_response.create(
                model=requests_.model_path(self.model),
                input=requests_.decision_input(request, resolution=self.resolution),
                questions=requests_.decision_questions(request.questions),
            ),
            texts_of(request),
        )
        return replies.decision_reply(
            self.wire.read(answered.http_response.content),
            request.questions,
            model=self.model,
            host=self.endpoint,
            request_id=answered.headers.get("x-request-id", ""),
            seconds=time.monotonic() - started,
        )

    async def submit(self, requests: Mapping[str, GenerateRequest]) -> str:
        """Hand in a batch as a file: what is handed in inline comes back without its ids."""
        profile = await self.profile()
        for request in requests.values():
            check_limits(request.parts, profile, self.model)
        file = batches.batch_lines(
            requests,
            lambda request: requests_.batch_request(
                requests_.contents(request.parts, resolution=self.resolution),
                self._config(request, profile, self.drawing),
            ),
        )
        uploaded = await self.wire.call(
            lambda client: client.files.upload(
                file=io.BytesIO(file),
                config=types.UploadFileConfig(
                    mime_type="application/jsonl",
                    # Or the file goes where the answer says, past a proxy.
                    http_options=types.HttpOptions(base_url=self.wire.base_url),
                ),
            ),
            patience=_PATIENCE_FOR_FILES,
        )
        made = await self.wire.call(
            lambda client: client.batches.create(
                model=self.model,
                src=types.BatchJobSource(file_name=uploaded.name),
                config=types.CreateBatchJobConfig(display_name="arrkit"),
            )
        )
        if not made.name:
            raise TransportError(ErrorKind.TRANSIENT, f"{self.endpoint} took the batch but named no id")
        return made.name

    async def collect(self, batch: str) -> BatchStatus:
        """Look at a batch; raises ``TransportError`` for one that failed as a whole."""
        if not batch.startswith("batches/"):
            raise TransportError(ErrorKind.REJECTED, f'"{batch}" is not the id of a batch of Gemini\'s')
        about = await self.wire.call(lambda client: client.batches.get(name=batch))
        state = about.state.name if about.state else "JOB_STATE_UNSPECIFIED"
        if state not in batches.FINAL:
            return BatchStatus(False, state)
        name = about.dest.file_name if about.dest else None
        if not name:
            if state == "JOB_STATE_FAILED":
                raise batches.failed_batch(batch, self.wire.endpoint)
            return BatchStatus(True, state)
        file = await self.wire.call(
            lambda client: client.files.download(file=name), patience=_PATIENCE_FOR_FILES
        )
        return BatchStatus(True, state, batches.batch_replies(file, self.wire.endpoint, self._reply))
