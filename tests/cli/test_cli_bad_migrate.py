"""SealedSecrets and sealing keys that are damaged or of wrong types: nothing is written, nothing is shown in the clear, and the cause is explained."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from test_cli_bad_metadata import spoilt

from testbed import binaries, sealing

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "db", "namespace": "shop"},
    "stringData": {"password": "canary-of-text", "number": "1"},
}


@pytest.fixture(scope="module")
def kubeseal() -> Path:
    return binaries.path("kubeseal")


@pytest.mark.parametrize("what", ["the SealedSecret", "the key"])
def test_what_is_spoilt_is_refused_or_changes_nothing_else(
    shell: Shell, kubeseal: Path, tmp_path_factory: pytest.TempPathFactory, what: str
) -> None:
    pair = sealing.pair(tmp_path_factory.mktemp("sealing"), "current")
    sealed: Any = yaml.safe_load(pair.seal(json.dumps(SECRET), program=kubeseal))
    shell.write(".sops.yaml", json.dumps({"creation_rules": [{"age": shell.recipient}]}))

    @seed(20261123)
    @settings(
        max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(spoilt(sealed if what == "the SealedSecret" else pair.manifest), st.booleans(), st.data())
    def law(tree: Any, damaged: bool, data: st.DataObject) -> None:
        text = yaml.safe_dump(tree, sort_keys=False).encode()
        if damaged:
            at = data.draw(st.integers(0, len(text) - 1))
            text = text[:at] + bytes([text[at] ^ 1 << at % 8]) + text[at + 1 :]
        given_key = json.dumps(pair.manifest).encode() if what == "the SealedSecret" else text
        path = shell.write("s.yaml", text if what == "the SealedSecret" else yaml.safe_dump(sealed))
        before = path.read_bytes()
        done = shell.agent("migrate", "sealed-secrets", "-i", "--sealing-key", "-", "s.yaml", stdin=given_key)
        shown = done.out + done.err.encode()
        assert done.code in {0, 1, 2}
        assert b"internal error" not in shown
        assert b"canary" not in shown + path.read_bytes()
        assert sorted(each.name for each in shell.folder.iterdir()) == [".sops.yaml", "s.yaml"]
        if done.code:
            assert path.read_bytes() == before
            assert "hint: " in done.err, done.err

    law()
