"""Peak memory of ``judge eval`` over 100,000 pairs, against that over 1,000.

Each evaluation runs in a process of its own over a JSONL file with real images on disk, a rubric, a run
folder, a breakdown and a report, as a user's would. The judge only compares the digests of the images, so
that 100,000 pairs take minutes, not hours, and the memory is arrkit's own. The embedded judge, which keeps
what it found in an image, is measured on 3,000 pairs against 300 in the same way.

python benchmarks/eval_memory.py
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from arrkit.judge.protocol import (
    Answer,
    CompareRequest,
    Finding,
    Outcome,
    Proposal,
    ProposeRequest,
    RefineRequest,
    ScoreRequest,
    Scores,
    Side,
    Structure,
    StructureRequest,
    Verdict,
)
from common import ROOT_ENVIRONMENT, Bar, Result, main, peak_kib

FEW, MANY = 1_000, 100_000
EMBEDDED_FEW, EMBEDDED_MANY = 300, 3_000
IMAGES = 300
BAR = 1.2


class DigestJudge:
    """Prefers the image with the greater digest, so that its verdicts are consistent and cost nothing."""

    name = "digest"

    async def compare(self, request: CompareRequest) -> Verdict:
        preferred = Side.FIRST if request.first.digest > request.second.digest else Side.SECOND
        findings = tuple(
            Finding(criterion.id, Answer(preferred.value), 0.7, 0.3)
            for dimension in request.dimensions
            for criterion in dimension.criteria
        )
        return Verdict(Outcome.OK, preferred, findings, rationale="The one with the greater digest.")

    async def score(self, request: ScoreRequest) -> Scores:
        raise NotImplementedError

    async def propose(self, request: ProposeRequest) -> Proposal:
        raise NotImplementedError

    async def refine(self, request: RefineRequest) -> Proposal:
        raise NotImplementedError

    async def structure(self, request: StructureRequest) -> Structure:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


def write_data(folder: Path) -> None:
    """``pairs-N.jsonl`` for both sizes over the same few hundred small images."""
    from PIL import Image

    draw = random.Random(0)
    for i in range(IMAGES):
        Image.frombytes("RGB", (16, 16), draw.randbytes(768)).save(folder / f"{i}.png")
    for count in (FEW, MANY):
        with (folder / f"pairs-{count}.jsonl").open("w") as stream:
            for i in range(count):
                a, b = draw.sample(range(IMAGES), 2)
                row = {
                    "id": f"pair-{i}",
                    "task": "t2i",
                    "query": f"A noisy square, number {i}.",
                    "response": [f"{a}.png", f"{b}.png"],
                    "label_rank": draw.choice([[1, 2], [2, 1]]),
                    "category": f"category {i % 7}",
                }
                stream.write(json.dumps(row) + "\n")


def evaluate(count: int, folder: Path, *, embedded: bool) -> None:
    """The child's work: one evaluation, then its peak memory in KiB on standard output."""
    from arrkit.commands.evaluate import evaluate_judge
    from arrkit.commands.options import EvalOptions

    run = folder / f"run-{count}"
    if embedded:
        evaluate_judge(EvalOptions(dataset=f"shapes-edit:test?n={count}", judge="shapes", out=run))
    else:
        options = EvalOptions(
            pairs=folder / f"pairs-{count}.jsonl", rubric=("t2i-general",), by=("category",), out=run
        )
        evaluate_judge(options, judge=DigestJudge())
    print(peak_kib())


def peak_of(count: int, folder: Path, kind: str) -> int:
    """Peak memory in KiB of one evaluation in a process of its own."""
    child = [sys.executable, __file__, kind, str(count), str(folder)]
    done = subprocess.run(child, env=ROOT_ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout)


def measure() -> list[Result]:
    """The ratio of the peaks, for the light judge and for the embedded one."""
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_data(folder)
        for kind, few, many in (("digest", FEW, MANY), ("embedded", EMBEDDED_FEW, EMBEDDED_MANY)):
            small, large = peak_of(few, folder, kind), peak_of(many, folder, kind)
            detail = f"{large / 1024:.0f} MiB at {many:,} pairs / {small / 1024:.0f} MiB at {few:,}"
            results.append(
                Result(f"judge eval, peak memory, {kind} judge", large / small, BAR, Bar.AT_MOST, detail)
            )
    return results


if __name__ == "__main__":
    if len(sys.argv) == 4:  # a child that peak_of started
        evaluate(int(sys.argv[2]), Path(sys.argv[3]), embedded=sys.argv[1] == "embedded")
    else:
        sys.exit(main(measure))
