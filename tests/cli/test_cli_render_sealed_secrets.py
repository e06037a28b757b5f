"""SealedSecrets in a work tree, as the agent has them: objects like any other, or the Secrets that it makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from testbed import sealing

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

    from testbed.sealing import SealingPair

CANARY = "canary-of-sealed-4711"
OPERATOR = {"sealedSecrets": {"keys": [{"secretName": "sealing-key"}], "namespaces": ["shop"]}}


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> SealingPair:
    return sealing.pair(tmp_path_factory.mktemp("sealing"), "sealing-key")


@pytest.fixture
def tree(shell: Shell, pair: SealingPair, kubeseal: Path) -> Shell:
    def sealed(name: str, *flags: str) -> str:
        metadata = {"name": name, "namespace": "shop"}
        plain = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": CANARY}}
        return pair.seal(json.dumps(plain), *flags, program=kubeseal)

    shell.write("db.yaml", sealed("db"))
    shell.write("wide.yaml", sealed("wide", "--scope", "cluster-wide"))
    shell.write("../key.pem", pair.key)
    shell.write("../operator.yaml", json.dumps(OPERATOR))
    return shell


def rendered(shell: Shell, *arguments: str, code: int = 0) -> tuple[dict[str, dict], str]:
    result = shell.agent("render", "-n", "shop", "-o", "json", *arguments)
    assert result.code == code, result.err
    assert CANARY not in result.err
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in json.loads(result.out)["items"]}, result.err


def test_without_the_operator_s_file_they_are_what_they_are(tree: Shell) -> None:
    found, messages = rendered(tree)
    assert set(found) == {"SealedSecret/db", "SealedSecret/wide"}
    assert "its scope is a guess" in messages


def test_the_operator_s_file_says_that_the_agent_unseals(tree: Shell) -> None:
    found, messages = rendered(tree, "--operator-file", "../operator.yaml", code=1)
    assert found["Secret/db"]["data"] == {"password": "<secret sealed-secret:shop/db#password>"}
    assert set(found) == {"Secret/db"}
    assert "Secret shop/wide: cluster-wide values are not unsealed" in messages
    tree.write(
        "../operator.yaml", json.dumps({"sealedSecrets": {**OPERATOR["sealedSecrets"], "namespaces": ["other"]}})
    )
    assert set(rendered(tree, "--operator-file", "../operator.yaml")[0]) == {"SealedSecret/db", "SealedSecret/wide"}


def test_what_opens_with_the_user_s_keys(tree: Shell) -> None:
    verified = tree.agent("render", "-n", "shop", "--verify", "--sealing-key", "../key.pem")
    assert verified.code == 0
    assert CANARY.encode() not in verified.out
    revealed, _ = rendered(tree, "--reveal", "--force", "--sealing-key", "../key.pem")
    assert {key: item["data"]["password"] for key, item in revealed.items()} == dict.fromkeys(
        ["Secret/db", "Secret/wide"], "Y2FuYXJ5LW9mLXNlYWxlZC00NzEx"
    )


def test_what_does_not_open_is_reported_by_file_and_object(tree: Shell, pair: SealingPair) -> None:
    _, messages = rendered(tree, "--verify", "--operator-file", "../operator.yaml", code=1)
    assert "db.yaml: Secret shop/db: spec.encryptedData.password: there is no sealing key" in messages
    other = sealing.pair(pair.folder, "other")
    tree.write("../other.pem", other.key)
    found, messages = rendered(tree, "--verify", "--sealing-key", "../other.pem", code=1)
    assert found == {}
    assert "db.yaml: Secret shop/db: spec.encryptedData.password: no sealing key opens a value" in messages
