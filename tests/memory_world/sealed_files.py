"""SOPS files for a world without keys: a recipient's name is all that opens what is for it."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import TYPE_CHECKING

from agent.sops import stores
from agent.sops.files import encrypt as sops
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import AgeKey
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import Selection
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from agent.api.application import Application
    from agent.values.ids import ApplicationId

NOW = "2026-01-01T00:00:00Z"
TEAM = "age1team"
_SELECTION = Selection("encrypted_regex", "^(data|stringData|password)$")


def encrypt(text: str, name: str = "secret.yaml", *, recipient: str = TEAM, selection: Selection = _SELECTION) -> str:
    """The file as `agent encrypt` would write it: the same text, the same file."""
    enc = hashlib.sha256(f"{recipient} {text}".encode()).hexdigest()
    store = stores.of(name)
    documents = sops.encrypt(
        store.parse_plain(text.encode(), file=name),
        Metadata(WrappedDataKey.one_group(AgeKey(recipient, enc)), selection),
        data_key_of(enc),
        file=name,
        random_bytes=_bytes_of(enc),
        lastmodified=NOW,
    )
    return store.emit(documents).decode()


def data_key_of(enc: str) -> Secret:
    return Secret(hashlib.sha256(enc.encode()).digest(), "data key")


def _bytes_of(seed: str) -> Callable[[int], bytes]:
    numbers = count()
    return lambda size: hashlib.sha256(f"{seed} {next(numbers)}".encode()).digest()[:size]


class DataKeys:
    """DataKeyPort: opens what is for one of `held`, or `granted` to the source. `unwrapped` are the files that were asked for, in order."""

    def __init__(self) -> None:
        self.held = {TEAM}
        self.granted: dict[str, set[str]] = {}
        self.unwrapped: list[str] = []
        self.forgotten: list[str] = []

    async def prepare(self, application: Application, wrapped: Collection[WrappedDataKey], source: str = "") -> None:
        """Nothing is cheaper together."""

    async def unwrap(self, application: Application, wrapped: WrappedDataKey, file: str, source: str = "") -> Secret:
        self.unwrapped.append(file)
        for key in wrapped.keys:
            if isinstance(key, AgeKey) and key.recipient in self.held | self.granted.get(source, set()):
                return data_key_of(key.enc)
        raise DataKeyError("no key opens the data key", file=file)

    async def forget(self, application: ApplicationId) -> None:
        self.forgotten.append(application.uid)
