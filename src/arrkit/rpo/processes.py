"""Several processes, one for each GPU (or CPU share), that train one adapter together.

Each holds the whole model and works on its own share of the pairs; once an update they sum their gradients.
No wrapper is put around the model: which pairs are decided is known only after the judge has answered, so the
processes have different numbers of backward passes, and a wrapper would wait for all of them.

Started by ``--launch N`` (:mod:`arrkit.rpo.launching`), ``accelerate launch`` or ``torchrun``.
"""

from __future__ import annotations

import gc
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar, cast

import torch
from torch import Tensor

from arrkit.canonical import Json, canonical_json
from arrkit.errors import InputError, Problem, RunError
from arrkit.rpo.launching import LOST, PROMISE, end_with_parent

T = TypeVar("T")

PATIENCE = timedelta(hours=2)
"""How long processes wait for each other, in good order: one may be waiting for a slow judge, or evaluate.

A dead process is noticed much sooner: its connections break at once, or the launcher ends the rest.
"""


class LostError(RunError):
    """Another process of this run has ended. Its own message says why, so this one is not the cause."""

    exit_code = LOST


class Processes:
    """One of the processes of a run. Made by :func:`join`; by itself it is the only one.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
        device: where this one works.
    """

    def __init__(self, device: torch.device, *, rank: int = 0, world: int = 1, backend: str = "") -> None:
        self.device = device
        self.rank = rank
        self.world = world
        self.backend = backend

    @property
    def is_main(self) -> bool:
        """Whether this one writes files and tells people."""
        return self.rank == 0

    def describe(self) -> str:
        """How many processes there really are, such as ``2 processes on cpu over gloo``."""
        if self.world == 1:
            return f"1 process on {self.device}"
        return f"{self.world} processes on {self.device.type} over {self.backend}"

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's part of ``items``: all shares are disjoint, and together they are everything."""
        return list(items[self.rank :: self.world])

    def sum_flat(self, tensors: Sequence[Tensor]) -> None:
        """Sum each of ``tensors`` over all processes, in place and in one message."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._together(f"sum {flat.numel()}", lambda: torch.distributed.all_reduce(flat))
        at = 0
        for tensor in tensors:
            tensor.copy_(flat[at : at + tensor.numel()].view_as(tensor))
            at += tensor.numel()

    def total(self, numbers: Sequence[float]) -> list[float]:
        """The sums of ``numbers`` over all processes, in float64: exact for counts."""
        if self.world == 1:
            return [float(number) for number in numbers]
        sums = torch.tensor([float(number) for number in numbers], dtype=torch.float64, device=self.device)
        self._together(f"total {len(sums)}", lambda: torch.distributed.all_reduce(sums))
        return cast("list[float]", sums.tolist())

    def gather(self, value: Json) -> list[Json]:
        """The values of all processes, in the order of their ranks, on each of them."""
        if self.world == 1:
            return [value]
        return [json.loads(data) for data in self.gather_bytes(canonical_json(value))]

    def gather_bytes(self, data: bytes) -> list[bytes]:
        """The data of all processes, in the order of their ranks, on each of them."""
        if self.world == 1:
            return [data]
        sizes = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.world)]
        size = torch.tensor([len(data)], dtype=torch.int64, device=self.device)
        self._together("sizes", lambda: torch.distributed.all_gather(sizes, size))
        room = max(1, *(int(each) for each in sizes))
        mine = self._bytes(data.ljust(room, b"\0"))
        parts = [torch.empty_like(mine) for _ in range(self.world)]
        self._together("gather", lambda: torch.distributed.all_gather(parts, mine))
        return [part[: int(each)].cpu().numpy().tobytes() for part, each in zip(parts, sizes, strict=True)]

    def broadcast(self, value: Json) -> Json:
        """The first process's ``value``, on all of them."""
        if self.world == 1:
            return value
        data = canonical_json(value) if self.is_main else b""
        size = torch.tensor([len(data)], dtype=torch.int64, device=self.device)
        self._together("size", lambda: torch.distributed.broadcast(size, src=0))
        buffer = self._bytes(data) if self.is_main else self._bytes(bytes(int(size)))
        self._together("broadcast", lambda: torch.distributed.broadcast(buffer, src=0))
        return cast("Json", json.loads(buffer.cpu().numpy().tobytes()))

    def agree(self, value: Json, what: str) -> None:
        """Raise :class:`~arrkit.errors.RunError` unless all processes have the same ``value``."""
        values = self.gather(value)
        if others := [rank for rank, other in enumerate(values) if other != values[0]]:
            raise RunError(
                f"process {others[0]} of {self.world} has another {what} than process 0",
                hint="All processes must see the same files and be given the same options.",
            )

    def on_main(self, work: Callable[[], Json]) -> Json:
        """Do ``work`` on the first process alone; all get what it gave, and all fail where it failed.

        What the first process raises, the others raise as :class:`~arrkit.errors.InputError` or
        :class:`~arrkit.errors.RunError`; so none waits for a result that will not come.
        """
        if self.world == 1:
            return work()
        failure: BaseException | None = None
        answer: Json = None
        if self.is_main:
            try:
                answer = {"value": work()}
            except Exception as error:
                failure = error
                answer = {"error": str(error), "input": isinstance(error, InputError)}
        told = cast("dict[str, Json]", self.broadcast(answer))
        if failure is not None:
            raise failure
        if "error" in told:
            raise (InputError if told["input"] else RunError)(str(told["error"]))
        return told["value"]

    def barrier(self) -> None:
        """Wait until all are here."""
        self.total([0.0])

    def _bytes(self, data: bytes) -> Tensor:
        return torch.frombuffer(bytearray(data), dtype=torch.uint8).to(self.device)

    def _together(self, name: str, work: Callable[[], object]) -> None:
        """Do ``work``, a collective, after all have said that it is this one that they are about to do.

        A process that failed alone and then saves, while the others train on, would else wait for them for
        ever, or take their gradients for its own numbers.
        """
        tag = zlib.crc32(name.encode())
        both = torch.tensor([tag, -tag], dtype=torch.int64, device=self.device)
        try:
            torch.distributed.all_reduce(both, op=torch.distributed.ReduceOp.MAX)
            most, least = both.tolist()
            if most == -least:
                work()
        except RuntimeError as error:  # what torch.distributed raises when a connection breaks
            raise LostError(
                f"process {self.rank} of {self.world} has lost the others: {str(error).splitlines()[0]}",
                hint="Another process has ended, and said why; --resume goes on from the last checkpoint.",
            ) from error
        if most != -least:
            raise LostError(
                f"process {self.rank} of {self.world} is no longer in step with the others",
                hint="One of them has failed, and says why; --resume goes on from the last checkpoint.",
            )


@contextmanager
def join(device: str = "") -> Iterator[Processes]:
    """This process among those that were started together, or by itself.

    ``device`` is what the user asked for; empty takes the GPU where there is one. Leaving the block in good
    order waits for the others; leaving it by an error does not, so that they end too.

    Raises:
        InputError: no such device, more processes than GPUs, or the launcher started fewer than it was told.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    _check_promise(world)
    if world == 1:
        yield Processes(_device(device))
        return
    end_with_parent()
    cpu = device.startswith("cpu") or not torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    if not cpu and torch.cuda.device_count() < here:
        gpus = torch.cuda.device_count()
        raise InputError(
            f"{here} processes were started on a machine with {gpus} GPU{'s' if gpus != 1 else ''}",
            hint=f"Start {gpus}, or pass --device cpu.",
        )
    if not cpu and device not in ("", "cuda", f"cuda:{local}"):
        raise InputError(
            f"--device {device} cannot be given to several processes", hint="Each takes a GPU of its own."
        )
    try:
        processes = _enter(cpu)
        if processes.world != world:
            raise RunError(f"{world} processes were started, and {processes.world} found each other")
        processes.barrier()
        yield processes
        processes.barrier()
    except BaseException:
        _leave(abort=True)
        raise
    _leave(abort=False)


def _enter(cpu: bool) -> Processes:
    from accelerate import PartialState  # type: ignore[import-untyped]
    from accelerate.utils import InitProcessGroupKwargs  # type: ignore[import-untyped]

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    PartialState._reset_state()  # whoever asked before the group was there has seen a single process
    state = PartialState(cpu=cpu, **InitProcessGroupKwargs(timeout=PATIENCE).to_kwargs())
    return Processes(
        # Without the number that accelerate gives the only CPU: safetensors knows of no cpu:0.
        torch.device("cpu") if cpu else state.device,
        rank=state.process_index,
        world=state.num_processes,
        backend=str(state.backend),
    )


def _leave(*, abort: bool) -> None:
    """Take the group down. Left standing, gloo's threads can abort the interpreter when it ends."""
    from accelerate import PartialState

    PartialState._reset_state()
    if not torch.distributed.is_initialized():
        return
    if abort and torch.distributed.get_backend() == "nccl":
        # Destroying would wait for what the others owe; they are ended by the launcher.
        torch.distributed.distributed_c10d._abort_process_group()
    else:
        torch.distributed.destroy_process_group()
    # What an error's traceback holds in a cycle would otherwise keep the group until the interpreter ends.
    gc.collect()


def _device(name: str) -> torch.device:
    if not name:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(
            Problem(f'there is no device "{name}"', "--device", "Such as cpu or cuda:0.")
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        gpus = torch.cuda.device_count()
        raise InputError(
            Problem(
                f"there is no {name}: torch sees {gpus or 'no'} GPU{'s' if gpus != 1 else ''}", "--device"
            )
        )
    return device


def _check_promise(world: int) -> None:
    """Refuse to train alone where several processes were asked for."""
    promised = int(os.environ.get(PROMISE, "0"))
    # Asked for several processes on a CPU, accelerate sets an address for them to meet, starts one, and says
    # nothing. Without the others' number in the environment it is by itself.
    alone = "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ
    if (promised and promised != world) or (alone and "WORLD_SIZE" not in os.environ):
        asked = f"{promised} processes were" if promised else "More than one process was"
        raise InputError(
            f"{asked} asked for, and the launcher started {world}",
            hint="Without a GPU accelerate launch starts one process, whatever --num_processes says: add "
            "--multi_gpu, which works on CPUs as well, or pass --launch N to arrkit.",
        )
