"""Laws of a file that is encrypted again: what is equal in the same place keeps its ciphertext, and every such file is sound."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sops_documents import DOCUMENTS, FLAT, KEYS, NOW, SELECTIONS, TREES, ours

from agent.sops import stores
from agent.sops.files import decrypt, encrypt, verify
from agent.sops.format import cipher
from agent.sops.format.groups import WrappedDataKey, unwrap_data_key
from agent.sops.format.keys import AgeKey
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import EVERYTHING, Selection
from agent.sops.stores import named
from agent.values.dataclass import replace
from agent.values.secret import Secret
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Sops

KEY = Secret(bytes(range(32)), "data key")
WRAPPED = WrappedDataKey.one_group(AgeKey("age1x", "enc"))


def read(data: bytes, name: str) -> decrypt.EncryptedFile:
    return decrypt.read(data, file=name, store=stores.of(name))


def sealed(documents: list[Mapping], selection: Selection, ivs: decrypt.Ivs | None = None) -> decrypt.EncryptedFile:
    made = encrypt.encrypt(
        documents,
        Metadata(WRAPPED, selection),
        KEY,
        file="s.yaml",
        random_bytes=secrets.token_bytes,
        lastmodified=NOW,
        ivs=ivs,
    )
    bare, metadata = stores.split(made, file="s.yaml")
    assert metadata is not None
    return decrypt.EncryptedFile("s.yaml", tuple(bare), metadata)


def leaves(node: Value | Comment) -> Iterator[object]:
    if isinstance(node, Mapping):
        for item in node.items:
            yield from leaves(item.value if isinstance(item, Entry) else item)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from leaves(item)
    else:
        yield node.text if isinstance(node, Comment) else node


@pytest.mark.parametrize("selection", SELECTIONS, ids=[each.selector + each.pattern for each in SELECTIONS])
@pytest.mark.parametrize("name", [*DOCUMENTS, *FLAT])
def test_every_file_is_sound_and_encrypts_to_itself_again(sops: Sops, name: str, selection: Selection) -> None:
    made = read(ours(sops, {**DOCUMENTS, **FLAT}[name], name, selection), name)
    assert verify.structure(made).errors == []
    data_key = unwrap_data_key(made.metadata.data_key, sops.keys, file=name)
    plain = decrypt.decrypt(made, data_key)
    again = encrypt.encrypt(
        plain.documents,
        plain.metadata,
        data_key,
        file=name,
        random_bytes=secrets.token_bytes,
        lastmodified=NOW,
        ivs=plain.ivs,
    )
    # Of the comments that sops keeps in lists as items, decrypting makes comments, which are made items again.
    assert [*leaves(stores.split(again, file=name)[0][0])] == [*leaves(made.documents[0])]


@pytest.mark.parametrize("name", [*DOCUMENTS, *FLAT])
def test_every_file_of_sops_is_sound(sops: Sops, name: str) -> None:
    assert verify.structure(read(sops.encrypt({**DOCUMENTS, **FLAT}[name], name), name)).errors == []


@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=4), st.data())
def test_one_change_changes_one_ciphertext(tree: dict[str, object], data: st.DataObject) -> None:
    [document] = named("json").parse(json.dumps(tree).encode(), file="s.json")
    before = sealed([document], EVERYTHING)
    plain = decrypt.decrypt(before, KEY)
    assert sealed(list(plain.documents), EVERYTHING, plain.ivs).documents == before.documents

    places = [index for index, leaf in enumerate(leaves(document)) if leaf is not None and leaf != ""]
    assume(places)
    place = data.draw(st.sampled_from(places))
    after = sealed([_with(document, place, "changed-canary")], EVERYTHING, plain.ivs)
    old, new = [*leaves(before.documents[0])], [*leaves(after.documents[0])]
    differing = [index for index, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    # Equal items of one list share their place, and the later ones take the turns of the earlier.
    assert place in differing
    was = [*leaves(document)]
    assert all(repr(was[index]) == repr(was[place]) for index in differing)
    assert verify.structure(after).errors == []


def test_equal_items_of_a_list_keep_each_its_own() -> None:
    [document] = named("yaml").parse(b"a: [x, y, x, x]\n", file="s.yaml")
    before = sealed([document], EVERYTHING)
    assert len(set(leaves(before.documents[0]))) == 4
    plain = decrypt.decrypt(before, KEY)
    [longer] = named("yaml").parse(b"a: [x, y, x, x, x, z]\n", file="s.yaml")
    after = [*leaves(sealed([longer], EVERYTHING, plain.ivs).documents[0])]
    assert after[:4] == [*leaves(before.documents[0])]
    assert len(set(after)) == 6


def test_another_data_key_makes_everything_new_with_the_same_ivs() -> None:
    [document] = named("yaml").parse(b"a: x\nb: 1\n", file="s.yaml")
    before = sealed([document], EVERYTHING)
    plain = decrypt.decrypt(before, KEY)
    made = encrypt.encrypt(
        plain.documents,
        replace(plain.metadata),
        Secret(bytes(32), "other"),
        file="s.yaml",
        random_bytes=secrets.token_bytes,
        lastmodified=NOW,
        ivs=plain.ivs,
    )
    assert not set(leaves(stores.split(made, file="s.yaml")[0][0])) & set(leaves(before.documents[0]))
    assert cipher.PREFIX in str(made[0].get("a"))


def _with(node: Value, place: int, value: str) -> Mapping:
    """The document with another value at its place-th leaf."""
    count = -1

    def walk(node: Value | Comment) -> Value | Comment:
        nonlocal count
        if isinstance(node, Mapping):
            return Mapping(tuple(Entry(item.key, walk(item.value)) for item in node.entries()))
        if isinstance(node, Sequence):
            return Sequence(tuple(walk(item) for item in node.items))
        count += 1
        return value if count == place else node

    made = walk(node)
    assert isinstance(made, Mapping)
    return made


def test_ivs_of_another_data_key_are_not_used() -> None:
    """Who made a file chose its ivs: under a key that they do not know, one that they have seen before must not come again."""
    opened = decrypt.decrypt(sealed([Mapping((Entry("a", "x"),))], Selection()), KEY)
    [(_, _, iv)] = opened.ivs.kept
    for key in (KEY, Secret(b"o" * 32, "another one")):
        made = encrypt.encrypt(
            opened.documents,
            opened.metadata,
            key,
            file="s.yaml",
            random_bytes=secrets.token_bytes,
            lastmodified=NOW,
            ivs=opened.ivs,
        )
        value = made[0].get("a")
        assert isinstance(value, str)
        parts = cipher.parse(value)
        assert parts is not None
        assert (parts.iv == iv) is (key is KEY)
