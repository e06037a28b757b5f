"""A folder of SealedSecrets, the controller's key outside it, and what sops opens of the result."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from agent.yaml.read import manifests
from testbed import sealing

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Result, Shell

    from testbed.sealing import SealingPair

PASSWORD, TEXT, RAW = "canary-hunter2", "canary line 1\n  canary: line 2\n", b"canary-\x00\xff\xfe"
CANARIES = ("canary", base64.b64encode(PASSWORD.encode()).decode(), base64.b64encode(RAW).decode())
CONFIG_MAP = """\
# not ours
apiVersion: v1
kind:   ConfigMap
metadata: {name: other}
data: {"mode": 'fast'}
"""


def plain(name: str = "db", namespace: str | None = "shop", **more: object) -> str:
    metadata = {"name": name, "labels": {"team": "a"}, "annotations": {"note": "kept"}}
    if namespace is not None:
        metadata["namespace"] = namespace
    data = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "example.com/kind",
        "immutable": True,
        "stringData": {"password": PASSWORD, "text": TEXT, "empty": "", "number": "0123"},
        "data": {"raw": base64.b64encode(RAW).decode()},
    }
    return json.dumps({**data, **more})


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> SealingPair:
    return sealing.pair(tmp_path_factory.mktemp("sealing"), "current")


class Repository:
    """A folder with SealedSecrets, the controller's key outside of it, and a `.sops.yaml`."""

    def __init__(self, shell: Shell, pair: SealingPair, kubeseal: Path) -> None:
        self.shell = shell
        self.pair = pair
        self.kubeseal = kubeseal
        shell.write(".sops.yaml", f"creation_rules:\n  - age: {shell.recipient}\n")
        self.key = str(shell.write("../keys.yaml", json.dumps(pair.manifest)))

    def seal(self, manifest: str, *flags: str) -> str:
        return self.pair.seal(manifest, *flags, program=self.kubeseal)

    def migrate(self, *arguments: str, stdin: bytes = b"") -> Result:
        result = self.shell.agent("migrate", "sealed-secrets", "--sealing-key", self.key, *arguments, stdin=stdin)
        shown = result.out.decode() + result.err
        assert not [canary for canary in CANARIES if canary in shown]
        for path in self.shell.folder.rglob("*"):
            if path.is_file():
                assert not [canary for canary in CANARIES if canary.encode() in path.read_bytes()], path
        return result

    def files(self) -> dict[str, str]:
        root = self.shell.folder
        found = sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".sops.yaml")
        return {str(path.relative_to(root)): path.read_text() for path in found}

    def secrets(self, name: str) -> list[dict[str, object]]:
        """What sops opens, with all values in `data`."""
        done = self.shell.sops("decrypt", name)
        assert done.code == 0, done.err
        trees = [document.tree for document in manifests.parse(done.out, file=name)]
        return [merged(tree) for tree in trees if isinstance(tree, dict)]


def merged(tree: object) -> dict[str, object]:
    """A Secret as the API server keeps it."""
    assert isinstance(tree, dict)
    texts = {key: base64.b64encode(text.encode()).decode() for key, text in (tree.get("stringData") or {}).items()}
    rest = {key: value for key, value in tree.items() if key not in {"stringData", "data"}}
    return {**rest, "data": {key: value or "" for key, value in {**(tree.get("data") or {}), **texts}.items()}}


@pytest.fixture
def repository(shell: Shell, pair: SealingPair, kubeseal: Path) -> Repository:
    return Repository(shell, pair, kubeseal)


def manifest(sealed: str) -> object:
    return manifests.parse(sealed.encode(), file="")[0].tree
