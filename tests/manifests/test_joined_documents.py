"""A file of documents that were encrypted one by one, as the agent takes it."""

from __future__ import annotations

import os

import pytest

from agent.manifests import documents, resolve
from agent.manifests.documents import File
from agent.sops.files import encrypt, sealed
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import AgeKey
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import Selection
from agent.sops.stores import named
from agent.values.errors import MacMismatchError
from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.values.tree import get

KEYS = {name: Secret(os.urandom(32), name) for name in ("one", "two")}
METADATA = Metadata(
    WrappedDataKey(((AgeKey("age1x", "-----BEGIN AGE ENCRYPTED FILE-----\n"),),)),
    Selection("encrypted_regex", "^(data|stringData)$"),
)


def secret(name: str, kind: str = "Secret") -> bytes:
    return f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\nstringData:\n  a: {name}\n".encode()


def encrypted(name: str) -> bytes:
    made = encrypt.encrypt(
        named("yaml").parse_plain(secret(name), file=name),
        METADATA,
        KEYS[name],
        file=name,
        random_bytes=os.urandom,
        lastmodified="2026-01-01T00:00:00Z",
    )
    return named("yaml").emit(made)


CLEAR = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: clear\ndata: {}\nlater: on\n"


def parsed(*texts: bytes) -> documents.ParsedFile:
    return documents.parse_file(File("all.yaml", "0", b"---\n".join(texts), 0))


def test_each_part_has_its_key_and_its_mac() -> None:
    file = parsed(encrypted("one"), encrypted("two"))
    assert file.sealed is not None
    first, second = file.sealed.parts
    values = sealed.unseal(first, KEYS["one"]) | sealed.unseal(second, KEYS["two"])
    trees = [resolve.unseal(document.tree, values) for document in file.documents]
    found = [get(tree, "stringData", "a") for tree in trees]
    assert [reveal(value) for value in found if isinstance(value, Secret)] == ["one", "two"]
    assert all(document.sealed and document.error is None for document in file.documents)


def test_a_clear_document_is_what_kubectl_reads() -> None:
    for texts in ((CLEAR, encrypted("one")), (encrypted("one"), CLEAR)):
        file = parsed(*texts)
        clear = next(document for document in file.documents if not document.sealed)
        assert clear.error is None
        assert clear.tree["later"] is True
        assert [document.sealed for document in file.documents].count(True) == 1
        assert file.sealed is not None
        assert len(file.sealed.parts) == 1


@pytest.mark.parametrize("which", [0, 1])
def test_a_part_that_was_altered_does_not_open(which: int) -> None:
    texts = [encrypted("one"), encrypted("two")]
    texts[which] = texts[which].replace(b"kind: Secret", b"kind: Other")
    file = parsed(*texts)
    assert file.sealed is not None
    with pytest.raises(MacMismatchError):
        sealed.unseal(file.sealed.parts[which], KEYS["one" if which == 0 else "two"])
    sealed.unseal(file.sealed.parts[1 - which], KEYS["two" if which == 0 else "one"])
