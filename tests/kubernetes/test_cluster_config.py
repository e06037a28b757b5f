"""Where the apiserver's address and the credential come from: kubeconfigs, Pods and plain settings."""

from __future__ import annotations

import base64
import json
import logging
import stat
import sys
from pathlib import Path

import pytest

from agent.adapters.kubernetes import config
from agent.adapters.kubernetes.credential import header
from agent.adapters.kubernetes.errors import Call
from agent.adapters.kubernetes.session import Request, Session
from agent.values.errors import ConfigError, ForbiddenError
from agent.values.secret import Secret

CANARY = "canary-e90b2"
WHOAMI = Request(
    Call("POST", "create"),
    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    body=b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
)


async def whoami(settings: config.ClusterConfig) -> str:
    async with Session(settings) as session:
        return json.loads((await session.request(WHOAMI)).body)["status"]["userInfo"]["username"]


def write(path: Path, user: dict, controlplane, **cluster) -> Path:
    cluster = {"server": controlplane.url, "certificate-authority": str(controlplane.ca_file), **cluster}
    names = {"name": "main", "context": {"cluster": "main", "user": "main", "namespace": "shop"}}
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "main", "cluster": cluster}],
                "users": [{"name": "main", "user": user}],
                "contexts": [names, {"name": "other", "context": {"cluster": "main", "user": "main"}}],
                "current-context": "main",
            }
        )
    )
    return path


def plugin(folder: Path, body: str) -> dict:
    script = folder / "login"
    script.write_text(f"#!{sys.executable}\n{body}")
    script.chmod(stat.S_IRWXU)
    return {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    }


def answer(**status: str) -> str:
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"print({json.dumps(json.dumps(credential))})\n"


async def test_a_kubeconfig_with_a_token(controlplane, tmp_path):
    path = controlplane.kubeconfig(tmp_path / "config", namespace="shop")
    settings = config.kubeconfig(path)
    assert settings.namespace == "shop"
    assert await whoami(settings) == "testbed-admin"
    assert controlplane.admin_token not in repr(settings)


async def test_a_context_by_name(controlplane, tmp_path):
    path = write(tmp_path / "config", {"token": controlplane.admin_token}, controlplane)
    assert config.kubeconfig(path).namespace == "shop"
    assert config.kubeconfig(path, "other").namespace == "default"
    with pytest.raises(ConfigError):
        config.kubeconfig(path, "missing")


async def test_an_inline_authority_leaves_no_file(controlplane, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    inline = base64.b64encode(controlplane.ca_pem.encode()).decode()
    user = {"token": controlplane.admin_token}
    path = write(tmp_path / "config", user, controlplane, **{"certificate-authority-data": inline})
    before = left_in_memory()
    for _ in range(2):
        assert await whoami(config.kubeconfig(path)) == "testbed-admin"
    assert list((tmp_path / "temporary").iterdir()) == []
    assert left_in_memory() == before


def left_in_memory() -> set[Path]:
    shared = Path("/dev/shm")
    return set(shared.glob("signet-*")) if shared.is_dir() else set()


async def test_an_exec_plugin_logs_in(controlplane, tmp_path):
    user = plugin(tmp_path, answer(token=controlplane.admin_token))
    assert await whoami(config.kubeconfig(write(tmp_path / "config", user, controlplane))) == "testbed-admin"


async def test_a_refused_token_makes_the_plugin_run_again(controlplane, tmp_path):
    settings = config.kubeconfig(write(tmp_path / "config", plugin(tmp_path, answer(token="stale")), controlplane))
    plugin(tmp_path, answer(token=controlplane.admin_token))
    assert await whoami(settings) == "testbed-admin"


async def test_an_expired_token_makes_the_plugin_run_again(controlplane, tmp_path):
    old = answer(token="stale", expirationTimestamp="2020-01-01T00:00:00Z")
    settings = config.kubeconfig(write(tmp_path / "config", plugin(tmp_path, old), controlplane))
    plugin(tmp_path, answer(token=controlplane.admin_token))
    assert header(await settings.authorization(refresh=False)) == f"Bearer {controlplane.admin_token}"


@pytest.mark.parametrize(
    "script",
    [
        f"import sys\nprint('{CANARY}', file=sys.stderr)\nsys.exit('{CANARY}')\n",
        f"print('{CANARY}')\n",
        answer(clientCertificateData=CANARY),
    ],
    ids=["fails", "answers no JSON", "gives half a certificate"],
)
def test_a_failing_plugin_is_an_error_without_its_words(script, controlplane, tmp_path, caplog):
    path = write(tmp_path / "config", plugin(tmp_path, script), controlplane)
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError) as caught:
        config.kubeconfig(path)
    assert CANARY not in f"{caught.value} {caught.value.facts} {caplog.text}"


@pytest.mark.parametrize(
    "cluster",
    [
        {"insecure-skip-tls-verify": True},
        {"server": "http://apiserver.example.com"},
        {"server": f"https://user:{CANARY}@127.0.0.1"},
        {"proxy-url": "http://127.0.0.1:3128"},
        {"certificate-authority": "/missing/ca.crt"},
        {"certificate-authority-data": base64.b64encode(CANARY.encode()).decode()},
    ],
    ids=["no verification", "plain http", "password in the address", "proxy", "no authority file", "no certificate"],
)
def test_a_kubeconfig_that_would_expose_secrets_is_refused(cluster, controlplane, tmp_path):
    path = write(tmp_path / "config", {"token": CANARY}, controlplane, **cluster)
    with pytest.raises(ConfigError) as caught:
        config.kubeconfig(path)
    assert CANARY not in f"{caught.value} {caught.value.facts} {caught.value.__context__!r}"


@pytest.mark.parametrize("text", ["", "[1, 2]", f"{{a: '{CANARY}", "clusters: []"])
def test_what_is_no_kubeconfig_is_refused(text, tmp_path):
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.kubeconfig(path)
    assert CANARY not in f"{caught.value} {caught.value.facts}"


def test_a_missing_kubeconfig_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        config.kubeconfig(tmp_path / "missing")
    assert caught.value.facts["file"] == str(tmp_path / "missing")


def test_a_user_without_a_credential_is_refused(controlplane, tmp_path):
    with pytest.raises(ConfigError):
        config.kubeconfig(write(tmp_path / "config", {}, controlplane))


async def test_a_pod_uses_its_service_account_and_follows_a_replaced_token(
    controlplane, namespace, tmp_path, monkeypatch
):
    host, port = controlplane.url.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    (tmp_path / "ca.crt").write_text(controlplane.ca_pem)
    (tmp_path / "namespace").write_text("signet-system")
    (tmp_path / "token").write_text("wrong\n")
    settings = config.in_cluster(tmp_path)
    assert settings.namespace == "signet-system"
    with pytest.raises(ForbiddenError):
        await whoami(settings)
    token = controlplane.service_account_token(namespace, "default")
    (tmp_path / "next").write_text(token)
    (tmp_path / "next").replace(tmp_path / "token")
    assert await whoami(settings) == f"system:serviceaccount:{namespace}:default"


def test_outside_of_a_pod_there_is_no_service_account(tmp_path, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigError):
        config.in_cluster(tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    with pytest.raises(ConfigError):
        config.in_cluster(tmp_path)


def test_a_token_that_no_header_can_hold_is_refused():
    for token in ("a\r\nImpersonate-User: admin", "ä", 5):
        with pytest.raises(ConfigError) as caught:
            header(Secret(token, "test token"))
        assert "Impersonate" not in str(caught.value)
