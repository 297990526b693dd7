"""Fetching an image over HTTP, with a limit on time and size."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

from arrkit.data.pairs import ImageUnreadable

_CHUNK = 1 << 16


def public_name(url: str) -> str:
    """The URL without user, password, query and fragment: what may stand in a report."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a malformed URL"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{'?…' if parts.query else ''}"


def fetch(url: str, *, timeout: float, max_bytes: int) -> bytes:
    """The body at ``url``. Raises :class:`ImageUnreadable` with the public name and the reason.

    ``timeout`` (seconds) bounds the whole transfer and not only each wait, so that a server that drips
    cannot hold a run. Redirects stay within http and https.
    """
    name = public_name(url)
    deadline = time.monotonic() + timeout
    try:
        with _opener().open(url, timeout=timeout) as response:
            declared = response.headers.get("Content-Length", "")
            if declared.isdigit() and int(declared) > max_bytes:
                raise ImageUnreadable(f"{name}: {declared} bytes are more than the limit of {max_bytes}")
            body = bytearray()
            while chunk := response.read1(_CHUNK):
                body += chunk
                if len(body) > max_bytes:
                    raise ImageUnreadable(f"{name}: more than the limit of {max_bytes} bytes")
                if time.monotonic() > deadline:
                    raise ImageUnreadable(f"{name}: not received within {timeout:g} seconds")
            if declared.isdigit() and len(body) < int(declared):
                raise ImageUnreadable(f"{name}: the transfer ended after {len(body)} of {declared} bytes")
            return bytes(body)
    except urllib.error.HTTPError as error:
        error.close()
        raise ImageUnreadable(f"{name}: the server answered {error.code} {error.reason}") from None
    except TimeoutError as error:
        raise ImageUnreadable(f"{name}: not received within {timeout:g} seconds") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise ImageUnreadable(f"{name}: not received within {timeout:g} seconds") from error
        raise ImageUnreadable(f"{name}: {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise ImageUnreadable(f"{name}: {str(error) or type(error).__name__}") from error


def _opener() -> urllib.request.OpenerDirector:
    # Built by hand: the usual opener also follows redirects to ftp and reads file URLs.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
