"""Encode prompts once, so that training needs no encoders.

Each process encodes its share of the prompts and writes its own shards; the main one writes the index. What
is in the folder already is not encoded again. The transformer is never loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from arrkit.canonical import Json
from arrkit.data.pairs import ImageUnreadable
from arrkit.data.prompts import Prompt
from arrkit.errors import Problem
from arrkit.progress import Progress, Watch, unwatched
from arrkit.rpo.encode import encode_or_reason
from arrkit.rpo.policy import Part, Policy
from arrkit.rpo.store import Kept, StoreKey, StoreSize, StoreWriter

Gather = Callable[[Json], Sequence[Json]]
"""The values of all processes, in the order of their ranks, given to each of them."""


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """What a preprocessing came to, over all processes.

    ``prompts`` can be used, ``encoded`` of their conditions are new; ``problems`` says what is wrong with
    the others. ``size`` is None in all processes but the main one.
    """

    folder: Path
    prompts: int
    encoded: int
    problems: tuple[Problem, ...]
    size: StoreSize | None


def preprocess(
    policy: Policy,
    prompts: Sequence[Prompt],
    folder: Path,
    *,
    key: StoreKey,
    device: torch.device,
    dtype: torch.dtype,
    batch: int = 8,
    rank: int = 0,
    world: int = 1,
    gather: Gather = lambda value: [value],
    watch: Watch = unwatched,
) -> Preprocessed:
    """Encode ``prompts`` into ``folder``, or the share of them that is process ``rank`` of ``world``'s.

    Args:
        key: what the conditions are good for; its precision is that of the folder.
        device, dtype: where and how the encoders run.
        batch: prompts encoded at once, at most.

    Raises:
        InputError: the folder holds something else.
        RunError: it cannot be written; what was written stays, and is not encoded anew another time.
    """
    with StoreWriter(folder, key, main=rank == 0) as writer:
        share = _Share(policy, writer, device, dtype, watch, share_of(prompts, rank, world))
        share.run(prompts, batch)
        writer.flush()
        policy.unload([Part.ENCODERS])
        told = [_Outcome.read(each) for part in gather(share.tell()) for each in _list(part)]
        outcomes = {outcome.index: outcome for outcome in told}
        kept = [
            Kept(prompt, outcomes[index].digest, outcomes[index].sources)
            for index, prompt in enumerate(prompts)
            if not outcomes[index].reason
        ]
        problems = tuple(
            Problem(outcomes[index].reason, prompt.origin)
            for index, prompt in enumerate(prompts)
            if outcomes[index].reason
        )
        size = writer.finish(kept) if rank == 0 and kept else None
        return Preprocessed(folder, len(kept), sum(each.encoded for each in told), problems, size)


def share_of(prompts: Sequence[Prompt], rank: int, world: int) -> list[int]:
    """The indices of the prompts that one process encodes; equal requests are all the same process's."""
    first: dict[tuple[str, ...], int] = {}
    own = []
    for index, prompt in enumerate(prompts):
        request = (prompt.text, *(picture.name for picture in prompt.sources))
        if first.setdefault(request, len(first)) % world == rank:
            own.append(index)
    return own


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one prompt: the digest of its condition, or the reason why there is none."""

    index: int
    digest: str = ""
    sources: tuple[str, ...] = ()
    reason: str = ""
    encoded: bool = False

    def tell(self) -> Json:
        return [self.index, self.digest, list(self.sources), self.reason, self.encoded]

    @classmethod
    def read(cls, told: Json) -> _Outcome:
        index, name, sources, reason, encoded = _list(told)
        return cls(int(str(index)), str(name), tuple(map(str, _list(sources))), str(reason), bool(encoded))


def _list(value: Json) -> Sequence[Json]:
    assert isinstance(value, Sequence)
    return value


class _Share:
    """One process at work on its prompts."""

    def __init__(
        self,
        policy: Policy,
        writer: StoreWriter,
        device: torch.device,
        dtype: torch.dtype,
        watch: Watch,
        indices: Sequence[int],
    ) -> None:
        self._policy = policy
        self._writer = writer
        self._device, self._dtype = device, dtype
        self._watch = watch
        self._indices = indices
        self._outcomes: list[_Outcome] = []
        self._waiting: dict[str, tuple[_Outcome, Prompt]] = {}
        self._counts = {"there already": 0, "unusable": 0}

    def tell(self) -> Json:
        return [outcome.tell() for outcome in self._outcomes]

    def run(self, prompts: Sequence[Prompt], batch: int) -> None:
        for index in self._indices:
            prompt = prompts[index]
            try:
                outcome = _Outcome(index, prompt.digest, tuple(picture.digest for picture in prompt.sources))
            except ImageUnreadable as error:
                self._settle(_Outcome(index, reason=str(error)), prompt)
                continue
            if outcome.digest in self._waiting:
                self._encode_waiting()
            if outcome.digest in self._writer.done:
                self._settle(outcome, prompt)
                continue
            self._waiting[outcome.digest] = outcome, prompt
            if len(self._waiting) == batch:
                self._encode_waiting()
        self._encode_waiting()

    def _encode_waiting(self) -> None:
        waiting, self._waiting = [*self._waiting.values()], {}
        if not waiting:
            return
        # Only now: with nothing to encode nothing is loaded.
        self._policy.load([Part.ENCODERS], device=self._device, dtype=self._dtype)
        made = encode_or_reason(self._policy, [prompt for _, prompt in waiting])
        for (outcome, prompt), each in zip(waiting, made, strict=True):
            if isinstance(each, str):
                self._settle(replace(outcome, reason=each), prompt)
            else:
                self._writer.add(outcome.digest, each)
                self._settle(replace(outcome, encoded=True), prompt)

    def _settle(self, outcome: _Outcome, prompt: Prompt) -> None:
        for picture in prompt.sources:
            picture.release()
        self._outcomes.append(outcome)
        if outcome.reason:
            self._counts["unusable"] += 1
        elif not outcome.encoded:
            self._counts["there already"] += 1
        # What is there already takes no time: the rate, and with it the time left, is of the rest.
        reused = self._counts["there already"]
        done, total = len(self._outcomes) - reused, len(self._indices) - reused
        self._watch(Progress("encode", done, total, dict(self._counts)))
