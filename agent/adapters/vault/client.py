"""A configured store as one identity: the server, and what its silence means to an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString
from urllib.parse import quote

from agent.adapters import proxies
from agent.adapters.bounds import bodies
from agent.adapters.vault.answer import Answer, NoAnswerError, Why
from agent.values.errors import LimitError, StoreDeniedError, StoreNotFoundError, StoreUnavailableError
from agent.values.text import is_encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from agent.adapters.vault.answer import Method
    from agent.api.operator import Store as StoreSettings

_PASSWORD: Final = 407
_LATER: Final[LiteralString] = "it is asked again after a while"
_UNAVAILABLE: Final[Mapping[Why, tuple[LiteralString, LiteralString]]] = {
    Why.UNREACHABLE: ("the store cannot be reached", _LATER),
    Why.TOO_SLOW: ("the store did not answer in time", _LATER),
    Why.UNTRUSTED: ("the store's certificate is not trusted", "set caFile of the store in the operator's file"),
    Why.UNREADABLE_FILE: ("the store's caFile cannot be read", "the operator's file names it"),
    Why.ENCODED: (
        "the store's answer is compressed, which is not supported",
        "a proxy in front of the store must not change its answers",
    ),
    Why.REDIRECTED: (
        "the store redirects, and redirects are not followed",
        "write the address of the server that answers into the operator's file",
    ),
    Why.PROXY: (proxies.CLOSED, _LATER),
    Why.PROXY_FILE: (proxies.UNREADABLE, proxies.UNREADABLE_HINT),
    Why.SEALED: ("the store is sealed", "unseal it"),
    Why.FAILING: ("the store is overloaded, a standby or failing", _LATER),
    Why.NOT_JSON: (
        "the store's answer is not a JSON object",
        "is the address of the store that of Vault or OpenBao itself?",
    ),
}


class StoreClient:
    """Thread-safe; `token` of the server may be assigned while others call."""

    def __init__(self, name: str, settings: StoreSettings, session: requests.Session, *, seconds: float) -> None:
        """Requests end after `seconds`, connecting aside."""
        # hvac and requests take 8 MiB, which an agent without stores does without
        from agent.adapters.vault.server import Server  # noqa: PLC0415

        self.name: Final = name
        self._proxy: Final = settings.proxy
        self.server: Final = Server(settings.address, session, seconds=seconds, namespace=settings.namespace)

    def call(
        self, method: Method, path: str, *, body: Mapping[str, Any] | None = None, version: int | None = None
    ) -> Answer:
        """As `Server.call`.

        Raises StoreUnavailableError: no answer, 429, 5xx, a redirect, or what is not a JSON object. LimitError: more than the agent accepts.
        """
        try:
            return self.server.call(method, path, body=body, version=version)
        except NoAnswerError as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: NoAnswerError) -> StoreUnavailableError | LimitError:
        if error.why is Why.TOO_LARGE:
            return LimitError(
                "the store's answer is larger than the agent accepts",
                hint="keep less at one path, and fewer in one folder",
                store=self.name,
                limit=bodies.LARGEST,
            )
        message, hint = _UNAVAILABLE[error.why]
        status: dict[str, int | str] = {} if error.status is None else {"status": error.status}
        if error.why is Why.PROXY and self._proxy is not None:
            status["proxy"] = self._proxy.url
        if error.why is Why.PROXY and self._proxy is None:
            message, hint = (
                "the proxy of HTTPS_PROXY does not lead to the store",
                "NO_PROXY lists the hosts that are reached without it",
            )
        elif error.why is Why.PROXY and error.status == _PASSWORD:
            message, hint = proxies.REFUSED, proxies.REFUSED_HINT
        return StoreUnavailableError(message, hint=hint, store=self.name, **status)


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
            hint="its policy needs read on <mount>/data/<path> and <mount>/metadata/<path>, or with KV version 1 on <mount>/<path>",
            store=store,
            path=path,
        )
    return StoreDeniedError("the store refuses the request", store=store, path=path, status=answer.status)


def address(*parts: str) -> str:
    """A request path whose every segment is quoted. Raises StoreNotFoundError for one that could reach elsewhere."""
    segments = [segment for part in parts for segment in part.split("/")]
    if any(segment in {"", ".", ".."} or is_encoded(segment) or not segment.isprintable() for segment in segments):
        raise StoreNotFoundError(
            "not a path of a store", hint="leave out empty segments, dots and percent-encoding", path="/".join(parts)
        )
    return "/".join(quote(segment, safe="") for segment in segments)
