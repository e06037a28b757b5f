"""`agent check` on a real control plane: what is fit, and what is broken on purpose."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from agent.api import names
from testbed import agent as agents
from testbed.controlplane import ControlPlane
from testbed.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from conftest import Shell

    from testbed.openbao import OpenBao

DEFINITION = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{names.CRD_NAME}"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/signet-agent"


@pytest.fixture(scope="module")
def cluster() -> Generator[ControlPlane]:
    """A control plane of its own, whose installation is broken on purpose."""
    with ControlPlane() as controlplane:
        yield controlplane


@pytest.fixture
def checked(shell: Shell, cluster: ControlPlane):
    """`agent check`: exit code, and each line by what it is of."""
    config = cluster.kubeconfig(shell.folder / "kubeconfig")

    def run(*arguments: str) -> tuple[int, dict[tuple[str, str], dict[str, str]]]:
        result = shell.agent("check", "--kubeconfig", str(config), "-o", "json", *arguments)
        lines: list[dict[str, Any]] = json.loads(result.out)
        return result.code, {(each["check"], each["subject"]): each for each in lines}

    return run


def result_of(lines: dict[tuple[str, str], dict[str, str]]) -> dict[tuple[str, str], str]:
    return {key: each["result"] for key, each in lines.items()}


def test_before_an_installation(checked: Any):
    code, lines = checked("--pre")
    assert code == 0
    assert result_of(lines) == {
        ("Kubernetes", "1.36"): "ok",
        ("clock", "API server"): "ok",
        ("rights", "you"): "ok",
    }


def test_a_user_who_may_not_install_sees_what_is_missing(shell: Shell, cluster: ControlPlane):
    token = cluster.service_account_token("default", "default")
    config = cluster.kubeconfig(shell.folder / "unprivileged", token=token)
    result = shell.agent("check", "--pre", "--kubeconfig", str(config))
    assert result.code == 1
    assert b"may not: create namespaces" in result.out
    assert "ask an administrator" in result.err


def test_what_is_missing_or_older_is_named_with_its_cure(checked: Any, cluster: ControlPlane):
    code, lines = checked()
    assert code == 1
    assert lines["definition", names.CRD_NAME]["cure"] == "run agent install --apply"
    assert "impersonate serviceaccounts/signet-applier" in lines["rights", "ServiceAccount signet-agent"]["what"] or (
        " more" in lines["rights", "ServiceAccount signet-agent"]["what"]
    )

    agents.install(cluster)
    code, lines = checked()
    assert (code, result_of(lines)) == (
        1,
        {
            ("Kubernetes", "1.36"): "ok",
            ("clock", "API server"): "ok",
            ("definition", names.CRD_NAME): "ok",
            ("rights", "ServiceAccount signet-agent"): "ok",
            ("agents", "Leases"): "failed",
            ("operator's file", "Secret signet-operator"): "failed",
        },
    )

    schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/suspend"
    cluster.kubectl("patch", "crd", names.CRD_NAME, "--type=json", "-p", json.dumps([{"op": "remove", "path": schema}]))
    role = cluster.get(ROLE)
    role["rules"] = [rule for rule in role["rules"] if "impersonate" not in rule["verbs"]]
    cluster.checked("PUT", ROLE, role)
    _, lines = checked()
    assert lines["definition", names.CRD_NAME]["what"] == "is of another version of the agent"
    assert (
        lines["rights", "ServiceAccount signet-agent"]["what"] == "may not: impersonate serviceaccounts/signet-applier"
    )
    agents.install(cluster)


def test_tenants(checked: Any, cluster: ControlPlane):
    agents.install(cluster)
    agents.tenant(cluster, "shop")
    cluster.create_namespace("bare")
    for namespace, destination in (("shop", {}), ("bare", {}), ("shop", {"serviceAccount": "default"})):
        name = destination.get("serviceAccount", "app")
        agents.Deployed(cluster, namespace, name).apply(
            {
                "source": {"url": "https://git.example.com/shop.git", "revision": {"branch": "main"}},
                "destination": destination,
            }
        )
    _, lines = checked()
    found = {subject: (each["result"], each["what"]) for (check, subject), each in lines.items() if check == "tenant"}
    assert found == {
        "shop/signet-applier": ("ok", "exists, and the agent may act as it"),
        "bare/signet-applier": ("failed", "the ServiceAccount does not exist"),
        "shop/default": ("failed", "the agent may not act as it"),
    }


def test_what_the_operators_file_names(checked: Any, openbao: OpenBao, tmp_path: Path):
    token = tmp_path / "token"
    token.touch(mode=0o600)
    openbao.put_policy("checks", 'path "secret/data/checks" { capabilities = ["read"] }')
    token.write_text(openbao.token("checks"))
    denied = tmp_path / "denied"
    denied.write_text("wrong")
    store = {"address": openbao.url, "allowedPaths": ["secret/**"], "allowedNamespaces": ["shop"]}
    file = tmp_path / "operator.yaml"
    settings = {
        "git": {"allowedHosts": ["127.0.0.1:1"]},
        "stores": {
            "main": {**store, "auth": {"tokenFile": str(token)}},
            "away": {**store, "address": "https://127.0.0.1:1", "auth": {"tokenFile": str(token)}},
            "denied": {**store, "auth": {"tokenFile": str(denied)}},
        },
    }
    file.write_text(json.dumps(settings))
    _, lines = checked("--operator-file", str(file), "--memory-dir", "/dev/shm")
    assert (
        result_of(lines).items()
        >= {
            ("operator's file", str(file)): "ok",
            ("memory", "/dev/shm"): "ok",
            ("store", "main"): "ok",
            ("store", "away"): "failed",
            ("store", "denied"): "failed",
            ("Git server", "127.0.0.1"): "failed",
        }.items()
    )
    assert "checks" in lines["store", "main"]["what"]
    assert lines["Git server", "127.0.0.1"]["what"] == "port 1: the connection was refused"
    assert token.read_text() not in json.dumps(list(lines.values()))

    file.write_text('{"git": {"allowedHost": []}}')
    code, lines = checked("--operator-file", str(file), "--memory-dir", "/proc")
    assert code == 1
    assert lines["operator's file", str(file)]["result"] == "failed"


def test_keys_on_a_disk_are_a_failure(checked: Any, tmp_path: Path):
    file = tmp_path / "operator.yaml"
    file.write_text("{}")
    _, lines = checked("--operator-file", str(file), "--memory-dir", "/proc/sys")
    assert lines["memory", "/proc/sys"]["result"] == "failed"


def test_a_git_server_is_looked_for_by_the_operators_proxy(checked: Any, tmp_path: Path):
    file, login = tmp_path / "operator.yaml", tmp_path / "login"
    login.write_text("agent:p:w-canary\n")

    def found() -> tuple[str, str]:
        lines = checked("--operator-file", str(file), "--memory-dir", "/dev/shm")[1]
        return lines["Git server", "127.0.0.1"]["result"], json.dumps(list(lines.values()))

    with Proxy("agent:p:w-canary") as proxy, socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
        git = {"allowedHosts": [host], "proxy": {"url": proxy.url, "credentialsFile": str(login)}}
        file.write_text(json.dumps({"git": git}))
        result, said = found()
        assert (result, f"by {proxy.url}" in said, proxy.asked) == ("ok", True, [host])
        login.write_text("agent:other-canary\n")
        result, said = found()
        assert (result, "another user name and password" in said, "canary" in said) == ("failed", True, False)
    assert found()[0] == "failed"
