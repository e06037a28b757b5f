"""Data keys of SOPS files that Vault's or OpenBao's transit engine wraps (`hc_vault`), opened in batches.

`vault_address` in a file is looked up among the configured stores as text and never dialled: sops sends its token to whatever address
a file names.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.adapters.vault import client
from agent.manifests import granted
from agent.manifests.references import LONGEST
from agent.sops.format.keys import TransitKey
from agent.values.errors import AgentError, DataKeyError, StoreError
from agent.values.secret import Secret
from agent.values.tree import Tree, get_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agent.adapters.vault.store import Access
    from agent.adapters.vault.stores import Stores
    from agent.sops.format.keys import Recipient, WrappedKey
    from agent.values.ids import ApplicationId

_LONGEST: Final = 4096
"""Characters of a wrapped data key. One by RSA-4096 has some 700."""
BATCH: Final = 400
"""Ciphertexts in one request; a server refuses 500."""


async def unwrap(
    stores: Stores, application: ApplicationId, keys: Collection[TransitKey]
) -> dict[TransitKey, Secret | AgentError]:
    """The data key of each, by one request per store, engine, key and batch. DataKeyError says why one does not open."""
    answers: dict[TransitKey, Secret | AgentError] = {}
    groups: defaultdict[tuple[str, str, str], list[TransitKey]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        groups[key.vault_address, key.engine_path, key.key_name].append(key)

    async def open_group(group: list[TransitKey]) -> None:
        for at in range(0, len(group), BATCH):
            batch = group[at : at + BATCH]
            for store in stores.serving(application, batch[0].vault_address):
                waiting = [key for key in batch if not isinstance(answers.get(key), Secret)]
                if waiting:
                    answers.update(await store.in_thread(lambda store=store, waiting=waiting: _open(store, waiting)))
            for key in batch:
                answers.setdefault(key, granted.unserved(key))

    await asyncio.gather(*(open_group(group) for group in groups.values()))
    return answers


@dataclass(frozen=True, slots=True)
class TransitMasterKeys:
    """`sops.keys.MasterKeys` for one Application, one key at a time; blocks, so call it from a thread."""

    stores: Stores
    application: ApplicationId

    def unwrap(self, key: WrappedKey) -> Secret:
        """Raises DataKeyError, StoreUnavailableError."""
        if not isinstance(key, TransitKey):
            raise DataKeyError("not a transit key")
        failure: AgentError = granted.unserved(key)
        for store in self.stores.serving(self.application, key.vault_address):
            answer = _open(store, [key])[key]
            if isinstance(answer, Secret):
                return answer
            failure = answer
        raise failure

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:  # noqa: ARG002
        """The agent encrypts nothing."""
        raise DataKeyError("the agent wraps no data keys")


def _open(store: Access, keys: Sequence[TransitKey]) -> dict[TransitKey, Secret | AgentError]:
    """A batch of one engine and key name, from one store. What no server has made is not sent to one."""
    long = {key for key in keys if len(key.enc) > _LONGEST or len(key.engine_path) + len(key.key_name) > LONGEST}
    too_long: dict[TransitKey, Secret | AgentError] = {
        key: DataKeyError("the wrapped key, or the name of its key, is too long for a store") for key in long
    }
    return too_long | _ask(store, [key for key in keys if key not in long])


def _ask(store: Access, keys: Sequence[TransitKey]) -> dict[TransitKey, Secret | AgentError]:
    if not keys:
        return {}
    engine, name = keys[0].engine_path, keys[0].key_name
    path = f"{engine}/keys/{name}"
    try:
        if not store.settings.opens(engine, name):
            raise granted.closed(store.name, keys[0])
        answer = store.call(
            "post",
            f"{client.address(engine)}/decrypt/{client.address(name)}",
            body={
                "batch_input": [{"ciphertext": key.enc} for key in keys],
                "partial_failure_response_code": 200,
            },
        )
    except AgentError as error:
        if isinstance(error, StoreError) and not error.transient:
            error = DataKeyError("the store refuses this transit key", store=store.name, path=path)
        return {key: error.copy() for key in keys}
    results = answer.data.get("batch_results")
    if answer.status != 200 or not isinstance(results, list) or len(results) != len(keys):
        if answer.status == 403:
            denied = DataKeyError(
                "the store denies the agent this transit key",
                hint="its policy needs update on <engine>/decrypt/<key>",
                store=store.name,
                path=path,
            )
        else:
            denied = DataKeyError("the store has no such transit key", store=store.name, path=path)
        return {key: denied.copy() for key in keys}
    return {key: _data_key(result, store.name, path) for key, result in zip(keys, results, strict=True)}


def _data_key(result: Tree, store: str, path: str) -> Secret | AgentError:
    plaintext = get_text(result, "plaintext")
    try:
        if plaintext:
            return Secret(base64.b64decode(plaintext, validate=True), f"transit:{store}/{path}")
    except binascii.Error:
        return DataKeyError("the store's answer is not a data key", store=store, path=path)
    return DataKeyError("the store's transit key does not open this data key", store=store, path=path)
