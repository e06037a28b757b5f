"""What kubeseal sealed opens with the controller's keys, and says why where it does not."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.adapters.keys.sealed_secrets import SealingKeys
from agent.manifests import sealed_secrets
from agent.values import derive
from agent.values.errors import AgentError, ConfigError, SealedSecretError
from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.values.tree import get_object
from agent.yaml.read import manifests
from testbed import sealing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.values.tree import Object
    from testbed.sealing import SealingPair

VALUE = "canary-hunter2-ünïcode"
PLAIN = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop"},
        "stringData": {"password": VALUE},
        "data": {"raw": base64.b64encode(bytes(range(256))).decode()},
    }
)
SCOPES = ("strict", "namespace-wide", "cluster-wide")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealing")


@pytest.fixture(scope="module")
def old(folder: Path) -> SealingPair:
    return sealing.pair(folder, "old", days_old=30)


@pytest.fixture(scope="module")
def new(folder: Path) -> SealingPair:
    return sealing.pair(folder, "new")


def keys_of(*pairs: SealingPair) -> SealingKeys:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [each.manifest for each in pairs]})
    return SealingKeys.parse(Secret(text, "test"), source="keys.yaml")


def tree_of(sealed: str) -> Object:
    [document] = manifests.parse(sealed.encode(), file="db.yaml")
    assert isinstance(document.tree, dict)
    return document.tree


def opened(keys: SealingKeys, tree: Object, namespace: str = "shop") -> dict[str, object]:
    return {
        each.key: reveal(keys.unseal(each).secret) for each in sealed_secrets.secret(tree, namespace=namespace).values
    }


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_opens_with_an_old_or_a_new_key(scope: str, old: SealingPair, new: SealingPair) -> None:
    keys = keys_of(old, new)
    for pair in (old, new):
        tree = tree_of(pair.seal(PLAIN, "--scope", scope))
        assert opened(keys, tree) == {"password": VALUE.encode(), "raw": bytes(range(256))}
        values = sealed_secrets.secret(tree, namespace="shop").values
        assert {keys.unseal(each).key for each in values} == {f"keys.yaml#{pair.name}"}


def test_the_newest_key_is_tried_first(old: SealingPair, new: SealingPair) -> None:
    names = [key.name for key in keys_of(old, new, old).keys]
    assert names == ["keys.yaml#new", "keys.yaml#old"]


def test_keys_are_read_as_kubectl_prints_them_and_as_pem(old: SealingPair, new: SealingPair) -> None:
    tree = tree_of(new.seal(PLAIN))
    documents = "\n---\n".join(json.dumps(each.manifest) for each in (old, new))
    live = {"tls.key": Secret(new.key.encode(), "live"), "tls.crt": Secret(new.certificate.encode(), "live")}
    for keys in (
        SealingKeys.parse(Secret(documents, "test"), source="keys.yaml"),
        SealingKeys.parse(Secret(new.key, "test"), source="key.pem"),
        SealingKeys.of_data(live, source="Secret signet-system/new"),
    ):
        assert opened(keys, tree)["password"] == VALUE.encode()


def other_secret() -> str:
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps({"kind": "Secret", "data": {"tls.key": base64.b64encode(private).decode()}})


def under_passphrase(pair: SealingPair) -> str:
    private = serialization.load_pem_private_key(pair.key.encode(), None)
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2-phrase"),
    ).decode()


def test_what_is_no_sealing_key_is_refused_without_a_word_of_it(new: SealingPair) -> None:
    for text, message in (
        ("", "no sealing key in this file"),
        ("kind: Secret\nstringData: {password: canary-hunter2}\n", "no sealing key in this file"),
        (other_secret(), "no sealing key in this file"),
        ("kind: [canary-hunter2", "neither a private key nor the manifest of a controller's key"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\ncanary-hunter2\n-----END RSA PRIVATE KEY-----\n",
            "the private key cannot be read",
        ),
        (new.key[:-200], "the private key cannot be read"),
        (new.certificate, "no private key in PEM"),
        (under_passphrase(new), "the private key has a passphrase, which is not supported"),
        ("kind: Secret\ndata: {tls.key: 'canary-hunter2 !'}\n", "a key is not base64"),
        ("kind: Secret\nsops: {mac: x}\n", "the sealing keys are encrypted"),
    ):
        with pytest.raises(ConfigError) as caught:
            SealingKeys.parse(Secret(text, "test"), source="keys.yaml")
        assert caught.value.message == message
        assert "canary" not in str(caught.value)


def encrypted(tree: Object, change: Callable[[bytes], bytes]) -> Object:
    values = get_object(tree, "spec", "encryptedData")
    changed = base64.b64encode(change(base64.b64decode(str(values["password"])))).decode()
    return {**tree, "spec": {**get_object(tree, "spec"), "encryptedData": {"password": changed}}}


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at >= 0 else flipped(len(data) + at)(data)


def annotated(tree: Object, scope: str) -> Object:
    annotations = {} if scope == "strict" else {f"sealedsecrets.bitnami.com/{scope}": "true"}
    return {**tree, "metadata": {**get_object(tree, "metadata"), "annotations": annotations}}


def renamed(tree: Object, name: str) -> Object:
    return {**tree, "metadata": {**get_object(tree, "metadata"), "name": name}}


CUT, ALTERED, NO_KEY = (
    "a sealed value is cut off",
    "a sealed value was altered or cut off",
    "no sealing key opens a value",
)
DAMAGE: dict[str, tuple[Callable[[Object], Object], str]] = {
    "nothing left": (lambda tree: encrypted(tree, lambda data: b""), CUT),
    "one byte left": (lambda tree: encrypted(tree, lambda data: data[:1]), CUT),
    "cut in the session key": (lambda tree: encrypted(tree, lambda data: data[:200]), CUT),
    "cut behind the session key": (lambda tree: encrypted(tree, lambda data: data[:258]), ALTERED),
    "cut in the tag": (lambda tree: encrypted(tree, lambda data: data[:-3]), ALTERED),
    "longer": (lambda tree: encrypted(tree, lambda data: data + b"\0"), ALTERED),
    "a bit of the length": (lambda tree: encrypted(tree, flipped(1)), NO_KEY),
    "a bit of the session key": (lambda tree: encrypted(tree, flipped(100)), NO_KEY),
    "a bit of the ciphertext": (lambda tree: encrypted(tree, flipped(260)), ALTERED),
    "a bit of the tag": (lambda tree: encrypted(tree, flipped(-1)), ALTERED),
    "another name": (lambda tree: renamed(tree, "other"), NO_KEY),
    "not base64": (
        lambda tree: {**tree, "spec": {"encryptedData": {"password": "Ag!canary"}}},
        "a sealed value is not base64",
    ),
    "no text": (lambda tree: {**tree, "spec": {"encryptedData": {"password": 12}}}, "field takes a string"),
    "no map": (lambda tree: {**tree, "spec": {"encryptedData": ["Ag"]}}, "field takes a map"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_value_gives_nothing_but_its_place(name: str, new: SealingPair) -> None:
    change, message = DAMAGE[name]
    tree = tree_of(new.seal(PLAIN))
    with pytest.raises(AgentError) as caught:
        opened(keys_of(new), change(tree))
    assert caught.value.message == message
    assert "canary" not in str(caught.value)
    if message in {CUT, ALTERED, NO_KEY}:
        assert caught.value.facts["field"] == "spec.encryptedData.password"
        assert caught.value.hint


def test_a_value_opens_in_its_own_namespace_only(new: SealingPair) -> None:
    for scope in SCOPES:
        tree = tree_of(new.seal(PLAIN, "--scope", scope))
        if scope == "cluster-wide":
            assert opened(keys_of(new), tree, namespace="other")["password"] == VALUE.encode()
            continue
        with pytest.raises(SealedSecretError) as caught:
            opened(keys_of(new), tree, namespace="other")
        assert caught.value.message == NO_KEY


@pytest.mark.parametrize("sealed", SCOPES)
@pytest.mark.parametrize("said", SCOPES)
def test_the_scope_is_part_of_what_a_value_is_bound_to(sealed: str, said: str, new: SealingPair) -> None:
    tree = annotated(tree_of(new.seal(PLAIN, "--scope", sealed)), said)
    if sealed == said:
        assert opened(keys_of(new), tree)["password"] == VALUE.encode()
        return
    with pytest.raises(SealedSecretError) as caught:
        opened(keys_of(new), tree)
    assert caught.value.message == "a value was sealed with a different scope than the SealedSecret has"
    assert (caught.value.facts["sealed"], caught.value.facts["scope"]) == (sealed, said)


def test_without_the_right_key_nothing_opens(old: SealingPair, new: SealingPair) -> None:
    tree = tree_of(new.seal(PLAIN))
    with pytest.raises(SealedSecretError) as caught:
        opened(keys_of(old), tree)
    assert (caught.value.message, caught.value.facts["tried"]) == (NO_KEY, 1)
    with pytest.raises(SealedSecretError, match="there is no sealing key"):
        opened(SealingKeys(), tree)


def test_a_value_carries_the_label_of_its_place(new: SealingPair) -> None:
    [value, _] = sealed_secrets.secret(tree_of(new.seal(PLAIN)), namespace="shop").values
    secret = keys_of(new).unseal(value).secret
    assert secret.label == "sealed-secret:shop/db#password"
    assert reveal(derive.base64_encode(secret)) == base64.b64encode(VALUE.encode()).decode()
