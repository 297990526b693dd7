"""What a person sees of a long command, on a terminal and in a log."""

from __future__ import annotations

import io
import re
import sys
import time
from types import SimpleNamespace

import pytest

from arrkit.cli.progress import watching
from arrkit.progress import Progress

COUNTS = {"passed": 20, "refined": 0, "discarded": 2}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_stage_counts_and_rate_are_told(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    monkeypatch.setenv("TERM", "xterm")
    clock = SimpleNamespace(monotonic=iter((0, 10, 20)).__next__)  # Rich has its own
    monkeypatch.setattr("arrkit.cli.progress.time", clock)
    with watching() as watch:
        for state in (
            Progress("learning criteria", 0, 40),
            Progress("learning criteria", 22, 40, COUNTS),
            Progress("structuring", 0, 1),
        ):
            watch(state)
            time.sleep(0.25)  # a bar is drawn ten times a second
    told = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sys.stderr.getvalue())
    assert "22/40" in told
    assert "20 passed, 2 discarded, 2.2/s" in told
    if stream is Terminal:
        _, _, after = told.partition("structuring")
        assert after
        assert "learning criteria" not in after
    else:
        assert "8 s left" in told
