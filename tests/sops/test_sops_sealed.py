"""A sealed file: manifests before there is any key, and what its values are once there is one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from sops_documents import DOCUMENTS, NOW, SELECTIONS, TREES, ours

from agent.sops.files import sealed
from agent.sops.format.groups import unwrap_data_key
from agent.sops.format.selection import Selection
from agent.values.errors import DataKeyError, SopsFormatError
from agent.values.reveal import reveal
from agent.values.secret import Sealed, Secret
from agent.values.tree import map_leaves, walk
from agent.yaml.read import manifests

if TYPE_CHECKING:
    from conftest import Sops

    from agent.sops.files.sealed import SealedFile
    from agent.values.tree import Leaf, Path, Tree


def opened(sops: Sops, file: SealedFile) -> list[Tree]:
    """The documents with every leaf in the clear."""
    values = sealed.unseal(file.parts[0], unwrap_data_key(file.parts[0].metadata.data_key, sops.keys, file=file.file))

    def clear(_: Path, leaf: Leaf) -> Leaf:
        return reveal(values[leaf.id]) if isinstance(leaf, Sealed) else leaf  # pyright: ignore[reportReturnType]

    return [map_leaves(document, clear) for document in file.documents]


@pytest.mark.parametrize("selection", [SELECTIONS[0], SELECTIONS[1]], ids=["all", "some"])
@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "scalars.yaml"])
def test_a_file_means_what_kubectl_reads_of_what_sops_prints(sops: Sops, name: str, selection: Selection) -> None:
    data = ours(sops, DOCUMENTS[name], name, selection)
    printed = manifests.parse(sops.decrypt(data, name), file=name)
    file = sealed.open_file(data, file=name)
    assert file is not None
    assert opened(sops, file) == [document.tree for document in printed]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(tree=TREES.filter(lambda tree: isinstance(tree, dict) and bool(tree)))
def test_any_file_means_what_kubectl_reads_of_what_sops_prints(sops: Sops, tree: dict[str, Any]) -> None:
    data = ours(sops, json.dumps(tree, ensure_ascii=False).encode(), "any.yaml", Selection())
    file = sealed.open_file(data, file="any.yaml")
    assert file is not None
    printed = manifests.parse(sops.decrypt(data, "any.yaml"), file="any.yaml")
    assert json.dumps(opened(sops, file)) == json.dumps([document.tree for document in printed])


def test_values_keep_their_types_and_times_are_text(sops: Sops) -> None:
    text = b"s: a\ni: 5\nf: 1.5\nwhole: 2.0\nb: true\nt: 2024-01-02\nraw: !!binary /////w==\nl: [x]\n"
    file = sealed.open_file(ours(sops, text, "types.yaml", Selection()), file="types.yaml")
    assert file is not None
    values = sealed.unseal(file.parts[0], unwrap_data_key(file.parts[0].metadata.data_key, sops.keys, file=file.file))
    found = {secret.label.removeprefix("sops:types.yaml#"): reveal(secret) for secret in values.values()}
    assert found == {
        "s": "a",
        "i": 5,
        "f": 1.5,
        "whole": 2,
        "b": True,
        "t": "2024-01-02T00:00:00Z",
        "raw": b"\xff\xff\xff\xff",
        "l[0]": "x",
    }
    types = [leaf.type for document in file.documents for _, leaf in walk(document) if isinstance(leaf, Sealed)]
    assert types == ["str", "int", "float", "float", "bool", "time", "str", "str"]


def test_ids_name_one_ciphertext_in_one_place(sops: Sops) -> None:
    data = ours(sops, b"a: x\nl: [x, x]\n---\na: x\n", "ids.yaml", Selection())
    one, again = sealed.open_file(data, file="ids.yaml"), sealed.open_file(data, file="ids.yaml")
    moved = sealed.open_file(data, file="other.yaml")
    assert one
    assert again
    assert moved
    assert one.ids == again.ids
    assert len(set(one.ids)) == 4
    assert not set(one.ids) & set(moved.ids)
    changed = sealed.open_file(ours(sops, b"a: x\nl: [x, x]\n---\na: x\n", "ids.yaml", Selection()), file="ids.yaml")
    assert changed
    assert not set(one.ids) & set(changed.ids)


def test_nothing_of_a_sealed_file_needs_a_key(sops: Sops) -> None:
    data = ours(sops, DOCUMENTS["manifest.yaml"], "m.yaml", Selection("encrypted_regex", "^stringData$"))
    file = sealed.open_file(data, file="m.yaml")
    assert file is not None
    assert file.documents[0]["kind"] == "Secret"
    assert file.lines == (1,)
    assert file.documents[0]["stringData"] == {
        "password": Sealed(file.ids[0], "sops:m.yaml#stringData.password", "str"),
        "port": Sealed(file.ids[1], "sops:m.yaml#stringData.port", "str"),
    }
    assert hash(file.parts[0].metadata.data_key)
    assert file.parts[0].metadata.lastmodified == NOW


def test_empty_documents_are_left_out(sops: Sops) -> None:
    file = sealed.open_file(ours(sops, b"# nothing\n---\na: 1\n---\n", "e.yaml", Selection()), file="e.yaml")
    assert file is not None
    assert [list(document) for document in file.documents] == [["a"]]


def test_a_wrong_data_key_opens_nothing(sops: Sops) -> None:
    file = sealed.open_file(ours(sops, b"a: 1\n", "k.yaml", Selection()), file="k.yaml")
    assert file is not None
    with pytest.raises(DataKeyError):
        sealed.unseal(file.parts[0], Secret(b"short", "short"))


@pytest.mark.parametrize("number", [b".inf", b"-.inf", b".nan"])
def test_a_number_that_json_does_not_have_is_refused(sops: Sops, number: bytes) -> None:
    file = sealed.open_file(ours(sops, b"a: " + number, "n.yaml", Selection()), file="n.yaml")
    assert file is not None
    data_key = unwrap_data_key(file.parts[0].metadata.data_key, sops.keys, file="n.yaml")
    with pytest.raises(SopsFormatError):
        sealed.unseal(file.parts[0], data_key)
    with pytest.raises(SopsFormatError):
        sealed.open_file(ours(sops, b"a: " + number, "n.yaml", Selection("encrypted_regex", "^b$")), file="n.yaml")


def test_a_key_that_stands_twice_is_refused(sops: Sops) -> None:
    data = ours(sops, b'{"a": "x", "b": {"c": 1, "c": 2}}', "twice.json", Selection())
    with pytest.raises(SopsFormatError) as caught:
        sealed.open_file(data, file="twice.json")
    assert caught.value.facts["field"] == "b.c"
