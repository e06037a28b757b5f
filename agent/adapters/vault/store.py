"""One configured store: its client, its token and its circuit breaker behind one call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from agent.adapters.vault import credential, transport
from agent.adapters.vault.breaker import Breaker
from agent.adapters.vault.client import StoreClient
from agent.adapters.vault.kv import Mounts
from agent.reconcile.driver.turns import Turns
from agent.values.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.adapters.vault.client import Answer, Method
    from agent.adapters.vault.credential import Login
    from agent.api.operator import Store as StoreSettings

WORKERS: Final = 12
"""Requests to one store at a time."""


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
        login: Login | None = None,
    ) -> None:
        """`login` replaces the one of the settings: a user's own token."""
        self.name: Final = name
        self.settings: Final = settings
        self.executor: Final = ThreadPoolExecutor(WORKERS, thread_name_prefix=f"vault-{name}")
        self.turns: Final = Turns(WORKERS)
        self._session: Final = transport.session(workers=WORKERS, ca_file=settings.ca_file)
        self._client: Final = StoreClient(name, settings, self._session, seconds=seconds)
        anonymous = StoreClient(name, settings, self._session, seconds=seconds)
        self._credential: Final = credential.Credential(
            self._client, anonymous, login or credential.login(settings.auth), monotonic
        )
        self._breaker: Final = Breaker(name, monotonic=monotonic, jitter=jitter)
        self._monotonic: Final = monotonic
        self.mounts: Final = Mounts(name, monotonic)

    def call(
        self, method: Method, path: str, *, body: Mapping[str, Any] | None = None, version: int | None = None
    ) -> Answer:
        """Ask with a token that is good; a second time where it had died. Raises StoreUnavailableError, StoreDeniedError (login)."""
        self._breaker.check()
        try:
            generation = self._credential.ready()
            asked_at = self._monotonic()
            answer = self._client.call(method, path, body=body, version=version)
            if answer.status == 403 and self._credential.replaced(generation, asked_at):
                answer = self._client.call(method, path, body=body, version=version)
        except StoreUnavailableError as error:
            # An error of one path is not an outage of the store.
            if error.facts.get("status") not in {500, 501}:
                self._breaker.failed()
            raise
        self._breaker.succeeded()
        return answer

    def close(self) -> None:
        """Revoke what was ours and let go of the connections."""
        self.executor.shutdown(wait=True, cancel_futures=True)
        self._credential.close()
        self._session.close()
