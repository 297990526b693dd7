"""The answers on disk: what is kept, for whom, and what happens when things break."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from fake_transport import USAGE, answer, ask

from arrkit.errors import InputError
from arrkit.judge.calls import cache as module
from arrkit.judge.calls.cache import FILE, AnswerCache, answer_key, default_folder, opened_cache
from arrkit.judge.transport import (
    DecideRequest,
    Finish,
    GenerateRequest,
    ImagePart,
    Question,
    Reply,
    Sampling,
    TextPart,
)


@pytest.fixture
def cache(tmp_path):
    with opened_cache(tmp_path / "cache") as opened:
        yield opened


def key(number: int) -> str:
    return answer_key("fake:model", ask(number), "1")


def test_an_answer_comes_back_whole(cache):
    reply = Reply(
        Finish.STOP,
        "ein Bild: 图",
        labels={"A": 0.75, "B": 0.125},
        mass=0.875,
        answers={"q": {"yes": 0.9, "no": 0.1}},
        usage=USAGE,
        model="model-2026",
        request_id="req_1",
        tier="default",
    )
    assert cache.get(key(1)) is None
    cache.put_now(key(1), "fake:model", reply)
    assert cache.get(key(1)) == reply
    assert cache.get(key(2)) is None


def test_unknown_usage_stays_unknown(cache):
    cache.put_now(key(1), "fake:model", Reply(Finish.STOP, "x"))
    assert cache.get(key(1)).usage.input_tokens is None


@pytest.mark.parametrize("finish", [Finish.LENGTH, Finish.REFUSAL, Finish.FILTER])
def test_what_is_no_answer_is_never_kept(cache, finish):
    with pytest.raises(ValueError, match=finish):
        asyncio.run(cache.put(key(1), "fake:model", answer(finish=finish)))
    assert cache.info().entries == 0


def _requests():
    image = ImagePart(b"one", "image/png", 4, 4)
    base = {"system": "s", "parts": (TextPart("t"), image), "schema": {"type": "object"}}
    yield "fake:model", GenerateRequest(**base), "1"
    yield "fake:model?seed=1", GenerateRequest(**base), "1"
    yield "fake:model", GenerateRequest(**base), "2"
    changes = (
        {"system": "s."},
        {"parts": (image, TextPart("t"))},
        {"parts": (TextPart("t"), ImagePart(b"two", "image/png", 4, 4))},
        {"schema": {"type": "object", "required": []}},
        {"schema": None},
        {"labels": ("A", "B")},
        {"sampling": Sampling(temperature=0.0)},
        {"sampling": Sampling(seed=1)},
        {"sampling": Sampling(max_output_tokens=1)},
        {"sampling": Sampling(effort="low")},
    )
    for change in changes:
        yield "fake:model", GenerateRequest(**(base | change)), "1"
    yield "fake:model", DecideRequest("s", base["parts"], (Question("q", "Is it?"),)), "1"
    yield "fake:model", DecideRequest("s", base["parts"], (Question("q", "Is it?", ("a", "b")),)), "1"


def test_the_key_covers_all_that_decides_an_answer():
    keys = [answer_key(*each) for each in _requests()]
    assert len(set(keys)) == len(keys)
    assert keys == [answer_key(*each) for each in _requests()]


def test_info_and_clear(cache):
    assert cache.info().entries == 0
    for number in range(6):
        cache.put_now(key(number), "fake:model" if number < 4 else "fake:other", answer())
    info = cache.info()
    assert (info.entries, info.models) == (6, {"fake:model": 4, "fake:other": 2})
    assert info.bytes > 0
    assert info.oldest <= info.newest
    assert info.newest.endswith("+00:00")
    assert cache.clear(older_than=timedelta(days=1)) == 0
    assert cache.clear(model="fake:nobody") == 0
    assert cache.clear(model="fake:other") == 2
    assert cache.get(key(0)) is not None
    assert cache.get(key(5)) is None
    assert cache.clear() == 4
    assert cache.info().entries == 0


def test_clear_by_age(cache, monkeypatch):
    real = time.time()
    monkeypatch.setattr(module.time, "time", lambda: real - 10 * 86_400)
    cache.put_now(key(0), "fake:model", answer())
    monkeypatch.setattr(module.time, "time", lambda: real)
    cache.put_now(key(1), "fake:model", answer())
    assert cache.clear(older_than=timedelta(days=9)) == 1
    assert cache.get(key(1)) is not None


def test_the_users_own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "arrkit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache" / "arrkit"


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
def test_a_damaged_file_is_moved_aside(tmp_path, damage):
    with opened_cache(tmp_path) as cache:
        for number in range(50):
            cache.put_now(key(number), "fake:model", answer("x" * 2000))
    file = tmp_path / FILE
    # Either something else altogether, or a true header with the first pages torn.
    file.write_bytes(damage or file.read_bytes()[:100] + b"\xff" * 20_000)
    with opened_cache(tmp_path) as cache:
        assert "damaged: moved to answers.sqlite.damaged-" in cache.remarks[0]
        cache.put_now(key(1), "fake:model", answer())
        assert cache.get(key(1)) is not None
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


def test_damage_in_the_middle_ends_the_use_and_not_the_run(tmp_path):
    with opened_cache(tmp_path) as cache:
        for number in range(300):
            cache.put_now(key(number), "fake:model", answer("x" * 3000))
    file = tmp_path / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:16_384] + b"\xff" * (len(whole) - 16_384))
    with opened_cache(tmp_path) as cache:
        assert {cache.get(key(number)) for number in range(20)} == {None}
        cache.put_now(key(1), "fake:model", answer())
        assert "not used for the rest of the run" in "".join(cache.remarks)


def test_an_entry_that_cannot_be_read_is_a_miss(cache):
    cache.put_now(key(1), "fake:model", answer())
    with sqlite3.connect(cache.path) as other:
        other.execute('UPDATE answers SET reply = \'{"finish": "gone"}\'')
    other.close()
    assert cache.get(key(1)) is None
    assert "could not be read" in cache.remarks[0]


def test_a_folder_that_cannot_be_used_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--cache DIR"):
        AnswerCache(tmp_path / "file" / "below")


def test_a_newer_file_is_left_alone(tmp_path):
    with opened_cache(tmp_path):
        pass
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(InputError, match="newer arrkit"):
        AnswerCache(tmp_path)
    assert [path.name for path in tmp_path.glob("*.damaged-*")] == []


def test_threads_share_one_cache(cache):
    def work(base):
        for number in range(base, base + 50):
            cache.put_now(key(number), "fake:model", answer(str(number)))
            assert cache.get(key(number)).text == str(number)

    threads = [threading.Thread(target=work, args=(base,)) for base in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.info().entries == 200
    assert cache.remarks == []


def _fill(folder, base, count, start):
    start.wait()
    with opened_cache(Path(folder)) as cache:
        for number in range(base, base + count):
            cache.put_now(f"{number % 150:064x}", "fake:model", answer(str(number % 150)))
            found = cache.get(f"{number % 150:064x}")
            assert found is not None
            assert found.text == str(number % 150)
        assert cache.remarks == []


def test_processes_share_one_file(tmp_path):
    """Three processes open one new file at the same moment and write overlapping keys."""
    context = multiprocessing.get_context("fork")
    start = context.Event()
    workers = [context.Process(target=_fill, args=(tmp_path, base, 200, start)) for base in (0, 50, 100)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with opened_cache(tmp_path) as cache:
        assert cache.info().entries == 150
        assert cache.remarks == []


WRITER = """
import sys
from pathlib import Path
from fake_transport import answer
from arrkit.judge.calls.cache import AnswerCache
cache = AnswerCache(Path(sys.argv[1]))
for number in range(10**9):
    cache.put_now(f"{number:064x}", "fake:model", answer("x" * 5000))
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_a_usable_file(tmp_path):
    support = Path(__file__).parent.parent / "support"
    environment = {**os.environ, "PYTHONPATH": str(support)}
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        last = 0
        for line in writer.stdout:
            last = int(line)
            if last >= 100:
                break
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        with opened_cache(tmp_path) as cache:
            assert cache.remarks == []
            assert all(cache.get(f"{number:064x}") is not None for number in range(last + 1))
            cache.put_now("f" * 64, "fake:model", answer())
            cache.clear()


def test_the_file_has_a_write_ahead_log(cache):
    with sqlite3.connect(cache.path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_no_write_waits_on_the_event_loop(cache):
    """While another process holds the file, the loop goes on."""
    holder = sqlite3.connect(cache.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    async def work():
        put = asyncio.create_task(cache.put(key(1), "fake:model", answer()))
        ticks = 0
        while ticks < 20:
            await asyncio.sleep(0.01)
            assert not put.done()
            assert cache.get(key(1)) is None  # nor does reading wait
            ticks += 1
        holder.execute("COMMIT")
        await put

    asyncio.run(work())
    holder.close()
    assert cache.get(key(1)) is not None


def test_a_write_that_waits_too_long_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.1)
    with opened_cache(tmp_path) as cache:
        holder = sqlite3.connect(cache.path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        cache.put_now(key(1), "fake:model", answer())
        holder.execute("COMMIT")
        holder.close()
        assert "was busy" in cache.remarks[0]
        cache.put_now(key(2), "fake:model", answer())
        assert cache.get(key(2)) is not None


def test_the_commands(python, tmp_path):
    with opened_cache(tmp_path / "c") as cache:
        cache.put_now(key(1), "fake:model", answer())
        cache.put_now(key(2), "fake:other", answer())
    shown = json.loads(
        python("-m", "arrkit", "cache", "info", "--json", "--cache", str(tmp_path / "c")).stdout
    )
    assert (shown["entries"], shown["models"]) == (2, {"fake:model": 1, "fake:other": 1})
    done = python("-m", "arrkit", "cache", "clear", "--cache", str(tmp_path / "c"), "--model", "fake:other")
    assert done.stdout == "1 answers deleted, 1 left\n"
    told = python("-m", "arrkit", "cache", "info", "--cache", str(tmp_path / "c"))
    assert "fake:model" in told.stdout
    assert "fake:other" not in told.stdout
