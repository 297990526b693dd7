"""A stand-in of the hub on loopback, to which the real huggingface_hub talks: repositories, files, ranges.

    with Hub({"org/set": {"a.json": b"[]"}}) as hub:
        hub.used_by(monkeypatch, cache)

It answers what the public interface of the hub answers for dataset repositories: ``/api/datasets/ID`` and
``.../revision/R``, ``.../tree/R``, ``.../paths-info/R``, ``.../auth-check``, and
``/datasets/ID/resolve/R/PATH``, with commits, ETags, byte ranges and its error codes.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import pytest

Repos = Mapping[str, Mapping[str, bytes]]


class Hub:
    """Serves dataset repositories while it is entered.

    ``gated`` repositories want ``token``. ``requests`` are (method, path, range) as they came. ``cut`` is how
    many bytes of a file are sent before the server hangs up, once; ``down`` makes every answer a 503.
    """

    def __init__(self, repos: Repos, *, gated: tuple[str, ...] = (), token: str = "hf_let-me-in") -> None:
        self.repos = {repo: dict(files) for repo, files in repos.items()}
        self.gated = gated
        self.token = token
        self.requests: list[tuple[str, str, str]] = []
        self.cut: int | None = None
        self.down = False
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def commit(self, repo: str) -> str:
        """The newest commit: another one when the files are others."""
        total = hashlib.sha1()
        for path, data in sorted(self.repos[repo].items()):
            total.update(path.encode() + data)
        return total.hexdigest()

    def used_by(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        """Let huggingface_hub in this process, and in those it starts, ask here and cache in ``cache``."""
        from huggingface_hub import constants

        monkeypatch.setenv("HF_ENDPOINT", self.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(cache))
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        # Read from the environment when the module was imported.
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", self.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_URL_HOSTS", constants.HF_URL_HOSTS | {"127.0.0.1"})
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)

    def read(self, path: str) -> int:
        """How many bytes of a file have been asked for, in ranges or whole."""
        total = 0
        for method, asked, span in self.requests:
            if method == "GET" and asked.endswith(f"/{path}"):
                start, end = (
                    (int(part) for part in span.removeprefix("bytes=").split("-")) if span else (0, 10**9)
                )
                total += end + 1 - start
        return total

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        from huggingface_hub import HfFileSystem, close_session

        close_session()
        HfFileSystem.clear_instance_cache()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.serve(b"")

    def do_HEAD(self) -> None:
        self.serve(b"")

    def do_POST(self) -> None:
        self.serve(self.rfile.read(int(self.headers.get("content-length", 0))))

    def log_message(self, *_: object) -> None:
        pass

    def serve(self, body: bytes) -> None:
        hub = self.hub
        path = unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, self.headers.get("range", "")))
        if hub.down:
            self.answer(503, b"")
            return
        parts = path.strip("/").split("/")
        parts = parts[2:] if parts[:2] == ["api", "datasets"] else parts[1:]
        repo, kind, revision, rest = "/".join(parts[:2]), *[*parts[2:4], "", ""][:2], "/".join(parts[4:])
        allowed = repo not in hub.gated or self.headers.get("authorization") == f"Bearer {hub.token}"
        if repo not in hub.repos:
            self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif kind in ("resolve", "auth-check") and not allowed:
            self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif revision not in ("", "main", hub.commit(repo)):
            self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "resolve":
            self.file(repo, rest)
        elif kind == "tree":
            self.json([self.entry(repo, name) for name in sorted(hub.repos[repo]) if name.startswith(rest)])
        elif kind == "paths-info":
            asked = json.loads(body)["paths"] if body.startswith(b"{") else []
            self.json([self.entry(repo, name) for name in hub.repos[repo] if name in asked])
        else:
            siblings = [{"rfilename": name} for name in hub.repos[repo]]
            self.json(
                {"id": repo, "sha": hub.commit(repo), "siblings": siblings, "tags": [], "private": False}
            )

    def entry(self, repo: str, name: str) -> dict[str, object]:
        data = self.hub.repos[repo][name]
        return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

    def file(self, repo: str, path: str) -> None:
        data = self.hub.repos[repo].get(path)
        if data is None:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        headers = {
            "X-Repo-Commit": self.hub.commit(repo),
            "ETag": f'"{hashlib.sha1(data).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        span = self.headers.get("range", "")
        if not span:
            self.answer(200, data, headers)
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        start, end = int(first), int(last) if last else len(data) - 1
        piece = data[start : end + 1]
        headers["Content-Range"] = f"bytes {start}-{start + len(piece) - 1}/{len(data)}"
        self.answer(206, piece, headers)

    def json(self, payload: object) -> None:
        self.answer(200, json.dumps(payload).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut is not None and len(body) > self.hub.cut:
            body, self.hub.cut = body[: self.hub.cut], None
            self.close_connection = True
        self.wfile.write(body)
