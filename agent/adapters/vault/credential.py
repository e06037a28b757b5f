"""Tokens of the agent: where they come from, when they are renewed, and what is done when one has died.

A 403 does not say whether the path is denied or the token is dead, so a dead one is confirmed by a lookup of itself, and replaced by one
login at a time, made on a client of its own.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from agent.values.errors import StoreDeniedError, StoreError, StoreUnavailableError
from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.vault.answer import Answer
    from agent.adapters.vault.client import StoreClient
    from agent.api.operator import KubernetesLogin as KubernetesSettings
    from agent.api.operator import StoreAuth


_REFUSAL_SECONDS: Final = 5.0
_BLIND_SECONDS: Final = 300.0
"""How young a token that may not look itself up is believed to be alive."""


@dataclass(frozen=True, slots=True)
class Token:
    """`seconds` it lives from now; 0 where that is not ours to know. `mark` distinguishes one version of a file from another."""

    secret: Secret
    seconds: float = 0.0
    renewable: bool = False
    mark: object = None


class Login(Protocol):
    """How a token is come by."""

    owned: bool
    """Whether the token was made by us, so that it is ours to revoke."""

    def obtain(self, client: StoreClient) -> Token:
        """A token. Raises StoreDeniedError, StoreUnavailableError."""
        ...

    def changed(self, token: Token) -> bool:
        """Whether another token than this one waits to be taken."""
        ...


class TokenFile:
    """A file that another process writes and rotates; its change is seen before the next request."""

    owned: bool = False

    def __init__(self, path: str) -> None:
        self._path: Final = path

    def obtain(self, client: StoreClient) -> Token:
        mark = _mark(self._path)
        return Token(_read(self._path, client.name), mark=mark)

    def changed(self, token: Token) -> bool:
        return _mark(self._path) != token.mark


class KubernetesLogin:
    """The ServiceAccount token of a projected volume, read again at each login, for a token of the store's `kubernetes` method."""

    owned: bool = True

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings: Final = settings

    def obtain(self, client: StoreClient) -> Token:
        jwt = _read(self._settings.token_file, client.name)
        body = {"role": self._settings.role, "jwt": reveal(jwt)}
        return _granted(client.call("post", f"auth/{self._settings.mount}/login", body=body), client.name)

    def changed(self, token: Token) -> bool:  # noqa: ARG002
        return False


def login(auth: StoreAuth) -> Login:
    """The way that the operator's file asks for."""
    if auth.token_file is not None:
        return TokenFile(auth.token_file)
    assert auth.kubernetes is not None
    return KubernetesLogin(auth.kubernetes)


class Credential:
    """The token that `client` sends, kept alive. Thread-safe: one login or renewal at a time."""

    def __init__(
        self, client: StoreClient, anonymous: StoreClient, login: Login, monotonic: Callable[[], float]
    ) -> None:
        """`anonymous` reaches the same server without a token."""
        self._client: Final = client
        self._anonymous: Final = anonymous
        self._login: Final = login
        self._monotonic: Final = monotonic
        self._lock: Final = threading.Lock()
        self._token: Token | None = None
        self._taken_at: float = 0.0
        self._looked_up_at: float = float("-inf")
        self._generation: int = 0
        self._blind: bool = False
        self._refusal: tuple[float, StoreDeniedError] | None = None

    def ready(self) -> int:
        """See to it that the client has a token that should be good; its generation. Raises StoreError."""
        token = self._token
        if token is None or self._login.changed(token) or self._age() >= token.seconds > 0:
            with self._lock:
                if self._token is token:
                    self._take(self._obtain())
        elif self._age() >= token.seconds * 2 / 3 > 0 and self._lock.acquire(blocking=False):
            try:
                if self._token is token:
                    self._take(self._renewed(token))
            finally:
                self._lock.release()
        return self._generation

    def replaced(self, generation: int, asked_at: float) -> bool:
        """After a 403 to a request of `asked_at`: whether its token had died and there is another, so that asking again makes sense.

        Raises StoreUnavailableError where it died and there is no other.
        """
        with self._lock:
            if self._generation != generation:
                return True
            if self._looked_up_at >= asked_at:
                return False
            looked_up_at = self._monotonic()
            if self._alive():
                self._looked_up_at = looked_up_at
                return False
            token = self._token
            if self._login.owned and self._blind and self._age() < _BLIND_SECONDS:
                return False
            if not self._login.owned and token is not None and not self._login.changed(token):
                raise StoreUnavailableError(
                    "the store no longer knows the agent's token",
                    hint="write a new token into the store's tokenFile; it may need lookup-self in its policy",
                    store=self._client.name,
                )
            self._take(self._obtain())
            self._looked_up_at = self._monotonic()
            self._blind = self._login.owned and not self._alive()
            return True

    def close(self) -> bool:
        """Revoke the token if a login made it; whether it is gone. One that stays dies of its own time to live."""
        with self._lock:
            if self._token is None or not self._login.owned:
                return False
            self._token = None
            try:
                return self._client.call("post", "auth/token/revoke-self").status in {200, 204}
            except StoreError:
                return False
            finally:
                self._client.server.token = ""

    def _alive(self) -> bool:
        return self._client.call("get", "auth/token/lookup-self").status == 200

    def _age(self) -> float:
        return self._monotonic() - self._taken_at

    def _take(self, token: Token) -> None:
        self._token = token
        self._taken_at = self._monotonic()
        self._generation += 1
        self._client.server.token = str(reveal(token.secret))

    def _obtain(self) -> Token:
        """A login that was refused is not tried again at once by everyone who waits for it."""
        if self._refusal is not None and self._monotonic() - self._refusal[0] < _REFUSAL_SECONDS:
            raise self._refusal[1].copy()
        try:
            return self._login.obtain(self._anonymous)
        except StoreDeniedError as error:
            self._refusal = (self._monotonic(), error)
            raise

    def _renewed(self, token: Token) -> Token:
        if token.renewable:
            answer = self._client.call("post", "auth/token/renew-self")
            if answer.status == 200:
                renewed = _granted(answer, self._client.name)
                if renewed.seconds > token.seconds / 2:
                    return renewed
        return self._obtain()


def _granted(answer: Answer, store: str) -> Token:
    auth = get_object(answer.body, "auth")
    token = get_text(auth, "client_token")
    if answer.status != 200 or not token:
        raise StoreDeniedError(
            "the store refuses the agent's login",
            hint="check role, mount and audience in the operator's file against the auth method's role",
            store=store,
            status=answer.status,
        )
    seconds = auth.get("lease_duration")
    return Token(
        Secret(token, f"vault:{store}#token"),
        float(seconds) if isinstance(seconds, int) else 0.0,
        auth.get("renewable") is True,
    )


def _mark(path: str) -> object:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _read(path: str, store: str) -> Secret:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123
            text = file.read(64 * 1024).strip()
    except (OSError, ValueError):
        text = ""
    if not text or not text.isprintable() or " " in text:
        raise StoreUnavailableError(
            "the file of the agent's token cannot be read", hint="it must hold one token", store=store, path=path
        )
    return Secret(text, f"vault:{store}#token")
