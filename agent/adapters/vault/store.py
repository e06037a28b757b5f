"""One configured store: its client, its token and its circuit breakers behind one call.

What a request asks for is a tenant's to say, so its failure counts for its namespace alone. The store is left alone by all only where the
server does not answer a neutral request either.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from agent.adapters import proxies
from agent.adapters.vault import credential, transport
from agent.adapters.vault.answer import NoAnswerError, Why
from agent.adapters.vault.breaker import Breaker
from agent.adapters.vault.client import StoreClient
from agent.adapters.vault.kv import Mounts
from agent.controllers.turns import Turns
from agent.values.errors import AgentError, SourceUnavailableError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from agent.adapters.vault.answer import Answer, Method
    from agent.adapters.vault.credential import Login
    from agent.api.operator import Store as StoreSettings

T = TypeVar("T")

WORKERS: Final = 12
"""Requests to one store at a time."""
_HEALTH: Final = "sys/health?standbyok=true&perfstandbyok=true"
"""Neutral: it needs no token and names nothing of a tenant. A standby counts as well, for it hands requests on."""
_HEALTH_SECONDS: Final = 5.0


class Store:
    """What the operator configured under one name. Blocking and thread-safe.

    `executor` has a thread for every connection, `turns` says which namespace is next.
    """

    def __init__(
        self,
        name: str,
        settings: StoreSettings,
        *,
        seconds: float,
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
        now: Callable[[], float],
        login: Login | None = None,
        observe: Callable[[str, bool, float], None] | None = None,
        environment: bool = False,
    ) -> None:
        """`login` replaces the one of the settings: a user's own token, with `environment` the user's HTTPS_PROXY counts. `observe(name, answered, seconds)` is called after each request."""
        self.name: Final = name
        self.settings: Final = settings
        self._observe: Final = observe or _ignore
        self.executor: Final = ThreadPoolExecutor(WORKERS, thread_name_prefix=f"vault-{name}")
        self.turns: Final = Turns(WORKERS)
        self._session: Final = _session(settings, environment=environment)
        self._client: Final = StoreClient(name, settings, self._session, seconds=seconds)
        anonymous = StoreClient(name, settings, self._session, seconds=seconds)
        self._credential: Final = credential.Credential(
            self._client, anonymous, login or credential.login(settings.auth), monotonic
        )
        self._neutral: Final = StoreClient(name, settings, self._session, seconds=min(seconds, _HEALTH_SECONDS))
        self._new_breaker: Final = partial(Breaker, monotonic=monotonic, jitter=jitter, now=now)
        self._breaker: Final = self._new_breaker()
        self._of: Final[dict[str, Breaker]] = {}
        self._monotonic: Final = monotonic
        self._looking: Final = threading.Lock()
        self._looked_at: float = float("-inf")
        self._answered: bool = False
        self.mounts: Final = Mounts(name, monotonic)

    def call(
        self,
        namespace: str,
        method: Method,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> Answer:
        """Ask for an Application of `namespace`, with a token that is good; a second time where it had died.

        Raises StoreUnavailableError, StoreDeniedError (login), LimitError.
        """
        breaker = self._of.setdefault(namespace, self._new_breaker())
        for each in (breaker, self._breaker):
            if each.is_open and each.cause is not None:
                raise each.cause.copy()
        generation = self._for_all(self._credential.ready)
        asked_at = self._monotonic()
        ask = partial(self._ask, method, path, body=body, version=version)
        answer = self._for_one(namespace, ask)
        if answer.status == 403 and self._for_all(lambda: self._credential.replaced(generation, asked_at)):
            answer = self._for_one(namespace, ask)
        self._breaker.succeeded()
        breaker.succeeded()
        return answer

    def _ask(self, method: Method, path: str, *, body: Mapping[str, Any] | None, version: int | None) -> Answer:
        began, answered = self._monotonic(), False
        try:
            answer = self._client.call(method, path, body=body, version=version)
            answered = True
            return answer
        finally:
            self._observe(self.name, answered, self._monotonic() - began)

    def _for_all(self, work: Callable[[], T]) -> T:
        """What concerns the agent's own token: its failure is everybody's."""
        try:
            return work()
        except StoreUnavailableError as error:
            raise self._breaker.failed(error) from None

    def _for_one(self, namespace: str, work: Callable[[], T]) -> T:
        """An outage is reported as its breaker reports it while it is open: the text stays the same."""
        try:
            return work()
        except StoreUnavailableError as error:
            # An error of one path is not an outage of the store.
            if error.facts.get("status") in {500, 501}:
                raise
            breaker = self._of[namespace]
            cause = breaker.failed(error)
            if self._answers():
                cause = breaker.explain(cause, namespace=namespace)
            raise cause from None

    def _answers(self) -> bool:
        """Whether the server answers a neutral request. Those who come while another looks share what it sees."""
        came_at = self._monotonic()
        with self._looking:
            if self._looked_at <= came_at:
                try:
                    self._neutral.call("get", _HEALTH)
                    self._answered = True
                except AgentError as error:
                    self._answered = False
                    if isinstance(error, StoreUnavailableError):
                        self._breaker.failed(error)
                self._looked_at = self._monotonic()
            return self._answered

    def close(self) -> None:
        """Revoke what was ours and let go of the connections."""
        self.executor.shutdown(wait=True, cancel_futures=True)
        self._credential.close()
        self._session.close()


def _session(settings: StoreSettings, *, environment: bool) -> requests.Session:
    verify, proxy = settings.ca_file or True, settings.proxy
    if proxy is None:
        through = transport.proxy_of_user(settings.address) if environment else ""
        return transport.session(workers=WORKERS, verify=verify, proxy=through)
    host = urlsplit(settings.address).hostname or ""

    def shown() -> Mapping[str, str]:
        try:
            return proxies.request(proxy, host)[1] or {}
        except SourceUnavailableError:
            raise NoAnswerError(Why.PROXY_FILE) from None

    return transport.session(workers=WORKERS, verify=verify, proxy=proxy.of(host), shown=shown)


def _ignore(*_: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Access:
    """A store as the Applications of one namespace use it."""

    store: Store
    namespace: str

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def settings(self) -> StoreSettings:
        return self.store.settings

    @property
    def mounts(self) -> Mounts:
        return self.store.mounts

    async def in_thread(self, work: Callable[[], T]) -> T:
        """The result of work in one of the store's threads, in the turn of the namespace."""
        loop = asyncio.get_running_loop()
        return await self.store.turns.to_its_end(
            self.namespace, lambda: loop.run_in_executor(self.store.executor, work)
        )

    def call(
        self, method: Method, path: str, *, body: Mapping[str, Any] | None = None, version: int | None = None
    ) -> Answer:
        """As `Store.call`."""
        return self.store.call(self.namespace, method, path, body=body, version=version)
