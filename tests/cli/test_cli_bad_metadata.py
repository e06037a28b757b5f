"""Metadata and rules of wrong types everywhere: an error with a cause and a hint, or what was encrypted; nothing in between."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from refusals import OTHER, PLAIN, Sealed, Witness, commands, covered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Shell

    Path = tuple[str | int, ...]

WHEN = "2024-01-01T00:00:00Z"
KEYS: dict[str, dict[str, Any]] = {
    "pgp": {
        "created_at": WHEN,
        "enc": "-----BEGIN PGP MESSAGE-----\n\nhF4D\n-----END PGP MESSAGE-----",
        "fp": "85D77543B3D624B6",
    },
    "hc_vault": {
        "vault_address": "http://127.0.0.1:1",
        "engine_path": "transit",
        "key_name": "k",
        "created_at": WHEN,
        "enc": "vault:v1:abcd",
    },
    "azure_kv": {"vault_url": "no address", "name": "k", "version": "1", "created_at": WHEN, "enc": "abcd"},
    "kms": {"arn": "no arn", "created_at": WHEN, "enc": "AQIC", "aws_profile": "", "context": {"a": "b"}, "role": ""},
    "gcp_kms": {"resource_id": "no key", "created_at": WHEN, "enc": "CiQA"},
    "hckms": {"key_id": "r:u", "created_at": WHEN, "enc": "x"},
}
"""Keys of every kind, none of which leads to a server."""

RULES: dict[str, Any] = {
    "creation_rules": [
        {
            "path_regex": r"^none\.",
            "age": [OTHER],
            "encrypted_regex": "^n$",
            "shamir_threshold": 2,
            "mac_only_encrypted": True,
            "aws_profile": "x",
            "key_groups": [
                {
                    "age": [OTHER],
                    "pgp": ["85D77543B3D624B63CEA9E6DBC17301B491B3F21"],
                    "kms": [{"arn": "arn", "role": "r", "context": {"a": "b"}, "aws_profile": "p"}],
                    "gcp_kms": [{"resource_id": "projects/p"}],
                    "azure_keyvault": [{"vaultUrl": "https://127.0.0.1:1", "key": "k", "version": "1"}],
                    "hc_vault": ["http://127.0.0.1:1/v1/transit/keys/k"],
                    "hckms": [{"key_id": "a:b"}],
                    "merge": [{"age": [OTHER]}],
                },
                {"age": [OTHER]},
            ],
        },
        {
            "age": OTHER,
            "pgp": "",
            "kms": "",
            "gcp_kms": "",
            "azure_keyvault": "",
            "hc_vault_transit_uri": "",
            "hckms": [],
        },
    ],
    "stores": {"yaml": {"indent": 2}, "json": {"indent": 2}, "json_binary": {"indent": 1}},
}

WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 300),
    st.just(2**70),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.sampled_from(
        [[], {}, [[]], [{}], {"a": 1}, [None], {"": ""}, "x" * 5000, WHEN, "ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]"]
    ),
    st.sampled_from(
        ["-----BEGIN AGE ENCRYPTED FILE-----\n", "age1qqqq", "ssh-rsa AAAA", "AGE-SECRET-KEY-1", "%s", "../..", "0"]
    ),
)
LAW = settings(
    max_examples=250,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def sealed() -> Sealed:
    return Sealed()


@pytest.fixture
def witness(shell: Shell, sealed: Sealed) -> Witness:
    shell.env("GNUPGHOME", str(shell.folder.parent / "home"))
    (shell.folder.parent / "home").chmod(0o700)
    return Witness(shell, sealed)


def paths(node: object, path: Path = ()) -> Iterator[Path]:
    yield path
    children: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


def replaced(node: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(node)
    node[path[0]] = replaced(node[path[0]], path[1:], change)
    return node


@st.composite
def spoilt(draw: st.DrawFn, tree: Any) -> Any:
    """A tree in which one or two nodes are gone, of another type, or joined by what does not belong there."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(paths(tree))))
        wrong = copy.deepcopy(draw(WRONG))
        match draw(st.sampled_from(["replace", "remove", "add"])) if path else "replace":
            case "remove":
                tree = replaced(tree, path[:-1], lambda node, gone=path[-1]: _without(node, gone))
            case "add":
                tree = replaced(tree, path, lambda node, new=wrong: _with(node, new))
            case _:
                tree = replaced(tree, path, lambda _, new=wrong: new)
    return tree


def _without(node: Any, key: object) -> Any:
    if isinstance(node, dict):
        return {name: value for name, value in node.items() if name != key}  # pyright: ignore[reportUnknownVariableType]
    return [value for index, value in enumerate(node) if index != key]


def _with(node: Any, wrong: object) -> Any:
    if isinstance(node, dict):
        return node | {str(wrong): wrong}  # pyright: ignore[reportUnknownVariableType]
    return [*node, wrong] if isinstance(node, list) else [node, wrong]  # pyright: ignore[reportUnknownVariableType]


@st.composite
def metadata(draw: st.DrawFn, genuine: dict[str, Any]) -> Any:
    tree: dict[str, Any] = copy.deepcopy(genuine)
    for kind in draw(st.sets(st.sampled_from(sorted(KEYS)), max_size=3)):
        tree[kind] = [copy.deepcopy(KEYS[kind])]
    if draw(st.booleans()):
        group = {kind: tree.pop(kind) for kind in ("age", *KEYS) if kind in tree}
        tree["key_groups"] = [group, {"age": []}][: draw(st.integers(1, 2))]
        tree["shamir_threshold"] = draw(st.integers(0, 3))
    return draw(spoilt(tree))


_TRIED = [
    "decrypt",
    "set",
    "rotate",
    "updatekeys",
    "groups add",
    "groups delete",
    "filestatus",
    "verify",
    "textconv",
    "exec-file",
]


@pytest.mark.parametrize("name", ["s.yaml", "s.json"])
def test_metadata_of_wrong_types_opens_nothing_else(witness: Witness, name: str) -> None:
    genuine = yaml.safe_load(witness.sealed.files[name])

    @seed(20261123)
    @LAW
    @given(st.data())
    def law(data: st.DataObject) -> None:
        document = {**genuine, "sops": data.draw(metadata(genuine["sops"]))}
        text = yaml.safe_dump(document, sort_keys=False) if name == "s.yaml" else json.dumps(document)
        witness.shell.write(name, text)
        witness.run(*commands(name)[data.draw(st.sampled_from(_TRIED))])
        witness.shell.write(name, text)
        done = witness.run("decrypt", name)
        assert done.code != 0 or covered(done.out, name) == covered(PLAIN[name], name)

    law()


@pytest.mark.parametrize("name", ["s.env", "s.ini"])
def test_flat_metadata_that_does_not_fit_opens_nothing_else(witness: Witness, name: str) -> None:
    text = witness.sealed.files[name].decode()
    lines = text.splitlines(keepends=True)
    fields = [
        line for line in lines if line.startswith(("sops_", "age__", "mac", "lastmodified", "version", "unencrypted_"))
    ]
    assert len(fields) >= 5

    @seed(20261123)
    @LAW
    @given(st.data())
    def law(data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(fields))
        name_of, _, value = line.partition("=")
        step = data.draw(
            st.sampled_from(
                ["__map_", "__list_", "__list_0", "__list_99999999999999999999", "__list_-1", "x", "__map_" * 200, ""]
            )
        )
        wrong = data.draw(
            st.sampled_from([value, "", "\n", "x\n", "ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\n", "-1\n", "\x00\n"])
        )
        at = data.draw(st.integers(0, len(name_of)))
        new = f"{name_of[:at]}{step}{name_of[at:]}={wrong}"
        changed = text.replace(line, new + data.draw(st.sampled_from(["", line])))
        witness.shell.write(name, changed)
        done = witness.run("decrypt", name)
        assert done.code != 0 or covered(done.out, name) == covered(PLAIN[name], name)
        witness.run(*commands(name)[data.draw(st.sampled_from(_TRIED))])

    law()


@pytest.mark.parametrize("command", ["encrypt", "edit", "updatekeys", "verify", "rotate", "set"])
def test_rules_of_wrong_types_are_refused_or_make_what_opens(witness: Witness, command: str) -> None:
    name = "s.yaml"

    @seed(20261123)
    @LAW
    @given(spoilt(RULES))
    def law(rules: Any) -> None:
        witness.shell.write(".sops.yaml", yaml.safe_dump(rules, sort_keys=False))
        witness.shell.write(name, PLAIN[name] if command == "encrypt" else witness.sealed.files[name])
        if command == "edit":
            (witness.shell.folder / name).unlink()
        done = witness.run(*commands(name)[command])
        if command == "encrypt" and done.code == 0:
            assert b"\nsops:\n" in done.out
            assert b"canary-of-text" not in done.out or b"_regex: " in done.out or b"_suffix: " in done.out

    law()
