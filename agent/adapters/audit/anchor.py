"""The anchor: how far a chain had come at its last checkpoint, kept in the agent's namespace, away from the file.

It is a ConfigMap `signet-audit-<agent>`. A file that ends before the anchor has lost its tail; a file whose record at the anchor's
place has another hash was rewritten.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from agent.adapters.audit import credential
from agent.values.errors import AuditError
from agent.values.tree import Object, Tree, get, get_object

PREFIX: Final = "signet-audit-"
LABEL: Final = "signet-gitops.dev/audit-anchor"
_SIGNED: Final = b"signet audit anchor v1\n"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A chain's head, signed. `public_key` is PEM, `key` its id, `signature` hex."""

    agent: str
    seq: int
    hash: str
    key: str
    public_key: str
    signature: str

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return signed(self.agent, self.seq, self.hash)

    def data(self) -> dict[str, str]:
        """As `data` of a ConfigMap."""
        return {
            "agent": self.agent,
            "seq": str(self.seq),
            "hash": self.hash,
            "key": self.key,
            "publicKey": self.public_key,
            "signature": self.signature,
        }

    def config_map(self, namespace: str) -> Object:
        """The whole object."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name(self.agent), "namespace": namespace, "labels": {LABEL: "true"}},
            "data": dict(self.data()),
        }


def name(agent: str) -> str:
    """The ConfigMap's name."""
    return f"{PREFIX}{agent}"


def signed(agent: str, seq: int, digest: str) -> bytes:
    """What an anchor's signature is over."""
    return _SIGNED + json.dumps([agent, seq, digest]).encode()


def parse(tree: Tree) -> Anchor:
    """From a ConfigMap, as `kubectl get configmap … -o json` prints it, or from its data. Raises AuditError.

    The signature is verified against the anchor's own public key: who trusts the cluster trusts this key.
    """
    data = get_object(tree, "data") if get(tree, "kind") == "ConfigMap" else get_object(tree)
    texts = {field: text for field, text in data.items() if isinstance(text, str)}
    try:
        anchor = Anchor(
            texts["agent"],
            int(texts["seq"]),
            texts["hash"],
            texts["key"],
            texts["publicKey"],
            texts["signature"],
        )
    except (KeyError, ValueError):
        raise AuditError(
            "not an anchor of an audit trail", hint="give one ConfigMap signet-audit-<agent> of the agent's namespace"
        ) from None
    if not credential.is_signed(credential.public_keys(anchor.public_key), anchor.key, anchor.signature, anchor.signed):
        raise AuditError("the anchor's signature does not match", agent=anchor.agent)
    return anchor
