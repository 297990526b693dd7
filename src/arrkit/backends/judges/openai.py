"""The transport ``openai``: OpenAI's own models, and whoever else speaks their wire format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from arrkit.backends.judges import batches, chat, plugins, responses
from arrkit.backends.judges.compatible import (
    CompatibleTransport,
    Drawing,
    canonical_spec,
    check_limits,
    checked_url,
    texts_of,
)
from arrkit.backends.judges.decisions import DECISIONS_PATH, decisions_body, decisions_reply
from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.reading import words
from arrkit.backends.judges.wire import Answered, Wire
from arrkit.backends.spec import Spec
from arrkit.canonical import Json
from arrkit.errors import InputError, Problem
from arrkit.judge.transport import (
    BatchStatus,
    DecideRequest,
    ErrorKind,
    GenerateRequest,
    ModelProfile,
    Reply,
    TransportError,
)

OFFICIAL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
# Servers that need no key want some all the same: the SDK refuses to go without.
NO_KEY = "none"
# Batch files are up to 200 MB: a minute of sending is not a server that hangs.
_PATIENCE_FOR_FILES = 5.0


def make_transport(
    spec: Spec,
    *,
    base_url: str = "",
    api: str = "auto",
    detail: str = "high",
    effort: str = "",
    temperature: str = "",
    seed: str = "",
    max_output_tokens: int = 0,
    timeout: float = 120.0,
) -> OpenAITransport:
    """The transport that ``spec`` names. Raises :class:`InputError` for options that cannot be.

    The endpoint is ``base_url``, or that of ``OPENAI_BASE_URL``, or OpenAI's. Only OpenAI's needs a key.
    """
    where = "judge openai"
    drawing = Drawing.read(
        where, effort=effort, temperature=temperature, seed=seed, max_output_tokens=max_output_tokens
    )
    address = checked_url(base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL, where)
    official = address == OFFICIAL
    key = os.environ.get(KEY, "").strip()
    if official and not key:
        raise InputError(Problem(f"{KEY} is not set", where, f"Set {KEY}."))
    if key and not key.isascii():
        raise InputError(Problem(f"{KEY} holds characters that no key has", where, f"Set {KEY} again."))
    name = canonical_spec(
        spec,
        {each: parameter.default for each, parameter in plugins.openai.parameters.items()},
        base_url="" if official else address,
        api=api,
        detail=detail,
        effort=effort,
        temperature=temperature,
        seed=seed,
        max_output_tokens=max_output_tokens,
    )
    endpoint = Endpoint(
        host=urlsplit(address).netloc, model=spec.model, key=KEY, secrets=(key,) if key else ()
    )
    wire = Wire(address, key or NO_KEY, endpoint, timeout=timeout, account=official)
    return OpenAITransport(name, wire, drawing, detail=detail, api=api, official=official)


class OpenAITransport(CompatibleTransport[Wire]):
    """A model of OpenAI's, or of an endpoint that imitates it.

    Chat Completions wherever a model is served there, the Responses API for those served nowhere else.
    """

    def __init__(
        self, spec: Spec, wire: Wire, drawing: Drawing, *, detail: str, api: str, official: bool
    ) -> None:
        super().__init__(spec, wire, drawing, detail=detail, shipped=official)
        self.official = official
        self.surface = self.known.surface if api == "auto" else api

    async def send(self, request: GenerateRequest, profile: ModelProfile, drawing: Drawing) -> Reply:
        path = responses.PATH if self.surface == "responses" else chat.PATH
        answered = await self.wire.post(path, self.body(request, profile, drawing), texts_of(request))
        return self.reply(answered, request.labels, texts_of(request))

    def body(self, request: GenerateRequest, profile: ModelProfile, drawing: Drawing) -> dict[str, Json]:
        """The body for ``request`` on the surface that this model is asked on."""
        sampling = drawing.applied(request, profile)
        if self.surface == "responses":
            return responses.responses_body(self.model, request, sampling, profile, detail=self.detail)
        body = chat.chat_body(self.model, request, sampling, profile, detail=self.detail)
        if self.official:
            # Others may refuse a field that they do not know.
            body["store"] = False
            body["prompt_cache_key"] = chat.cache_key(self.model, request.system)
        return body

    def reply(self, answered: Answered, labels: tuple[str, ...], texts: tuple[str, ...] = ()) -> Reply:
        """What ``answered`` says, on whichever surface it was given."""
        if self.surface == "responses":
            return responses.responses_reply(answered, labels, endpoint=self.wire.endpoint, texts=texts)
        return chat.chat_reply(answered, labels, host=self.endpoint)

    async def decide(self, request: DecideRequest) -> Reply:
        """Ask the decision endpoint; where the model has none, it says so in its own words."""
        profile = await self.profile()
        check_limits(request.parts, profile, self.model)
        body = decisions_body(self.model, request, detail=self.detail)
        answered = await self.wire.post(DECISIONS_PATH, body, texts_of(request))
        return decisions_reply(answered, request.questions)

    async def submit(self, requests: Mapping[str, GenerateRequest]) -> str:
        profile = await self.profile()
        for request in requests.values():
            check_limits(request.parts, profile, self.model)
        path = responses.BATCH_PATH if self.surface == "responses" else chat.BATCH_PATH
        file = batches.batch_lines(requests, path, lambda request: self.body(request, profile, self.drawing))

        uploaded = await self.wire.call(
            lambda client: client.files.create(file=("arrkit.jsonl", file), purpose="batch"),
            patience=_PATIENCE_FOR_FILES,
        )
        order: dict[str, Json] = {
            "input_file_id": uploaded.id,
            "endpoint": path,
            "completion_window": "24h",
        }
        made = await self.wire.post("/batches", order)
        if not (identifier := words(made.body.get("id"))):
            raise TransportError(ErrorKind.TRANSIENT, f"{self.endpoint} took the batch but named no id")
        return identifier

    async def collect(self, batch: str) -> BatchStatus:
        """Look at a batch; raises ``TransportError`` for one that failed as a whole."""
        about = (await self.wire.get(f"/batches/{quote(batch, safe='')}")).body
        state = words(about.get("status"))
        if state == "failed":
            raise batches.failed_batch(batch, about, self.wire.endpoint)
        if state not in batches.FINAL:
            return BatchStatus(False, state)
        files = [
            await self._file(identifier)
            for key in ("output_file_id", "error_file_id")
            if (identifier := words(about.get(key)))
        ]
        return BatchStatus(True, state, batches.batch_replies(files, self.wire.endpoint, self.reply))

    async def _file(self, identifier: str) -> bytes:
        content = await self.wire.call(
            lambda client: client.files.content(identifier), patience=_PATIENCE_FOR_FILES
        )
        return content.content
