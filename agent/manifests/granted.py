"""What the operator's file lets an Application ask of stores: judged before any is asked, so that commands say what the agent will."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.sops.format.groups import check_openable
from agent.sops.format.keys import ByKind, TransitKey
from agent.values.errors import DataKeyError, StoreDeniedError, UnknownStoreError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.api.operator import Store
    from agent.manifests.references import Reference
    from agent.sops.format.groups import WrappedDataKey
    from agent.sops.format.keys import Recipient, WrappedKey
    from agent.values.errors import StoreError

_SOME: Final = Secret("", "what an agent's key would open")


def refusal(stores: Mapping[str, Store], namespace: str, reference: Reference) -> StoreError | None:
    """Why Applications of `namespace` do not get what they refer to, whatever the store holds; None where it is asked."""
    store = stores.get(reference.store)
    if store is None:
        return UnknownStoreError(
            "the operator has configured no store of this name",
            hint="a reference names a store of the operator's file: vault://<store>/<mount>/<path>#<key>",
            store=reference.store,
        )
    if not store.serves(namespace):
        return StoreDeniedError(
            "this store does not serve the Application's namespace",
            hint="see allowedNamespaces of the store in the operator's file",
            store=reference.store,
            namespace=namespace,
        )
    if not store.allows(reference.path):
        mount, _, below = reference.path.partition("/data/")
        return StoreDeniedError(
            "the operator's file does not allow this path",
            hint="write the path as `kv get` does, without data/"
            if store.allows(f"{mount}/{below}")
            else "see allowedPaths of the store in the operator's file",
            store=reference.store,
            path=reference.path,
        )
    return None


def unserved(key: TransitKey) -> DataKeyError:
    """Of a transit key that no store has which serves the Application."""
    return DataKeyError(
        "no configured store has this address",
        hint="the operator's file must have a store with the address that the SOPS file has, and allow this namespace",
        address=key.vault_address,
    )


def closed(store: str, key: TransitKey) -> DataKeyError:
    """Of a transit key that the operator's file does not let the store be asked for."""
    return DataKeyError(
        "the operator's file does not allow this transit key",
        hint="transitKeys of the store must hold <engine>/keys/<key>",
        store=store,
        path=f"{key.engine_path}/keys/{key.key_name}",
    )


@dataclass(frozen=True, slots=True)
class StoreGrants:
    """What Applications of `namespace` may ask of the `stores` of the operator's file; of anything, where these are not known."""

    namespace: str = ""
    stores: Mapping[str, Store] | None = None

    def check(self, references: Iterable[Reference]) -> None:
        """Raises StoreDeniedError, UnknownStoreError."""
        for reference in references if self.stores is not None else ():
            refused = refusal(self.stores or {}, self.namespace, reference)
            if refused is not None:
                raise refused.with_facts(reference=str(reference))

    def check_recipients(self, wrapped: WrappedDataKey, file: str) -> None:
        """Whether an agent can have keys for a file at all, by their kinds and by the stores. Raises DataKeyError."""
        check_openable(wrapped, ByKind(dict.fromkeys(("age", "pgp", "hc_vault"), self)), file=file)

    def unwrap(self, key: WrappedKey) -> Secret:
        """Raises DataKeyError for a key that no agent would open with."""
        if not isinstance(key, TransitKey) or self.stores is None:
            return _SOME
        failure = unserved(key)
        for name, store in self.stores.items():
            if store.address == key.vault_address and store.serves(self.namespace):
                if store.opens(key.engine_path, key.key_name):
                    return _SOME
                failure = closed(name, key)
        raise failure

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:  # noqa: ARG002
        """Nothing is encrypted here."""
        raise DataKeyError("the agent wraps no data keys")
