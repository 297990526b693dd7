"""``judge eval`` against an endpoint that answers after 200 ms, beside a bare loop over the same SDK calls.

Pairs of two 768 px photos, JPEG files on disk, in both orders, under a rubric, 32 requests at once. What is
measured side by side, in turns, each in a process of its own, from the first request on:

- ``arrkit``: :func:`arrkit.evaluate_judge` with ``--no-cache``, from the pairs file to the report;
- ``cached``: the same with an empty answer cache;
- ``loop``: a bare asyncio loop that makes the same bodies from the same files (each image opened, brought to
  the bytes that every judge gets, and written as base64 once, in threads) and hands them to the same method
  of the SDK's client;
- ``ready``: the same loop with bodies that lie ready, so that no image is ever opened. It is no judge; it
  shows what the SDK alone takes.

A check at the start holds arrkit and the loop to sending the same JSON. The endpoint runs in a process of its
own on the same machine, and its share of a core is printed.

With ``--autorubric PYTHON``, an interpreter of another environment in which the package ``autorubric`` is
installed (its dependency ``litellm`` needs an older ``openai`` than arrkit does), the same number of requests
is sent through that package, as text without images, beside arrkit over pairs of 16 px images, which is as
near to "without images" as a judge of images comes. Without the option this says "not compared".

python benchmarks/judge_throughput.py [--pairs 1000] [--rounds 1] [--autorubric PYTHON]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from common import ROOT_ENVIRONMENT, Bar, Result, main, peak_kib, write_photo_pairs
from endpoint import Endpoint

CONCURRENCY = 32
DELAY = 0.2
RUBRIC = "t2i-general"
SIDE = 768
TINY = 16
SPEC = "vllm:bench?base_url="
PROFILE = """
[[vllm]]
names = ["bench"]
images = 9
structured = "schema"
logprobs = 0
temperature = true
seed = true
"""
WARM_UP = 4
"""Pairs judged before the clock starts: modules are imported, connections opened, caches of code filled."""

Measured = Mapping[str, float]


def verdict() -> str:
    """A verdict under the rubric, of a usual length, as the endpoint answers it."""
    from arrkit.rubric.files import read_rubric

    evidence = "The left edge of the table is straight and every glass on it can be counted."
    criteria = [
        {"id": criterion.id, "evidence": evidence, "answer": "A"}
        for dimension in read_rubric(RUBRIC).dimensions
        for criterion in dimension.criteria
    ]
    return json.dumps({"reasoning": evidence * 4, "criteria": criteria, "override": "", "verdict": "A"})


def used() -> float:
    """Processor seconds of this process so far, all threads, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measured(requests: int, start: float, before: float) -> Measured:
    """What the child says: seconds, processor seconds and its peak memory in KiB."""
    return {
        "requests": requests,
        "seconds": time.perf_counter() - start,
        "cpu": used() - before,
        "kib": peak_kib(),
    }


def judge(url: str, folder: Path, pairs: int, *, cached: bool) -> Measured:
    """``judge eval`` through the library."""
    import arrkit

    def evaluate(file: str, name: str) -> int:
        options = arrkit.EvalOptions(
            pairs=folder / file,
            judge=f"{SPEC}{url}",
            rubric=(RUBRIC,),
            baseline=False,
            concurrency=CONCURRENCY,
            no_cache=not cached,
            cache=folder / f"cache-{os.getpid()}" if cached else None,
            out=folder / f"{name}-{os.getpid()}",
        )
        report = arrkit.evaluate_judge(options)
        (row,) = report.rows
        assert row.stats.outcomes["ok"] == report.asked, row.stats.outcomes
        return report.asked

    evaluate("warm-up.jsonl", "warm-up")
    before, start = used(), time.perf_counter()
    requests = evaluate(f"pairs-{pairs}.jsonl", "run")
    return measured(requests, start, before)


def template() -> dict[str, object]:
    """The body of a request as arrkit sends it, for a script to put a prompt and two images into."""
    from arrkit.backends.judges.chat import chat_body
    from arrkit.data.pairs import Picture, Task
    from arrkit.judge.asking import sampling_for
    from arrkit.judge.prompts.parts import WORDINGS, Form, Shown
    from arrkit.judge.prompts.verdicts import compare_prompt
    from arrkit.judge.protocol import CompareRequest
    from arrkit.judge.transport import ImagePart, ModelProfile
    from arrkit.rubric.files import read_rubric

    def never() -> object:
        raise AssertionError("the template shows no image")

    nobody = Picture("nobody", never)  # type: ignore[arg-type]
    dimensions = read_rubric(RUBRIC).dimensions
    request = CompareRequest(Task.T2I, "PROMPT", nobody, nobody, None, dimensions)
    shown = Shown((ImagePart(b"A", "image/jpeg", 1, 1), ImagePart(b"B", "image/jpeg", 1, 1)))
    prompt = compare_prompt(request, shown, WORDINGS["en"], Form.OBJECT)
    profile = ModelProfile(images=9, structured="schema", temperature=True, seed=True)
    criteria = sum(len(dimension.criteria) for dimension in dimensions)
    sampling = sampling_for(profile, items=criteria, effort=None, seed=None, room=None)
    return chat_body("bench", prompt.request(sampling, structured="schema"), sampling, profile)


def loop(url: str, folder: Path, pairs: int, *, ready: bool) -> Measured:
    """The bare loop. It holds as many pairs under way as arrkit does, and keeps nothing but counts."""
    import httpx2
    import openai

    from arrkit.data.encode import encode_image
    from arrkit.data.images import picture_from_path

    skeleton = json.dumps(template())

    def address(path: str) -> str:
        encoded = encode_image(picture_from_path(path).load())
        return f"data:{encoded.mime};base64,{b64encode(encoded.data).decode()}"

    def body(prompt: str, first: str, second: str) -> dict[str, object]:
        made: dict[str, object] = json.loads(skeleton)
        content = made["messages"][-1]["content"]  # type: ignore[index]
        images = iter((first, second))
        for part in content:
            if part["type"] == "image_url":
                part["image_url"]["url"] = next(images)
            else:
                part["text"] = part["text"].replace("PROMPT", prompt)
        return made

    def rows(file: str) -> list[dict[str, object]]:
        with (folder / file).open() as stream:
            return [json.loads(line) for line in stream]

    async def run() -> Measured:
        limits = httpx2.Limits(max_connections=1024, max_keepalive_connections=512)
        client = openai.AsyncOpenAI(
            api_key="none",
            base_url=url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(limits=limits),
        )
        slots = asyncio.Semaphore(CONCURRENCY)
        done = 0

        async def post(request: dict[str, object]) -> None:
            nonlocal done
            async with slots:
                response = await client.post("/chat/completions", body=request, cast_to=httpx2.Response)
            answer = json.loads(json.loads(response.content)["choices"][0]["message"]["content"])
            assert answer["verdict"] == "A"
            done += 1

        async def bodies(row: Mapping[str, object]) -> list[dict[str, object]]:
            paths = [str(folder / str(name)) for name in row["response"]]  # type: ignore[attr-defined]
            first, second = await asyncio.gather(*(asyncio.to_thread(address, path) for path in paths))
            prompt = str(row["query"])
            return [body(prompt, first, second), body(prompt, second, first)]

        async def work(rows: list[dict[str, object]], kept: list[list[dict[str, object]]]) -> None:
            left = iter(range(len(rows)))

            async def worker() -> None:
                for number in left:
                    made = kept[number % len(kept)] if kept else await bodies(rows[number])
                    await asyncio.gather(*(post(each) for each in made))

            await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))

        warm = rows("warm-up.jsonl")
        await work(warm, [])
        kept = [await bodies(row) for row in rows(f"pairs-{pairs}.jsonl")[:16]] if ready else []
        done = 0
        before, start = used(), time.perf_counter()
        await work(rows(f"pairs-{pairs}.jsonl"), kept)
        result = measured(done, start, before)
        await client.close()
        return result

    return asyncio.run(run())


# Runs in another environment: text only, one criterion for each item and so one request.
AUTORUBRIC = """
import asyncio, json, os, resource, sys, time
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
from autorubric import LLMConfig, Rubric
from autorubric.graders import CriterionGrader
url, items, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
config = LLMConfig(model="openai/bench", api_base=url, api_key="none", max_parallel_requests=width)
grader = CriterionGrader(judge_model_config=config)
rubric = Rubric.from_dict([{"weight": 1.0, "requirement": "States every object that the prompt names."}])
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
async def work(count):
    left = iter(range(count))
    async def worker():
        for number in left:
            report = await rubric.grade(to_grade=f"Answer {number}: a cup on a table.", grader=grader,
                                        query=f"A photo of scene {number}.")
            assert report.score == 1.0, report
    await asyncio.gather(*(worker() for _ in range(2 * width)))
async def run():
    await work(8)
    before, start = used(), time.perf_counter()
    await work(items)
    print(json.dumps({"requests": items, "seconds": time.perf_counter() - start, "cpu": used() - before}))
asyncio.run(run())
"""


def child(what: str, url: str, folder: Path, pairs: int) -> Measured:
    """Measure one of the ways in a process of its own."""
    environment = ROOT_ENVIRONMENT | {
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "home-cache"),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, __file__, "--child", what, url, str(folder), str(pairs)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: Measured = json.loads(done.stdout)
    cpu = 1000 * found["cpu"] / found["requests"]
    said = f"{found['requests'] / found['seconds']:.0f} requests/s, {cpu:.2f} ms of processor time each"
    print(f"  {what}, {pairs} pairs: {said}, peak {found['kib'] / 1024:.0f} MiB", file=sys.stderr, flush=True)
    return found


def check_same(text: str, folder: Path) -> None:
    """Hold arrkit and the loop to the same bodies."""
    seen = []
    for what in ("arrkit", "loop"):
        keep = folder / f"bodies-{what}"
        keep.mkdir()
        with Endpoint(text, keep=keep) as endpoint:
            child(what, endpoint.url, folder, WARM_UP)
        seen.append(
            {json.dumps(json.loads(file.read_bytes()), sort_keys=True) for file in keep.iterdir()},
        )
    if seen[0] != seen[1]:
        raise AssertionError("arrkit and the bare loop do not send the same bodies")


def side_by_side(text: str, folder: Path, pairs: int, rounds: int) -> list[Result]:
    """The ratios of arrkit to the ideal and to the loops; medians over the rounds."""
    check_same(text, folder)
    ways: dict[str, list[Measured]] = {"arrkit": [], "loop": [], "cached": [], "ready": []}
    with Endpoint(text, delay=DELAY) as endpoint:
        start = time.perf_counter()
        for _ in range(rounds):
            for what, found in ways.items():
                found.append(child(what, endpoint.url, folder, pairs))
        seconds = time.perf_counter() - start
    print(f"  the endpoint itself: {endpoint.cpu / seconds:.2f} of a core", file=sys.stderr, flush=True)
    speed = {what: statistics.median(f["requests"] / f["seconds"] for f in ways[what]) for what in ways}
    cpu = {what: statistics.median(1000 * f["cpu"] / f["requests"] for f in ways[what]) for what in ways}
    ideal = CONCURRENCY / DELAY
    results = []
    # The bars compare like with like: the loop keeps no answer either.
    for what, name in (("arrkit", "judge eval"), ("cached", "judge eval with an empty cache")):
        bars = (Bar.AT_LEAST, Bar.AT_MOST) if what == "arrkit" else (Bar.NOTED, Bar.NOTED)
        results += [
            Result(
                f"{name}, requests a second / ideal",
                speed[what] / ideal,
                0.8,
                bars[0],
                f"{speed[what]:.0f} / {ideal:.0f}, {pairs} pairs of {SIDE} px photos, both orders",
            ),
            Result(
                f"{name}, requests a second / bare loop",
                speed[what] / speed["loop"],
                0.9,
                bars[0],
                f"{speed[what]:.0f} / {speed['loop']:.0f}",
            ),
            Result(
                f"{name}, processor time a request / bare loop",
                cpu[what] / cpu["loop"],
                1.3,
                bars[1],
                f"{cpu[what]:.2f} ms / {cpu['loop']:.2f} ms",
            ),
        ]
    results.append(
        Result(
            "the same / a loop whose bodies lie ready, without any work on images",
            cpu["arrkit"] / cpu["ready"],
            0.0,
            Bar.NOTED,
            f"{cpu['arrkit']:.2f} ms / {cpu['ready']:.2f} ms, {speed['ready']:.0f} requests/s",
        )
    )
    return results


def memory(text: str, folder: Path, pairs: int) -> Result:
    """Peak memory over all pairs against that over a quarter."""
    few = pairs // 4
    write_subset(folder, few)
    with Endpoint(text, delay=DELAY) as endpoint:
        small, large = (child("arrkit", endpoint.url, folder, count)["kib"] for count in (few, pairs))
    detail = f"{large / 1024:.0f} MiB at {pairs} pairs / {small / 1024:.0f} MiB at {few}"
    return Result("judge eval through a transport, peak memory", large / small, 1.2, Bar.AT_MOST, detail)


def write_subset(folder: Path, count: int) -> None:
    """``pairs-COUNT.jsonl`` with the first pairs of ``all.jsonl``."""
    lines = (folder / "all.jsonl").read_text().splitlines(keepends=True)[:count]
    (folder / f"pairs-{count}.jsonl").write_text("".join(lines))


def beside_autorubric(python: str, text: str, folder: Path, pairs: int) -> list[Result]:
    """arrkit over tiny images and autorubric over text, the same number of requests each."""
    prepare(folder, pairs, TINY)
    answer = json.dumps({"criterion_status": "MET", "explanation": "Every object is there." * 10})
    with Endpoint(text, delay=DELAY) as endpoint:
        ours = child("arrkit", endpoint.url, folder, pairs)
    with Endpoint(answer, delay=DELAY) as endpoint:
        command = [python, "-c", AUTORUBRIC, endpoint.url, str(2 * pairs), str(CONCURRENCY)]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print("  autorubric: not compared, it could not be driven (see above)", file=sys.stderr)
        return []
    theirs = json.loads(done.stdout.splitlines()[-1])
    speeds = [each["requests"] / each["seconds"] for each in (ours, theirs)]
    costs = [1000 * each["cpu"] / each["requests"] for each in (ours, theirs)]
    return [
        Result(
            "judge eval over 16 px images / autorubric over text, requests a second",
            speeds[0] / speeds[1],
            1.0,
            Bar.AT_LEAST,
            f"{speeds[0]:.0f} / {speeds[1]:.0f}",
        ),
        Result(
            "the same, processor time a request",
            costs[0] / costs[1],
            1.0,
            Bar.AT_MOST,
            f"{costs[0]:.2f} ms / {costs[1]:.2f} ms",
        ),
    ]


def prepare(folder: Path, pairs: int, side: int) -> None:
    """Photos, pairs files and a configuration that knows the model, so that nobody asks what it can do."""
    (folder / "config" / "arrkit").mkdir(parents=True)
    (folder / "config" / "arrkit" / "models.toml").write_text(PROFILE)
    write_photo_pairs(folder, pairs, side).rename(folder / "all.jsonl")
    write_subset(folder, pairs)
    write_subset(folder, WARM_UP)
    (folder / f"pairs-{WARM_UP}.jsonl").replace(folder / "warm-up.jsonl")
    write_subset(folder, WARM_UP)


def parsed() -> argparse.Namespace:
    """The script's options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--autorubric", default="", metavar="PYTHON")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=4)
    return parser.parse_args()


def measure() -> list[Result]:
    """All ratios."""
    options = parsed()
    text = verdict()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        prepare(folder, options.pairs, SIDE)
        results = side_by_side(text, folder, options.pairs, options.rounds)
        results.append(memory(text, folder, options.pairs))
        if options.autorubric:
            tiny = Path(temporary) / "tiny"
            results += beside_autorubric(options.autorubric, text, tiny, options.pairs)
        else:
            print("  autorubric: not compared (--autorubric PYTHON)", file=sys.stderr)
    return results


def measure_child(what: str, url: str, folder: str, pairs: str) -> Measured:
    """The child's work."""
    place, count = Path(folder), int(pairs)
    if what in ("arrkit", "cached"):
        return judge(url, place, count, cached=what == "cached")
    return loop(url, place, count, ready=what == "ready")


if __name__ == "__main__":
    if parsed().child:
        print(json.dumps(measure_child(*parsed().child)))
    else:
        sys.exit(main(measure))
