"""JSON requests to the testbed's own servers, one connection each: what a test asks beside the agent."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

Answer = Any
"""Decoded JSON; the text where the answer is no JSON; None where it is empty."""


class RequestError(RuntimeError):
    """A server answered with 400 or above; `status` and `answer` are what it said."""

    def __init__(self, method: str, url: str, status: int, answer: Answer) -> None:
        super().__init__(f"{method} {url}: {status} {answer}")
        self.status: int = status
        self.answer: Answer = answer


def request(
    method: str,
    url: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 30.0,
) -> tuple[int, Answer]:
    """Status and answer. `body` is sent as it is where it is text or bytes, else as JSON. Raises OSError for no answer."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=tls)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    payload = body if isinstance(body, str | bytes) or body is None else json.dumps(body)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, payload, dict(headers or {}))
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {url}: {type(error).__name__}") from error
    finally:
        connection.close()
    if not text:
        return answer.status, None
    if "json" in answer.headers.get("Content-Type", ""):
        return answer.status, json.loads(text)
    return answer.status, text
