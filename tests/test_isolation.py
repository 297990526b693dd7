"""The ground that the other tests stand on holds."""

from __future__ import annotations

import os
import socket
import urllib.request
from pathlib import Path

import _pytest.outcomes
import pytest


def test_the_network_is_out_of_reach():
    remote = ("192.0.2.1", 80)  # reserved for documentation: nobody is there
    with socket.socket() as one:
        for reach in (
            lambda: one.connect(remote),
            lambda: one.connect_ex(remote),
            lambda: socket.getaddrinfo("example.org", 443),
            lambda: socket.create_connection(remote, timeout=1),
        ):
            with pytest.raises(_pytest.outcomes.Failed, match="loopback only"):
                reach()


def test_loopback_is_within_reach():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("localhost", port), timeout=5).close()


def test_a_subprocess_finds_no_way_out_either(python):
    code = "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=5)"
    done = python("-c", code)
    assert "Connection refused" in done.stderr
    assert urllib.request.getproxies()["http"] == "http://127.0.0.1:9"


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "HF_TOKEN", "ARRKIT_JUDGE", "ARRKIT_PLUGINS"])
def test_keys_and_settings_stay_outside(name):
    assert name not in os.environ


def test_home_is_empty_and_belongs_to_this_test_alone(python):
    assert list(Path.home().iterdir()) == []
    done = python("-c", "from pathlib import Path; print(Path.home())")
    assert done.stdout.strip() == str(Path.home())
