"""What a renderer sees of a SOPS file, beside what sops prints of it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import HealthCheck, given, settings
from sops_documents import DOCUMENTS, FLAT, SELECTIONS, TREES, assert_same, ours

from agent.sops import stores
from agent.sops.files import presented, sealed
from agent.sops.format.groups import unwrap_data_key
from agent.sops.format.selection import Selection
from agent.values import placeholders
from agent.values.errors import AgentError, MacMismatchError, PlaceholderError, SopsFormatError
from agent.values.expressions import Evaluation, Expression
from agent.values.reveal import reveal
from agent.values.secret import Sealed, Secret
from agent.values.tree import map_leaves
from agent.yaml.read import manifests

if TYPE_CHECKING:
    from conftest import Sops

    from agent.sops.files.presented import Presented
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Leaf, Tree

FILES = {**DOCUMENTS, **FLAT}
NOT_YAML_TO_ALL = {"scalars.yaml"}
"""sops prints infinities, which JSON does not have."""


def by_leaves(data: bytes, name: str) -> Presented:
    found = presented.by_leaves(data, file=name)
    assert found is not None
    return found


def data_keys(sops: Sops, file: Presented) -> list[Secret]:
    return [unwrap_data_key(part.metadata.data_key, sops.keys, file=file.file) for part in file.sealed.parts]


def values(sops: Sops, file: Presented) -> dict[Placeholder, Secret]:
    """What each placeholder of a file stands for."""
    opened: dict[str, Secret] = {}
    for part, key in zip(file.sealed.parts, data_keys(sops, file), strict=True):
        opened |= sealed.unseal(part, key)
    leaves = {token: opened[leaf.id] for token, leaf in file.sources.items() if isinstance(leaf, Sealed)}
    known = {token: leaf for token, leaf in file.sources.items() if isinstance(leaf, Expression)}
    evaluation = Evaluation(known, leaves, lambda: 0.0, 1.0)
    return {**leaves, **{token: evaluation.value(each) for token, each in known.items()}}


def put_in(tree: Tree, found: dict[Placeholder, Secret]) -> Tree:
    def leaf(_: object, value: Leaf) -> Leaf:
        return reveal(found[cast("Placeholder", value)]) if isinstance(value, str) and value in found else value  # pyright: ignore[reportReturnType]

    return map_leaves(tree, leaf)


@pytest.mark.parametrize("selection", SELECTIONS[:5], ids=["all", "some", "not", "suffix", "not-suffix"])
@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name not in NOT_YAML_TO_ALL])
def test_values_in_the_places_of_their_placeholders_are_what_sops_prints(
    sops: Sops, name: str, selection: Selection
) -> None:
    data = ours(sops, DOCUMENTS[name], name, selection)
    file = by_leaves(data, name)
    assert b"ENC[" not in file.data
    printed = manifests.parse(sops.decrypt(data, name), file=name)
    found = values(sops, file)
    shown = [put_in(document.tree, found) for document in manifests.parse(file.data, file=name)]
    assert shown == [document.tree for document in printed]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(tree=TREES.filter(lambda tree: isinstance(tree, dict) and bool(tree)))
def test_so_it_is_of_any_file(sops: Sops, tree: dict[str, object]) -> None:
    data = ours(sops, json.dumps(tree, ensure_ascii=False).encode(), "any.yaml", Selection())
    file = by_leaves(data, "any.yaml")
    [shown] = manifests.parse(file.data, file="any.yaml") or [None]
    [printed] = manifests.parse(sops.decrypt(data, "any.yaml"), file="any.yaml") or [None]
    assert shown is not None
    assert printed is not None
    assert json.dumps(put_in(shown.tree, values(sops, file))) == json.dumps(printed.tree)


def text_with(sops: Sops, file: Presented) -> str:
    text = file.data.decode("utf-8", "surrogateescape")
    for token, value in values(sops, file).items():
        plain = reveal(value)
        text = text.replace(token, plain.decode("utf-8", "surrogateescape") if isinstance(plain, bytes) else str(plain))
    return text


@pytest.mark.parametrize(
    ("selection", "count"), [(Selection(), 6), (Selection("encrypted_regex", "^(LINES|A)$"), 2)], ids=["all", "some"]
)
def test_lines_of_an_env_file_are_those_that_sops_prints_and_a_reader_of_lines_takes(
    sops: Sops, selection: Selection, count: int
) -> None:
    """Readers of lines, such as kustomize, take a carriage return for a part of the line's end."""
    plain = b"# head\nA=1\nB= spaced\nLINES=one\\ntwo\nEMPTY=\nEQUALS=a=b\nCR=x\r\nUNI=\xc3\xa9\n"
    data = ours(sops, plain, "values.env", selection)
    file = by_leaves(data, "values.env")
    shown = text_with(sops, file).splitlines()
    printed = sops.decrypt(data, "values.env").decode().splitlines()
    assert [line for line in shown if line[0] != "#"] == [line for line in printed if line[0] != "#"]
    assert file.data.count(placeholders.START.encode()) == count


def test_ini_files_and_binary_ones_have_placeholders_too(sops: Sops) -> None:
    data = ours(sops, b"[db]\nuser = u\npassword = p\n", "values.ini", Selection("encrypted_regex", "^password$"))
    assert text_with(sops, by_leaves(data, "values.ini")).split() == ["[db]", "user", "=", "u", "password", "=", "p"]
    data = ours(sops, b"key\xff\x00", "tls.key", Selection())
    assert text_with(sops, by_leaves(data, "tls.key")) == "key\udcff\x00"


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_is_one_placeholder_for_what_sops_prints(sops: Sops, name: str) -> None:
    data = ours(sops, FILES[name], name, Selection())
    file = presented.whole(data, "b10b", file=name)
    assert file is not None
    [(token, leaf)] = file.sources.items()
    assert file.data == token.encode()
    assert leaf == Sealed(token, f"sops:{name}", "file")
    opened = reveal(presented.printed(file, data_keys(sops, file)))
    assert_same(opened.encode() if isinstance(opened, str) else bytes(cast("bytes", opened)), sops.decrypt(data, name))


def test_a_whole_file_moves_with_its_blob_and_its_path(sops: Sops) -> None:
    data = ours(sops, b"a: 1\n", "a.yaml", Selection())
    found = [
        presented.whole(data, blob, file=name) for blob, name in [("1", "a.yaml"), ("2", "a.yaml"), ("1", "b.yaml")]
    ]
    assert len({file.data for file in found if file is not None}) == 3


def test_a_placeholder_is_that_of_its_ciphertext_wherever_the_file_is_read(sops: Sops) -> None:
    data = ours(sops, b"a: x\nb: x\n", "a.yaml", Selection())
    once = by_leaves(data, "a.yaml")
    assert once.data == by_leaves(data, "a.yaml").data
    assert len(once.sources) == 2
    assert not {*once.sources} & {*by_leaves(ours(sops, b"a: x\nb: x\n", "a.yaml", Selection()), "a.yaml").sources}
    assert not {*once.sources} & {*by_leaves(data, "b.yaml").sources}


@pytest.mark.parametrize("read", [presented.by_leaves, lambda data, file: presented.whole(data, "b", file=file)])
@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.env", "a.ini", "a.toml", "tls.key"])
@pytest.mark.parametrize("data", [b"", b"sops = 1\n", b"\xff\x00sops: {}\n", b"key: value\n"])
def test_a_clear_file_is_none(read, name: str, data: bytes) -> None:
    assert read(data, file=name) is None


@pytest.mark.parametrize("read", [presented.by_leaves, lambda data, file: presented.whole(data, "b", file=file)])
def test_a_file_whose_metadata_was_cut_out_is_an_error(sops: Sops, read) -> None:
    data = ours(sops, b"a: x\nb: y\n", "a.yaml", Selection())
    with pytest.raises(SopsFormatError):
        read(data.partition(b"sops:")[0], file="a.yaml")


def test_what_was_altered_opens_to_nothing(sops: Sops) -> None:
    data = ours(sops, b"a: x\nb: 1\n", "a.yaml", Selection("encrypted_regex", "^a$"))
    altered = data.replace(b"b: 1", b"b: 2")
    file = presented.whole(altered, "b", file="a.yaml")
    assert file is not None
    with pytest.raises(MacMismatchError):
        presented.printed(file, data_keys(sops, file))
    with pytest.raises(MacMismatchError):
        values(sops, by_leaves(altered, "a.yaml"))


@pytest.mark.parametrize(
    "line",
    ["clear: {token}", "clear: a{token}b", "{token}: a", "# {token}", "clear: {half}", "clear: {other}"],
)
def test_clear_text_of_the_file_forges_no_placeholder(sops: Sops, line: str) -> None:
    data = ours(sops, b"a: x\nclear: z\n", "a.yaml", Selection("encrypted_regex", "^a$"))
    [token] = by_leaves(data, "a.yaml").sources
    text = line.format(token=token, half=token[:20], other=placeholders.of("sops", "o"))
    with pytest.raises(PlaceholderError) as caught:
        presented.by_leaves(data.replace(b"clear: z", text.encode()), file="a.yaml")
    assert caught.value.facts["file"] == "a.yaml"


def test_clear_documents_beside_encrypted_ones_are_what_kubectl_reads(sops: Sops) -> None:
    sealed_ = ours(sops, b"apiVersion: v1\nkind: Secret\nstringData: {a: x}\n", "a.yaml", SELECTIONS[1])
    clear = b"# first\napiVersion: v1\nkind: ConfigMap\ndata: {a: 'yes', b: \"\\u00e9\"}\nspec: {on: yes, n: 0o17, m: 1_000}\n"
    for data in (sealed_ + b"---\n" + clear, clear + b"---\n" + sealed_):
        file = by_leaves(data, "a.yaml")
        shown = [document.tree for document in manifests.parse(file.data, file="a.yaml")]
        [wanted] = [document.tree for document in manifests.parse(clear, file="a.yaml")]
        assert wanted in shown
        assert len(shown) == 2
        assert len(file.sources) == 1


def test_encrypted_comments_are_not_shown(sops: Sops) -> None:
    data = ours(sops, b"# canary\na: x\nl:\n  # canary\n  - y\n", "a.yaml", Selection())
    assert b"ENC[" in data.split(b"\n")[0]
    assert b"ENC[" not in by_leaves(data, "a.yaml").data


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.env", "a.ini", "a.key"])
def test_damage_is_an_agent_error_or_nothing(sops: Sops, name: str) -> None:
    store = stores.of(name)
    plain = {"a.json": b'{"a": "x"}', "a.yaml": b"a: x\n", "a.ini": b"[s]\na = x\n"}.get(name, b"a=x\n")
    data = ours(sops, plain, name, Selection())
    for number in range(60):
        cut = int.from_bytes(hashlib.sha256(b"%d" % number).digest()[:4], "big") % len(data)
        for damaged in (data[:cut], data[:cut] + b"\x00" + data[cut + 1 :], data[cut:]):
            for read in (
                presented.by_leaves,
                lambda data, file, store: presented.whole(data, "b", file=file, store=store),
            ):
                try:
                    read(damaged, file=name, store=store)
                except AgentError:
                    continue
