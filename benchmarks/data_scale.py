"""Reading a million preference pairs: JSON and parquet against ``json.load``, memory, and the first judgment.

One set of a million pairs in HPDv3's form is written as a JSON array (300 MB) and as parquet. Each reading
runs in a process of its own that has imported what it needs; seconds are those of the processor, since all
three read on one core, and so say the same on a machine that does other work. No image is opened.

The last line is ``arrkit judge eval`` over the same rows with the images of the embedded world beside them:
seconds on the clock from the start of the command until the first judgment is in the run folder.

python benchmarks/data_scale.py
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from common import ROOT_ENVIRONMENT, Bar, Result, main, peak_kib

PAIRS = 1_000_000
RUNS = 3
IMAGES = 40
MEMORY_MIB = 300
FIRST_SECONDS = 3
COLUMNS = ("prompt", "choice_dist", "confidence", "path1", "path2", "model1", "model2")
MODELS = ("flux", "infinity", "kolors", "sd3", "sdxl", "hunyuan")


def write_rows(folder: Path) -> None:
    """``all.json`` and ``all.parquet``: the same rows, as long as those of HPDv3."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    draw = random.Random(0)
    words = "a red kite over the beach at dawn and some people who look up at clouds behind hills".split()  # noqa: SIM905
    writer = None
    with (folder / "all.json").open("w") as stream:
        for start in range(0, PAIRS, 50_000):
            rows = [
                {
                    "prompt": " ".join(draw.choices(words, k=18)),
                    "choice_dist": [draw.randint(5, 15), draw.randint(0, 4)],
                    "confidence": draw.random(),
                    # HPDv3's own names are as long; those of a few that exist are among them.
                    "path1": f"images/{number % IMAGES:032x}.png",
                    "path2": f"images/{(number + 1) % IMAGES:032x}.png",
                    "model1": draw.choice(MODELS),
                    "model2": draw.choice(MODELS),
                }
                for number in range(start, start + 50_000)
            ]
            text = ",\n".join(map(json.dumps, rows))
            stream.write(f"{',' if start else '['}\n{text}")
            # The names of a real set are not repeated, and would be dearer to keep.
            for number, row in enumerate(rows, start):
                row |= {
                    "path1": f"images/{2 * number:032x}.jpg",
                    "path2": f"images/{2 * number + 1:032x}.jpg",
                }
            table = pyarrow.Table.from_pylist(rows)
            writer = writer or ParquetWriter(folder / "all.parquet", table.schema)
            writer.write_table(table)
        stream.write("\n]\n")
    if writer is not None:
        writer.close()


def write_images(folder: Path) -> None:
    """Small pictures under the names that the rows give."""
    from arrkit.data.pairs import Picture, Task
    from arrkit.shapes.dataset import ShapesDataset

    (folder / "images").mkdir()
    for number, pair in enumerate(ShapesDataset(Task.T2I, n=IMAGES)):
        assert isinstance(pair.a, Picture)
        pair.a.load().save(folder / "images" / f"{number:032x}.png")


def load(folder: Path) -> Callable[[], int]:
    """The reference: the whole file at once."""

    def read() -> int:
        with (folder / "all.json").open() as stream:
            return len(json.load(stream))

    return read


def stream_json(folder: Path) -> Callable[[], int]:
    """The rows of the array, one at a time."""
    from arrkit.data.files import LocalFiles
    from arrkit.data.readers import rows_in

    return lambda: counted(rows_in(LocalFiles(folder), "all.json"))


def stream_parquet(folder: Path) -> Callable[[], int]:
    """The rows of all columns."""
    from arrkit.data.files import LocalFiles
    from arrkit.data.tables import Table

    table = Table(LocalFiles(folder), ["all.parquet"])
    next(table.rows(*COLUMNS))  # imports pyarrow and what it imports when it is first used
    return lambda: counted(table.rows(*COLUMNS))


def counted(rows: Iterable[object]) -> int:
    """How many rows there are, each let go before the next."""
    return deque(enumerate(rows, start=1), maxlen=1)[0][0]


READINGS = {"load": load, "json": stream_json, "parquet": stream_parquet}


def child(kind: str, folder: Path) -> None:
    """One reading: its processor seconds and its peak memory in KiB, on standard output."""
    read = READINGS[kind](folder)
    start = time.process_time()
    count = read()
    seconds = time.process_time() - start
    assert count == PAIRS, count
    print(json.dumps([seconds, peak_kib()]))


def reading(kind: str, folder: Path) -> tuple[float, float]:
    """One reading in a process of its own: seconds, MiB."""
    command = [sys.executable, __file__, kind, str(folder)]
    done = subprocess.run(command, env=ROOT_ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True)
    seconds, kib = json.loads(done.stdout)
    return seconds, kib / 1024


def first_judgment(folder: Path, number: int) -> float:
    """Seconds from the start of the command until the first judgment stands in its run folder."""
    run = folder / f"run-{number}"
    command = [
        sys.executable,
        "-m",
        "arrkit",
        "judge",
        "eval",
        "--dataset",
        "hpdv3:all",
        "--data",
        str(folder),
    ]
    command += ["--judge", "shapes", "--rubric", "zero-shot", "--no-baseline", "--out", str(run)]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=ROOT_ENVIRONMENT, stdout=said, stderr=said)
        try:
            journal = run / "journal.jsonl"
            while not journal.exists() or not journal.stat().st_size:
                if process.poll() is not None or time.perf_counter() - start > 120:
                    said.seek(0)
                    raise RuntimeError(f"no judgment: {said.read().decode()[-2000:]}")
                time.sleep(0.01)
            return time.perf_counter() - start
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def measure() -> list[Result]:
    """The ratios of time and memory, and the first judgment."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("ARRKIT_BENCH_DIR")) as temporary:
        folder = Path(temporary)
        write_rows(folder)
        write_images(folder)
        runs = [{kind: reading(kind, folder) for kind in READINGS} for _ in range(RUNS)]
        # The quickest: what else the machine does can only add to it.
        first = min(first_judgment(folder, run) for run in range(RUNS))
    seconds = {kind: statistics.median(run[kind][0] for run in runs) for kind in READINGS}
    memory = {kind: max(run[kind][1] for run in runs) for kind in READINGS}
    slow, quick = seconds["json"] / seconds["load"], seconds["load"] / seconds["parquet"]
    reference = f"{seconds['load']:.2f} s by json.load"
    results = [
        Result("a million pairs, JSON, time", slow, 2, Bar.AT_MOST, f"{seconds['json']:.2f} s / {reference}"),
        Result(
            "a million pairs, parquet, speed",
            quick,
            5,
            Bar.AT_LEAST,
            f"{reference} / {seconds['parquet']:.2f} s",
        ),
    ]
    for kind in ("json", "parquet"):
        detail = f"{memory[kind]:.0f} MiB / {MEMORY_MIB} MiB (json.load: {memory['load']:.0f} MiB)"
        results.append(
            Result(f"a million pairs, {kind}, memory", memory[kind] / MEMORY_MIB, 1, Bar.AT_MOST, detail)
        )
    detail = f"{first:.2f} s / {FIRST_SECONDS} s"
    results.append(Result("a million pairs, first judgment", first / FIRST_SECONDS, 1, Bar.AT_MOST, detail))
    return results


if __name__ == "__main__":
    if len(sys.argv) == 3:  # a child that reading started
        child(sys.argv[1], Path(sys.argv[2]))
    else:
        sys.exit(main(measure))
