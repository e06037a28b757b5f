"""GnuPG homes on memory-backed storage, one for each Application that brings PGP keys.

The storage is shared by all tenants, and what does not fit for one of them fails for all. So the homes of one namespace have a size together:
a tenant chooses how many Applications there are, and how many keys each brings.
"""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, Final

from agent.values import derive
from agent.values.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.adapters.keys.pgp import PgpKeys
    from agent.values.ids import ApplicationId
    from agent.values.secret import Secret

_HOME: Final = 128 * 1024
"""Bytes that a home counts for besides its files: a gpg-agent runs beside each."""


class GnupgHomes:
    """Homes below `memory`, of at most `most` bytes for one namespace. Blocking, and called from several threads."""

    def __init__(self, memory: Path, most: int) -> None:
        self._memory: Final = memory
        self._most: Final = most
        self._sizes: Final[dict[str, tuple[str, int]]] = {}
        self._lock: Final = threading.Lock()

    def make(self, application: ApplicationId, secrets: Sequence[Secret], *, most: int) -> PgpKeys:
        """A home with these keys. Raises ConfigError, and LimitError: more than `most` keys, or too large; then none is left."""
        self._reserve(application, _HOME + 2 * sum(map(derive.size, secrets)))
        home = self._path(application)
        try:
            home.mkdir(mode=0o700, parents=True)
            keyring = _keys(home)
            for secret in secrets:
                most -= len(keyring.import_key(secret, most=most))
            self._reserve(application, _HOME + _size(home))
        except BaseException:
            self.drop(application)
            raise
        return keyring

    def drop(self, application: ApplicationId) -> None:
        """Remove an Application's home, if it has one, and end the gpg-agent beside it."""
        home = self._path(application)
        if home.exists():
            _keys(home).close()
            shutil.rmtree(home)
        with self._lock:
            self._sizes.pop(application.uid, None)

    def close(self) -> None:
        """Remove all of them."""
        for home in self._memory.glob("gpg-*"):
            _keys(home).close()
            shutil.rmtree(home)

    def _path(self, application: ApplicationId) -> Path:
        # GnuPG's sockets are at most 107 characters long
        return self._memory / f"gpg-{application.uid[:13]}"

    def _reserve(self, application: ApplicationId, size: int) -> None:
        with self._lock:
            others = sum(
                taken
                for uid, (namespace, taken) in self._sizes.items()
                if namespace == application.namespace and uid != application.uid
            )
            if others + size > self._most:
                raise LimitError(
                    "the PGP keys of this namespace's Applications together are larger than the agent accepts",
                    hint="limits.pgpBytes in the operator's file is the limit; age identities do not count towards it",
                    application=str(application),
                    limit=self._most,
                )
            self._sizes[application.uid] = application.namespace, size


def _keys(home: Path) -> PgpKeys:
    # An agent without PGP keys does without python-gnupg.
    from agent.adapters.keys.pgp import PgpKeys  # noqa: PLC0415

    return PgpKeys(home)


def _size(home: Path) -> int:
    """Bytes of the blocks that a folder's files take."""
    size = 0
    for folder, _, names in os.walk(home):
        for name in names:
            try:
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118
            except FileNotFoundError:
                continue
    return size
