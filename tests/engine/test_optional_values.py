"""An optional value may be missing; it is never taken for missing because it may not be read."""

from __future__ import annotations

import pytest

from agent.engine.assembling import Assembler
from agent.manifests.layers import Desired
from agent.manifests.ownership import Owner
from agent.manifests.references import Reference
from agent.values.errors import (
    AgentError,
    StoreDeniedError,
    StoreNotFoundError,
    StoreUnavailableError,
    UnknownStoreError,
)
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import ApplicationId, ObjectId
from agent.values.secret import Secret
from agent.values.tree import Object, get_object

KEY = ObjectId("", "Secret", "shop", "db")
MAYBE = Reference("main", "secret/shop/db", "maybe", optional=True)
TREE: Object = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "db", "namespace": "shop"},
    "stringData": {"maybe": str(MAYBE), "more": "1"},
}


def finished(answer: AgentError) -> Object:
    key = Secret(b"k" * 32, "test")
    assembler = Assembler(
        Owner("i", ApplicationId("shop", "app", "uid")),
        Fingerprinter.derive(key, "owner"),
        Fingerprinter.derive(key, "applied"),
        lambda: 0.0,
    )
    item = Desired(KEY, "v1", TREE, ())
    return get_object(assembler.build(item, TREE, {MAYBE: answer}, desired_digest="r", roll="").tree, "data")


def test_a_value_that_is_not_there_is_left_out():
    assert set(finished(StoreNotFoundError("nothing is stored at this path"))) == {"more"}


@pytest.mark.parametrize("kind", [StoreDeniedError, UnknownStoreError, StoreUnavailableError])
def test_a_value_that_cannot_be_read_holds_its_object(kind: type[AgentError]):
    with pytest.raises(kind):
        finished(kind("refused"))
