"""One server of Vault or OpenBao, asked through hvac's adapter: an answer is a status and a JSON object, or `NoAnswerError` and why.

The agent's stores and the transit keys of the command line ask by this, each with limits and words of its own. hvac's exceptions may hold
the whole body of an answer, another item's plaintext included, so none is ever raised: the adapter returns every response, and what it
means is judged here from its status.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from hvac.adapters import RawAdapter  # pyright: ignore[reportMissingTypeStubs]
from requests.exceptions import ConnectionError as UnreachableError
from requests.exceptions import ProxyError, RequestException, SSLError, Timeout

from agent.adapters.bounds import answers, bodies
from agent.adapters.vault.answer import Answer, NoAnswerError, Why

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from agent.adapters.vault.answer import Method
    from agent.values.tree import Tree

_CONNECT: Final = 5.0
"""Seconds for a connection."""
_LEAST: Final = 0.001


class Server:
    """A server as one identity. Thread-safe; `token` may be assigned while others call."""

    def __init__(
        self, address: str, session: requests.Session, *, seconds: float, namespace: str | None, token: str = ""
    ) -> None:
        """Requests end after `seconds`, connecting aside. An empty token is none: nothing is taken from the environment."""
        self._seconds: Final = seconds
        self._adapter: Final = RawAdapter(
            base_uri=address.rstrip("/"),
            token=token,
            # hvac takes the session's, but not where it is False.
            verify=session.verify,  # pyright: ignore[reportArgumentType]
            timeout=(_CONNECT, seconds),  # pyright: ignore[reportArgumentType]
            allow_redirects=False,
            session=session,
            namespace=namespace,
        )

    @property
    def token(self) -> str:
        return self._adapter.token or ""

    @token.setter
    def token(self, token: str) -> None:
        self._adapter.token = token

    def call(
        self, method: Method, path: str, *, body: Mapping[str, Any] | None = None, version: int | None = None
    ) -> Answer:
        """Ask `/v1/<path>`. A get or list that meets a connection which the server has closed is sent once more. Raises NoAnswerError."""
        until = time.monotonic() + self._seconds
        try:
            try:
                return _judge(self._send(method, path, body, version, until))
            except UnreachableError as error:
                if method == "post" or isinstance(error, Timeout | SSLError | ProxyError):
                    raise
            return _judge(self._send(method, path, body, version, until))
        except (RequestException, bodies.TooLargeError) as error:
            status = answers.refusal_of_proxy(error)
            raise NoAnswerError(Why.PROXY if status is not None else _why(error), status) from None
        except OSError:
            raise NoAnswerError(Why.UNREADABLE_FILE) from None

    def _send(
        self, method: Method, path: str, body: Mapping[str, Any] | None, version: int | None, until: float
    ) -> requests.Response:
        options: dict[str, Any] = {} if body is None else {"json": body}
        if version is not None:
            options["params"] = {"version": version}
        options["timeout"] = (_CONNECT, max(until - time.monotonic(), _LEAST))
        return self._adapter.request(method, f"/v1/{path}", raise_exception=False, **options)


_BY_ERROR: Final[tuple[tuple[type[OSError], Why], ...]] = (
    (bodies.TooLargeError, Why.TOO_LARGE),
    (answers.EncodedError, Why.ENCODED),
    (SSLError, Why.UNTRUSTED),
    (ProxyError, Why.PROXY),
    (Timeout, Why.TOO_SLOW),
)


def _why(error: OSError) -> Why:
    return next((why for kind, why in _BY_ERROR if isinstance(error, kind)), Why.UNREACHABLE)


def _judge(response: requests.Response) -> Answer:
    status = response.status_code
    body: Tree = bodies.tree(response.content) if response.content else {}
    known = body if isinstance(body, dict) else None
    if 300 <= status < 400:
        raise NoAnswerError(Why.REDIRECTED, status)
    if (
        status == 503
        and known is not None
        and (known.get("errors") == ["Vault is sealed"] or known.get("sealed") is True)
    ):
        raise NoAnswerError(Why.SEALED, status)
    if status in {412, 429, 472, 473} or status >= 500:
        raise NoAnswerError(Why.FAILING, status)
    if known is None:
        raise NoAnswerError(Why.NOT_JSON, status)
    return Answer(status, known)
