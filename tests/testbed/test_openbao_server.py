"""A real OpenBao: KV in both versions, transit, policies, Kubernetes login; sealed, stopped and back."""

from base64 import b64encode

import pytest

from testbed.controlplane import ControlPlane
from testbed.openbao import AUDIENCE, OpenBao
from testbed.processes import wait_until

POLICY = 'path "testbed-kv2/data/shop/*" { capabilities = ["read"] }'


@pytest.fixture(scope="module")
def bao(openbao: OpenBao) -> OpenBao:
    """The session's server with a mount of each kind."""
    openbao.enable_kv("testbed-kv2")
    openbao.enable_kv("testbed-kv1", version=1)
    openbao.enable_transit("testbed-transit")
    openbao.put_policy("testbed-shop", POLICY)
    openbao.put("shop/db", {"password": "first"}, mount="testbed-kv2")
    return openbao


def test_kv_version_2_counts_versions(bao: OpenBao) -> None:
    assert bao.put("versions", {"a": 1}, mount="testbed-kv2") == 1
    assert bao.put("versions", {"a": 2}, mount="testbed-kv2") == 2
    first = bao.checked("GET", "testbed-kv2/data/versions?version=1")
    assert first["data"]["data"] == {"a": 1}


def test_kv_version_1_has_none(bao: OpenBao) -> None:
    assert bao.put("plain", {"a": "b"}, mount="testbed-kv1") == 0
    assert bao.checked("GET", "testbed-kv1/plain")["data"] == {"a": "b"}


def test_transit_decrypts_what_it_encrypted(bao: OpenBao) -> None:
    bao.create_transit_key("sops", mount="testbed-transit")
    plaintext = b64encode(b"data key").decode()
    sealed = bao.checked("POST", "testbed-transit/encrypt/sops", {"plaintext": plaintext})["data"]["ciphertext"]
    opened = bao.checked("POST", "testbed-transit/decrypt/sops", {"ciphertext": sealed})["data"]["plaintext"]
    assert opened == plaintext


def test_a_token_reaches_what_its_policy_names(bao: OpenBao) -> None:
    token = bao.token("testbed-shop")
    assert bao.request("GET", "testbed-kv2/data/shop/db", token=token)[0] == 200
    assert bao.request("GET", "testbed-kv2/data/other", token=token)[0] == 403
    bao.revoke(token)
    assert bao.request("GET", "testbed-kv2/data/shop/db", token=token)[0] == 403


def test_a_service_account_logs_in(bao: OpenBao, controlplane: ControlPlane, namespace: str) -> None:
    bao.enable_kubernetes_auth(controlplane, mount="testbed-kubernetes")
    bao.put_kubernetes_role(
        "shop",
        service_accounts=["agent"],
        namespaces=[namespace],
        policies=["testbed-shop"],
        mount="testbed-kubernetes",
    )
    controlplane.create_service_account(namespace, "agent")

    def login(account: str, audience: str) -> tuple[int, str]:
        jwt = controlplane.service_account_token(namespace, account, audiences=[audience])
        status, answer = bao.request("POST", "auth/testbed-kubernetes/login", {"role": "shop", "jwt": jwt})
        return status, answer["auth"]["client_token"] if status == 200 else ""

    wait_until(lambda: login("agent", AUDIENCE)[0] == 200, 10, "reviewer's role in force")
    _, token = login("agent", AUDIENCE)
    assert bao.request("GET", "testbed-kv2/data/shop/db", token=token)[0] == 200
    assert login("default", AUDIENCE)[0] == 403
    assert login("agent", "another-audience")[0] == 403


def test_a_sealed_server_refuses_and_recovers(bao: OpenBao) -> None:
    token = bao.token("testbed-shop")
    with bao.sealed():
        assert bao.request("GET", "testbed-kv2/data/shop/db", token=token)[0] == 503
    assert bao.request("GET", "testbed-kv2/data/shop/db", token=token)[0] == 200


def test_a_stopped_server_comes_back_with_its_data(bao: OpenBao) -> None:
    token = bao.token("testbed-shop")
    with bao.away(), pytest.raises(OSError):
        bao.request("GET", "sys/health")
    assert bao.request("GET", "testbed-kv2/data/shop/db", token=token)[0] == 200


def test_it_serves_tls_under_its_own_authority() -> None:
    with OpenBao(tls=True) as own:
        assert own.url.startswith("https://")
        assert own.ca_file.read_text() == own.ca_pem
        assert own.request("GET", "sys/health")[0] == 200
