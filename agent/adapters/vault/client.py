"""One server, asked through hvac's adapter: an answer is a status and a JSON object, or an error in our own words.

hvac's exceptions may hold the whole body of an answer, another item's plaintext included, so none is ever raised: the adapter
returns every response, and what it means is judged here from its status.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, LiteralString
from urllib.parse import quote

from hvac.adapters import RawAdapter  # pyright: ignore[reportMissingTypeStubs]
from requests.exceptions import ConnectionError as UnreachableError
from requests.exceptions import RequestException, SSLError, Timeout

from agent.adapters.bounds import answers
from agent.values.errors import LimitError, StoreDeniedError, StoreNotFoundError, StoreUnavailableError
from agent.values.tree import Object, Tree, get_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from agent.api.operator import Store as StoreSettings

_CONNECT: Final = 5.0
"""Seconds for a connection."""
_LEAST: Final = 0.001

Method = Literal["get", "post", "list"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: a status below 500 other than 3xx and 429. `body` is confidential."""

    status: int
    body: Object

    @property
    def data(self) -> Object:
        """`data` of the body; empty where it is null or no map."""
        return get_object(self.body, "data")


class StoreClient:
    """A server as one identity. Thread-safe; `adapter.token` may be assigned while others call."""

    def __init__(self, name: str, settings: StoreSettings, session: requests.Session, *, seconds: float) -> None:
        """Requests end after `seconds`, connecting aside. The token is empty, so that none is taken from the environment."""
        self.name: Final = name
        self._seconds: Final = seconds
        self.adapter: Final = RawAdapter(
            base_uri=settings.address.rstrip("/"),
            token="",
            verify=session.verify,  # pyright: ignore[reportArgumentType]
            timeout=(_CONNECT, seconds),  # pyright: ignore[reportArgumentType]
            allow_redirects=False,
            session=session,
            namespace=settings.namespace,
        )

    def call(
        self, method: Method, path: str, *, body: Mapping[str, Any] | None = None, version: int | None = None
    ) -> Answer:
        """Ask `/v1/<path>`. A get or list that meets a connection which the server has closed is sent once more.

        Raises StoreUnavailableError: no answer, 429, 5xx, a redirect, or what is not a JSON object. LimitError: more than the agent accepts.
        """
        until = time.monotonic() + self._seconds
        try:
            try:
                return self._judge(self._send(method, path, body, version, until))
            except UnreachableError as error:
                if method == "post" or isinstance(error, Timeout | SSLError):
                    raise
            return self._judge(self._send(method, path, body, version, until))
        except RequestException as error:
            raise self._unreachable(error) from None
        except OSError:
            raise StoreUnavailableError(
                "the store's caFile cannot be read", hint="the operator's file names it", store=self.name
            ) from None

    def _send(
        self, method: Method, path: str, body: Mapping[str, Any] | None, version: int | None, until: float
    ) -> requests.Response:
        options: dict[str, Any] = {} if body is None else {"json": body}
        if version is not None:
            options["params"] = {"version": version}
        options["timeout"] = (_CONNECT, max(until - time.monotonic(), _LEAST))
        return self.adapter.request(method, f"/v1/{path}", raise_exception=False, **options)

    def _unreachable(self, error: RequestException) -> StoreUnavailableError | LimitError:
        if isinstance(error, answers.TooLargeError):
            return LimitError(
                "the store's answer is larger than the agent accepts",
                hint="keep less at one path, and fewer in one folder",
                store=self.name,
                limit=answers.LARGEST,
            )
        if isinstance(error, SSLError):
            return StoreUnavailableError(
                "the store's certificate is not trusted",
                hint="set caFile of the store in the operator's file",
                store=self.name,
            )
        if isinstance(error, answers.EncodedError):
            return StoreUnavailableError(
                "the store's answer is compressed, which is not supported",
                hint="a proxy in front of the store must not change its answers",
                store=self.name,
            )
        message: LiteralString = "the store cannot be reached"
        if isinstance(error, Timeout):
            message = "the store did not answer in time"
        return StoreUnavailableError(message, hint="it is tried again after a while", store=self.name)

    def _judge(self, response: requests.Response) -> Answer:
        status = response.status_code
        body: Tree = answers.tree(response.content) if response.content else {}
        known = body if isinstance(body, dict) else None
        if 300 <= status < 400:
            raise StoreUnavailableError(
                "the store redirects, and redirects are not followed",
                hint="write the address of the server that answers into the operator's file",
                store=self.name,
                status=status,
            )
        if (
            status == 503
            and known is not None
            and (known.get("errors") == ["Vault is sealed"] or known.get("sealed") is True)
        ):
            raise StoreUnavailableError("the store is sealed", hint="unseal it", store=self.name, status=status)
        if status in {412, 429, 472, 473} or status >= 500:
            raise StoreUnavailableError(
                "the store is overloaded, a standby or failing",
                hint="it is tried again after a while",
                store=self.name,
                status=status,
            )
        if known is None:
            raise StoreUnavailableError(
                "the store's answer is not a JSON object",
                hint="is the address of the store that of Vault or OpenBao itself?",
                store=self.name,
                status=status,
            )
        return Answer(status, known)


def refused(answer: Answer, *, store: str, path: str) -> StoreDeniedError | StoreNotFoundError:
    """The error of an answer that is neither 200 nor an outage."""
    if answer.status == 404:
        return StoreNotFoundError(
            "nothing is stored at this path",
            hint="write the path as `kv get` does, without data/; check its spelling",
            store=store,
            path=path,
        )
    if answer.status == 403:
        return StoreDeniedError(
            "the store denies the agent this path",
            hint="the agent's policy in the store must allow reading the path",
            store=store,
            path=path,
        )
    return StoreDeniedError("the store refuses the request", store=store, path=path, status=answer.status)


def address(*parts: str) -> str:
    """A request path whose every segment is quoted. Raises StoreNotFoundError for one that could reach elsewhere."""
    segments = [segment for part in parts for segment in part.split("/")]
    if any(segment in {"", ".", ".."} or "%" in segment or not segment.isprintable() for segment in segments):
        raise StoreNotFoundError(
            "not a path of a store", hint="leave out empty segments, dots and percent signs", path="/".join(parts)
        )
    return "/".join(quote(segment, safe="") for segment in segments)
