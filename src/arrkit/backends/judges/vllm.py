"""The transport ``vllm``: a model that people serve themselves."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from urllib.parse import urlsplit

from arrkit.backends.judges import plugins
from arrkit.backends.judges.chat import PATH, chat_body, chat_reply
from arrkit.backends.judges.compatible import (
    CompatibleTransport,
    Drawing,
    canonical_spec,
    check_limits,
    checked_url,
    texts_of,
)
from arrkit.backends.judges.decisions import SYSTEMONE_PATH, systemone_body, systemone_reply
from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.labels import spellings
from arrkit.backends.judges.openai import NO_KEY
from arrkit.backends.judges.reading import count, rows
from arrkit.backends.judges.wire import Wire
from arrkit.backends.spec import Spec
from arrkit.judge.transport import (
    DecideRequest,
    ErrorKind,
    GenerateRequest,
    ModelProfile,
    Question,
    Reply,
    TextPart,
    TransportError,
)

KEY = "VLLM_API_KEY"
"""The variable that ``vllm serve`` itself reads a key from; needed only where the server was given one."""

# vLLM takes this many questions for models whose answer is read off the next token.
_QUESTIONS = 64
_MOST_TOKEN_IDS = 128


def make_transport(
    spec: Spec,
    *,
    base_url: str = "http://localhost:8000/v1",
    effort: str = "",
    temperature: str = "",
    seed: str = "",
    max_output_tokens: int = 0,
    timeout: float = 120.0,
) -> VLLMTransport:
    """The transport that ``spec`` names. Raises :class:`~arrkit.errors.InputError` for impossible options."""
    where = "judge vllm"
    drawing = Drawing.read(
        where, effort=effort, temperature=temperature, seed=seed, max_output_tokens=max_output_tokens
    )
    address = checked_url(base_url, where)
    key = os.environ.get(KEY, "").strip()
    name = canonical_spec(
        spec,
        {each: parameter.default for each, parameter in plugins.vllm.parameters.items()},
        base_url=address,
        effort=effort,
        temperature=temperature,
        seed=seed,
        max_output_tokens=max_output_tokens,
    )
    endpoint = Endpoint(
        host=urlsplit(address).netloc,
        model=spec.model,
        key=KEY,
        serve=f"vllm serve {spec.model}",
        secrets=(key,) if key else (),
    )
    return VLLMTransport(name, Wire(address, key or NO_KEY, endpoint, timeout=timeout), drawing)


class VLLMTransport(CompatibleTransport[Wire]):
    """A model on a vLLM server.

    A temperature is always sent, 0 unless another is asked for: without one, the model's own generation
    config decides, and may say 0.7. Probabilities of labels are read by token id where the server can.
    """

    def __init__(self, spec: Spec, wire: Wire, drawing: Drawing) -> None:
        super().__init__(spec, wire, drawing)
        self._ids: dict[tuple[str, ...], dict[str, str]] = {}
        self._looking = asyncio.Lock()

    async def send(self, request: GenerateRequest, profile: ModelProfile, drawing: Drawing) -> Reply:
        sampling = drawing.applied(request, profile)
        if sampling.temperature is None:
            sampling = replace(sampling, temperature=0.0)
        # Thinking is switched in the chat template; a template that does not know the word ignores it.
        quiet = bool(request.labels) or sampling.effort == "none"
        if quiet:
            sampling = replace(sampling, effort=None)
        body = chat_body(self.model, request, sampling, profile)
        if quiet:
            body["chat_template_kwargs"] = {"enable_thinking": False}
        ids: dict[str, str] = {}
        if request.labels and (ids := await self._token_ids(request.labels)):
            body["logprob_token_ids"] = [int(token.rpartition(":")[2]) for token in ids]
            body["return_tokens_as_token_ids"] = True
        answered = await self.wire.post(PATH, body, texts_of(request))
        return chat_reply(answered, request.labels, host=self.endpoint, ids=ids)

    async def decide(self, request: DecideRequest) -> Reply:
        check_limits(request.parts, await self.profile(), self.model)
        answered = await self.wire.post(
            SYSTEMONE_PATH, systemone_body(self.model, request), texts_of(request)
        )
        return systemone_reply(answered, request.questions)

    async def ask_model(self) -> ModelProfile:
        found = await super().ask_model()
        return replace(found, questions=await self._questions(), effort=("none", "low", "medium", "high"))

    async def _questions(self) -> int:
        """How many questions the server's decision endpoint takes: most architectures have none (501)."""
        request = DecideRequest("", (TextPart("Grass is green."),), (Question("q", "Is grass green?"),))
        try:
            answered = await self.wire.post(SYSTEMONE_PATH, systemone_body(self.model, request))
        except TransportError as error:
            if error.kind is ErrorKind.REJECTED:
                return 0
            raise
        return _QUESTIONS if systemone_reply(answered, request.questions).answers else 0

    async def _token_ids(self, labels: tuple[str, ...]) -> dict[str, str]:
        """``token_id:N`` to label, for every one-token spelling; empty where a label has none.

        Without ids the top alternatives are searched by text, and a label may be missing from them.
        """
        async with self._looking:
            if labels not in self._ids:
                self._ids[labels] = await self._look_up_ids(labels)
        return self._ids[labels]

    async def _look_up_ids(self, labels: tuple[str, ...]) -> dict[str, str]:
        # /tokenize stands beside /v1, not under it.
        url = f"{self.wire.base_url.removesuffix('/v1')}/tokenize"
        found: dict[str, str] = {}
        for label in labels:
            for spelling in spellings(label):
                try:
                    answered = await self.wire.post(
                        url, {"model": self.model, "prompt": spelling, "add_special_tokens": False}
                    )
                except TransportError as error:
                    if error.kind is ErrorKind.REJECTED:
                        return {}
                    raise
                tokens = [count(token) for token in rows(answered.body.get("tokens"))]
                if len(tokens) == 1 and tokens[0] is not None:
                    found.setdefault(f"token_id:{tokens[0]}", label)
        if set(found.values()) != set(labels) or len(found) > _MOST_TOKEN_IDS:
            return {}
        return found
