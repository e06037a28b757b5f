"""JSON requests to the testbed's own servers, one connection each: what a test asks beside the agent."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answer as it came."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


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
    payload = body if isinstance(body, str | bytes) or body is None else json.dumps(body)
    answer = exchange(method, url, payload, headers=headers, tls=tls, timeout=timeout)
    text = answer.body.decode(errors="replace")
    if not text:
        return answer.status, None
    if "json" in answer.headers.get("Content-Type", ""):
        return answer.status, json.loads(text)
    return answer.status, text


def exchange(
    method: str,
    url: str,
    body: str | bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 30.0,
) -> Exchange:
    """The answer, whatever it is. Raises OSError for none."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=tls)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, dict(headers or {}))
        answer = connection.getresponse()
        return Exchange(answer.status, answer.headers, answer.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {url}: {type(error).__name__}") from error
    finally:
        connection.close()
