"""Where the API server's address and the credential come from: kubeconfigs, Pods and plain settings."""

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
    """What is left, except by agents of the testbed, which may start beside this."""
    shared = Path("/dev/shm")
    found = shared.glob("signet-*") if shared.is_dir() else ()
    return {path for path in found if not path.name.startswith("signet-testbed-")}


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


CLUSTER = {"name": "prod", "cluster": {"server": "https://127.0.0.1:6443"}}
USER = {"name": "dev", "user": {"token": CANARY}}
CONTEXT = {"name": "main", "context": {"cluster": "prod", "user": "dev"}}
WRONG = {
    "is missing": (None, "there is no kubeconfig", {}, "--kubeconfig"),
    "is a folder": (Path, "the kubeconfig cannot be read", {"cause": "it is a folder"}, ""),
    "is empty": ("", "the kubeconfig is empty", {}, "use another"),
    "holds comments alone": ("# nothing", "the kubeconfig is empty", {}, "use another"),
    "is not text": (b"\xff\xfe\x00", "the kubeconfig cannot be read", {"cause": "bytes that are not text"}, ""),
    "is not YAML": (f"a: 1\nb: [{CANARY}", "the kubeconfig is not YAML", {"line": 2}, ""),
    "is a list": ("[1, 2]", "the kubeconfig is not a map", {}, "apiVersion: v1"),
    "is a text": (CANARY, "the kubeconfig is not a map", {}, "apiVersion: v1"),
    "has contexts that are no list": (
        {"contexts": {}},
        "a field of the kubeconfig is not a list",
        {"field": "contexts"},
        "",
    ),
    "has a context without a name": (
        {"contexts": [{"context": {}}]},
        "an item of the kubeconfig has no name",
        {"field": "contexts"},
        "",
    ),
    "chooses no context": (
        {"current-context": ""},
        "no context of the kubeconfig is chosen",
        {"contexts": "main"},
        "--context",
    ),
    "has no contexts": (
        {"contexts": None},
        "the kubeconfig has no such context",
        {"context": "main", "contexts": "none"},
        "get-contexts",
    ),
    "has no such context": (
        {"current-context": "other"},
        "the kubeconfig has no such context",
        {"context": "other", "contexts": "main"},
        "get-contexts",
    ),
    "has a context without a cluster": (
        {"contexts": [{"name": "main", "context": {"user": "dev"}}]},
        "the context names no cluster",
        {"context": "main"},
        "set-context",
    ),
    "has a context without a user": (
        {"contexts": [{"name": "main", "context": {"cluster": "prod"}}]},
        "the context names no user",
        {"context": "main"},
        "set-context",
    ),
    "lacks the cluster": (
        {"clusters": []},
        "the context names a cluster that the kubeconfig does not have",
        {"context": "main", "cluster": "prod"},
        "set-cluster",
    ),
    "lacks the user": (
        {"users": None},
        "the context names a user that the kubeconfig does not have",
        {"context": "main", "user": "dev"},
        "set-credentials",
    ),
    "has a cluster without an address": (
        {"clusters": [{"name": "prod", "cluster": {}}]},
        "the cluster of the context has no address",
        {"context": "main", "cluster": "prod"},
        "set-cluster",
    ),
    "names a file that is missing": (
        {"users": [{"name": "dev", "user": {"client-certificate": "dev.crt", "client-key-data": CANARY}}]},
        "a file that the kubeconfig names cannot be read",
        {"context": "main", "field": "client-certificate", "path": "dev.crt", "cause": "no such file or folder"},
        "",
    ),
    "has a plugin that is missing": (
        {
            "users": [
                {"name": "dev", "user": {"exec": {"apiVersion": "v1", "command": "missing-login", "args": [CANARY]}}}
            ]
        },
        "the exec plugin that logs the user in is not installed",
        {"context": "main", "program": "missing-login"},
        "install it",
    ),
    "has a plugin without a command": (
        {"users": [{"name": "dev", "user": {"exec": {"apiVersion": "v1"}}}]},
        "the exec plugin of the user has no command",
        {"context": "main"},
        "",
    ),
    "has a plugin that gives nothing": (
        {
            "users": [
                {"name": "dev", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "true"}}}
            ]
        },
        "the exec plugin of the kubeconfig's user gave no credential",
        {"context": "main", "user": "dev", "program": "true"},
        "log in",
    ),
    "has a user without a credential": (
        {"users": [{"name": "dev", "user": {"password": CANARY}}]},
        "the user of the context has no credential",
        {"context": "main", "user": "dev"},
        "log in",
    ),
    "has an authority that is none": (
        {"clusters": [{"name": "prod", "cluster": {**CLUSTER["cluster"], "certificate-authority-data": "YQ=="}}]},
        "the API server's CA or the client certificate cannot be read",
        {"context": "main"},
        "",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_kubeconfig_is_said(what, tmp_path):
    content, message, facts, hint = WRONG[what]
    path = tmp_path / "config"
    if isinstance(content, dict):
        whole = {"current-context": "main", "contexts": [CONTEXT], "clusters": [CLUSTER], "users": [USER], **content}
        path.write_text(json.dumps(whole))
    elif content is Path:
        path.mkdir()
    elif content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        config.kubeconfig(path)
    error = caught.value
    assert error.message == message
    assert error.facts["file"] == str(path)
    assert {name: error.facts.get(name) for name in facts} == facts
    assert hint in error.hint
    assert CANARY not in f"{error} {error.facts} {error.hint} {error.__cause__!r}"


def test_of_several_kubeconfigs_the_first_that_says_something_counts(tmp_path, monkeypatch):
    (tmp_path / "a").write_text(json.dumps({"current-context": "main", "contexts": [CONTEXT]}))
    other = {"name": "prod", "cluster": {"server": "https://127.0.0.1:7443"}}
    (tmp_path / "b").write_text(json.dumps({"current-context": "b", "clusters": [CLUSTER, other], "users": [USER]}))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/missing:{tmp_path}/a:{tmp_path}/b")
    assert config.kubeconfig().server == "https://127.0.0.1:6443"


def test_a_proxy_of_kubectl_needs_no_user(tmp_path):
    proxy = {"name": "prod", "cluster": {"server": "http://127.0.0.1:8001"}}
    context = {"name": "main", "context": {"cluster": "prod"}}
    path = tmp_path / "config"
    path.write_text(json.dumps({"current-context": "main", "contexts": [context], "clusters": [proxy]}))
    assert config.kubeconfig(path).server == "http://127.0.0.1:8001"


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
