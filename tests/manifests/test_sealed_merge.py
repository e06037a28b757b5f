"""Encrypted layers, made by the real sops, merge without a key and open at the end."""

import base64
import subprocess
from textwrap import dedent

import pytest
from written import KINDS, shown

from agent.adapters.keys import age
from agent.manifests import documents, layers, references, resolve, sinks
from agent.manifests.documents import File
from agent.manifests.places import Places
from agent.manifests.sinks import AllowedSinks
from agent.sops.files import sealed
from agent.sops.format import groups, keys
from agent.values.errors import HeldError, MacMismatchError, ManifestError, SinkError
from agent.values.ids import ObjectId
from agent.values.secret import Secret
from testbed import binaries

DB = ObjectId("", "Secret", "shop", "db")
BASE = b"""
apiVersion: v1
kind: Secret
metadata: {name: db, labels: {app: shop}}
stringData: {user: shop, password: change-me, host: db.example}
"""
PROD = """
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData:
  password: hunter2-canary
  url: postgres://shop:${vault://main/kv/db#password}@db
"""


@pytest.fixture(scope="module")
def identity():
    made = subprocess.run([binaries.path("age-keygen")], check=True, capture_output=True, text=True)
    return age.AgeKeys.parse(Secret(made.stdout, "test"), source="test")


@pytest.fixture(scope="module")
def sops(identity, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sops")

    def encrypt(text: str, *flags: str) -> bytes:
        plain = folder / "plain.yaml"
        plain.write_text(dedent(text))
        command = [binaries.path("sops"), "encrypt", "--age", identity.recipients[0], *flags, plain]
        return subprocess.run(command, check=True, capture_output=True).stdout

    return encrypt


def merge(*files: File) -> tuple[documents.Parsed, layers.Merged]:
    parsed = documents.parse(files)
    assert parsed.failures == ()
    return parsed, layers.merge(parsed.documents, kinds=KINDS, places=Places("shop"))


def unseal(parsed: documents.Parsed, identity) -> dict[str, Secret]:
    opened: dict[str, Secret] = {}
    for path, file in parsed.sealed.items():
        for part in file.parts:
            data_key = groups.unwrap_data_key(part.metadata.data_key, keys.ByKind({"age": identity}), file=path)
            opened.update(sealed.unseal(part, data_key))
    return opened


def test_an_encrypted_overlay_merges_into_a_clear_base_and_opens_at_the_end(sops, identity):
    encrypted = sops(PROD, "--encrypted-regex", "^(data|stringData)$")
    parsed, merged = merge(File("base/db.yaml", "1", BASE, 0), File("prod/db.yaml", "2", encrypted, 1))
    assert merged.failures == ()
    desired = merged.objects[DB]
    assert desired.files == ("base/db.yaml", "prod/db.yaml")
    assert "canary" not in repr(desired)
    sinks.check(DB, desired.tree, AllowedSinks())
    with pytest.raises(HeldError):
        resolve.unseal(desired.tree, {})

    tree = resolve.unseal(desired.tree, unseal(parsed, identity))
    (reference,) = references.find(tree)
    finished = resolve.fill(tree, {reference: Secret("s3cret", "vault:main/kv/db#password@1")})
    assert {key: base64.b64decode(value).decode() for key, value in shown(finished["data"]).items()} == {
        "user": "shop",
        "password": "hunter2-canary",
        "host": "db.example",
        "url": "postgres://shop:s3cret@db",
    }
    assert finished["data"]["url"].labels == ("sops:prod/db.yaml#stringData.url", "vault:main/kv/db#password@1")
    assert "canary" not in repr(finished)


def test_a_file_encrypted_whole_gets_a_hint(sops):
    parsed = documents.parse([File("db.yaml", "1", sops(PROD), 0)])
    (document,) = parsed.documents
    assert isinstance(document.error, ManifestError)
    assert "encrypted_regex" in document.error.hint


def test_ciphertext_outside_a_secret_is_a_sink_like_any_other(sops):
    text = """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: a}
    data: {password: canary}
    """
    _, merged = merge(File("a.yaml", "1", sops(text, "--encrypted-regex", "^data$"), 0))
    (desired,) = merged.objects.values()
    with pytest.raises(SinkError):
        sinks.check(desired.id, desired.tree, AllowedSinks())
    sinks.check(desired.id, desired.tree, AllowedSinks(config_maps=True))


def test_values_copied_without_their_metadata_hold_their_object_alone(sops):
    encrypted = sops(PROD, "--encrypted-regex", "^(data|stringData)$").decode()
    without = encrypted[: encrypted.index("\nsops:")]
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    _, merged = merge(File("db.yaml", "1", f"{without}\n---\n{other}".encode(), 0))
    assert [key.kind for key in merged.objects] == ["ConfigMap"]
    assert [failure.object for failure in merged.failures] == [DB]


def test_a_changed_label_of_an_encrypted_file_is_found_before_anything_opens(sops, identity):
    encrypted = sops(PROD, "--encrypted-regex", "^(data|stringData)$").replace(b"name: db", b"name: db2")
    parsed, _ = merge(File("db.yaml", "1", encrypted, 0))
    with pytest.raises(MacMismatchError):
        unseal(parsed, identity)


def test_a_workload_with_an_encrypted_merge_key_fails_alone(sops):
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: p}
    spec: {containers: [{name: canary, image: x}]}
    """
    _, merged = merge(File("p.yaml", "1", sops(text, "--encrypted-regex", "^spec$"), 0))
    (failure,) = merged.failures
    assert failure.error.message == "merge keys must be in clear text"
    assert failure.object == ObjectId("", "Pod", "shop", "p")
