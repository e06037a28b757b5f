"""`agent sync`, `agent status` and `agent diff --prune` beside a running agent."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import processes
import pytest
import terminals

from testbed.canary import Canaries
from testbed.controlplane import ControlPlane
from testbed.installation import STORE, Installation
from testbed.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import IO

    from conftest import Result, Shell

    from testbed.gitserver import GitServer
    from testbed.installation import Tenant
    from testbed.openbao import OpenBao


def config_map(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def secret(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})


def deployment(name: str, **env: str) -> str:
    labels = {"app": name}
    variables = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": of, "key": "password"}}} for key, of in env.items()
    ]
    spec = {"containers": [{"name": "main", "image": "registry.example/app:1", "env": variables}]}
    whole = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole})


@pytest.fixture(scope="module")
def installation(gitserver: GitServer, openbao: OpenBao) -> Generator[Installation]:
    """A control plane of its own, so that this agent meddles with no other test's Applications."""
    with ControlPlane() as controlplane, Installation(controlplane, gitserver, openbao) as running:
        running.start()
        yield running


class Desk:
    """A developer's shell with a kubeconfig, and a tenant of the agent."""

    def __init__(self, shell: Shell, installation: Installation) -> None:
        self.shell = shell
        self.installation = installation
        self.tenant: Tenant = installation.tenant()
        path = shell.folder.parent / "kubeconfig"
        installation.controlplane.kubeconfig(path, namespace=self.tenant.namespace)
        shell.env("KUBECONFIG", str(path))

    def __call__(self, *arguments: str) -> Result:
        result = self.shell.agent(*arguments)
        found = Canaries(self.installation.canaries).search_text(result.out + result.err.encode(), "output")
        assert found == []
        assert "internal error" not in result.err, result.err
        return result


@pytest.fixture
def desk(shell: Shell, installation: Installation) -> Desk:
    return Desk(shell, installation)


def test_a_sync_waits_until_the_newest_commit_is_applied(desk: Desk) -> None:
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    sha = desk.tenant.commit({"cfg.yaml": config_map("cfg", mode="b")})
    result = desk("sync", "app", "--timeout", "60s")
    assert result.code == 0, result.err
    assert desk.tenant.data("cfg") == {"mode": "b"}
    assert f"@{sha[:12]}" in result.out.decode()
    again = desk("sync", f"{desk.tenant.namespace}/app", "-o", "json")
    assert again.code == 0
    assert json.loads(again.out)["ready"] is True


def test_a_failure_is_shown_with_file_cause_and_hint(desk: Desk) -> None:
    value = desk.installation.canary("cli")
    sealed = desk.tenant.seal(secret("db", password=value))
    desk.tenant.deploy({"db.yaml": sealed, "cfg.yaml": config_map("cfg", mode="a")})
    desk.tenant.commit(
        {
            "db.yaml": sealed.replace("metadata:\n", "metadata:\n    labels: {a: b}\n"),
            "cfg.yaml": config_map("cfg", mode="b"),
        }
    )
    result = desk("sync", "app")
    assert result.code == 1
    text = result.out.decode()
    assert "MacMismatch  db.yaml" in text
    assert "hint: " in text
    shown = desk("status", "app")
    assert shown.code == 1
    assert "MacMismatch  db.yaml" in shown.out.decode()
    assert {"CONDITION", "Stalled", "MacMismatch", "partial"} <= set(shown.out.decode().split())
    assert "run by: agent-0, since 20" in shown.out.decode()
    answer = json.loads(desk("status", "app", "-o", "json").out)
    assert answer["failures"][0]["file"].startswith("db.yaml")
    assert answer["ready"] is False


def test_status_lists_a_namespace_or_all(desk: Desk) -> None:
    assert desk("status").code == 0
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    result = desk("status")
    assert result.code == 0
    header, line = result.out.decode().splitlines()
    columns = ["NAMESPACE", "NAME", "READY", "HEALTHY", "DRIFTED", "REVISION", "CHECKED", "OBJECTS", "MESSAGE"]
    assert header.split() == columns
    assert line.split()[:5] == [desk.tenant.namespace, "app", "True", "True", "False"]
    names = {(each["namespace"], each["name"]) for each in json.loads(desk("status", "-A", "-o", "json").out)}
    assert (desk.tenant.namespace, "app") in names
    assert len(names) > 1
    assert desk("status", "none").code == 2
    assert desk("status", "app", "-n", "default").code == 2
    assert desk("status", "a/b", "-n", "default").code == 2
    assert desk("status", "-A", "-n", "default").code == 2


def test_status_is_shown_again_whenever_it_changes(desk: Desk) -> None:
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    watching = processes.start("status", "app", "-w", "-o", "json", folder=desk.shell.folder)
    assert watching.stdout
    try:
        first = _next_document(watching.stdout)
        desk.tenant.configure(suspend=True)
        assert (first["suspended"], _next_document(watching.stdout)["suspended"]) == (False, True)
    finally:
        watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 130
    assert watching.communicate()[1] == b""


def test_a_terminal_shows_only_the_newest_status(desk: Desk) -> None:
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    command = [*processes.AGENT, "status", "--watch"]
    code, shown = terminals.run(
        command, [("app", terminals.CTRL_C)], cwd=desk.shell.folder, environment={"TERM": "xterm", "NO_COLOR": ""}
    )
    assert code == 130
    assert "\x1b[32mTrue" in shown


def _next_document(stream: IO[bytes]) -> dict:
    text = b""
    for line in stream:
        text += line
        if line == b"}\n":
            return json.loads(text)
    raise AssertionError(text)


def test_a_sync_that_no_agent_answers_ends_in_time(desk: Desk) -> None:
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    process = desk.installation.agent.process
    assert process
    process.pause()
    try:
        result = desk("sync", "app", "--timeout", "1s")
        assert result.code == 2
        assert "is it running?" in result.err
        assert desk("sync", "app", "--no-wait").code == 0
    finally:
        process.resume()
    assert desk("sync", "app").code == 0


def test_a_sync_without_an_agent_says_so_before_its_timeout(desk: Desk) -> None:
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    agent = desk.installation.agent
    assert "alive" not in desk("status").err
    agent.stop()
    try:
        began = time.monotonic()
        result = desk("sync", "app")
        assert time.monotonic() - began < 60, "of the five minutes that it would wait for an agent"
        assert result.code == 2
        assert "no agent is alive" in result.err
        assert "hint: kubectl get pods" in result.err
        for arguments in (["status"], ["status", "app"], ["status", "-A", "-o", "json"]):
            shown = desk(*arguments)
            assert "no agent is alive" in shown.err
            assert b"app" in shown.out, "what was reported before is still shown"
    finally:
        agent.start()
    assert desk("sync", "app").code == 0, "the request stood"


def test_a_sync_after_the_agent_was_killed_says_that_it_is_silent_and_then_dead(desk: Desk) -> None:
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    agent = desk.installation.agent
    agent.kill()
    try:
        result = desk("sync", "app", "--timeout", "60s")
    finally:
        agent.start()
    assert result.code == 2
    renewal, dead, _ = result.err.splitlines()
    assert renewal.startswith("no agent has renewed its Lease since 20")
    assert "no agent is alive" in dead
    assert desk("sync", "app").code == 0, "started again under its name, it joins"


def test_two_agents_of_one_name_are_one(desk: Desk) -> None:
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    first = desk.installation.agent
    second = desk.installation.add_agent(first.name, label="second")
    with pytest.raises(ProcessError) as ended:
        second.start()
    assert "another process has this agent's identity (identity agent-0)" in str(ended.value)
    assert "hint: give each agent its own name" in str(ended.value)
    assert first.running
    desk.tenant.commit({"cfg.yaml": config_map("cfg", mode="b")})
    assert desk("sync", "app").code == 0
    assert desk.tenant.data("cfg") == {"mode": "b"}


def test_an_operator_file_that_is_missing_ends_the_agent_at_its_start(desk: Desk) -> None:
    kubeconfig = desk.shell.folder.parent / "kubeconfig"
    result = desk("run", "--kubeconfig", str(kubeconfig), "--operator-file", "none.yaml", "--name", "other")
    assert result.code == 2
    assert "none.yaml: the operator's file does not exist" in result.err
    assert "hint: create it" in result.err


def test_what_cannot_be_synced_is_refused_at_once(desk: Desk) -> None:
    assert desk("sync", "none").code == 2
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    for wrong in (
        ["--timeout", "soon"],
        ["--confirm-prune", "HEAD"],
        ["--confirm-prune", "abc"],
        ["--confirm-additions", "HEAD"],
        ["--rerun", "migrate"],
    ):
        assert desk("sync", "app", *wrong).code == 2


def test_an_application_is_suspended_and_goes_on(desk: Desk) -> None:
    desk.tenant.deploy({"cfg.yaml": config_map("cfg", mode="a")})
    assert desk("resume", "app").err == f"{desk.tenant.namespace}/app is not suspended\n"
    assert desk("suspend", "app").code == 0
    desk.tenant.until(lambda report: report.condition("Ready")["reason"] == "Suspended", "suspended")
    result = desk("sync", "app")
    assert (result.code, "agent resume first" in result.err) == (1, True)
    desk.tenant.configure()
    assert desk("resume", "app").code == 0, "whatever else applies the Application"
    desk.tenant.configure(suspend=True)
    desk.tenant.commit({"cfg.yaml": config_map("cfg", mode="b")})
    assert desk("resume", f"{desk.tenant.namespace}/app").code == 0
    desk.tenant.until_ready()
    assert desk.tenant.data("cfg") == {"mode": "b"}
    found = desk.installation.controlplane.get(desk.tenant.application.path)
    assert "signet-suspend" not in {each["manager"] for each in found["metadata"]["managedFields"]}
    assert [desk(command, "none").code for command in ("suspend", "resume")] == [2, 2]


def test_a_person_s_word_for_deletions(desk: Desk) -> None:
    desk.tenant.deploy({f"{name}.yaml": config_map(name, mode="a") for name in "abcd"})
    sha = desk.tenant.commit(dict.fromkeys(["a.yaml", "b.yaml", "c.yaml"]))
    refused = desk("sync", "app")
    assert refused.code == 1
    assert "PruneRefused" in refused.out.decode()
    assert desk.tenant.data("a") == {"mode": "a"}
    assert desk("sync", "app", "--confirm-prune", sha[:12]).code == 0
    assert desk.tenant.get("configmaps", "a") is None
    assert desk("sync", "app").code == 0


def test_the_work_tree_of_what_the_agent_applied_is_the_same_as_the_cluster(desk: Desk) -> None:
    sealed, stored = desk.installation.canary("sealed"), desk.installation.canary("stored")
    mount, openbao = desk.installation.mount, desk.installation.openbao
    openbao.put(f"apps/{desk.tenant.namespace}", {"password": stored}, mount=mount)
    reference = f"vault://{STORE}/{mount}/apps/{desk.tenant.namespace}#password"
    files = {
        "api.yaml": secret("api", password=reference),
        "web.yaml": deployment("web", DB="db", API="api"),
        "service.yaml": json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web"},
                "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}},
            }
        ),
        "cfg.yaml": config_map("cfg", mode="a"),
    }
    identity = desk.tenant.create_key()
    files["db.yaml"] = desk.tenant.seal(secret("db", password=sealed))
    desk.tenant.deploy(files)
    for name, text in files.items():
        desk.shell.write(name, text)
    desk.shell.env("SOPS_AGE_KEY", identity)
    desk.shell.env("VAULT_TOKEN", openbao.root_token)
    metadata = {"name": "app", "namespace": desk.tenant.namespace}
    application = {"apiVersion": "signet-gitops.dev/v1alpha1", "kind": "Application", "metadata": metadata}
    path = desk.shell.folder.parent / "application.yaml"
    path.write_text(json.dumps({**application, "spec": desk.tenant.spec()}))
    flags = ("-f", str(path), "--vault-store", f"{STORE}={openbao.url}", "--prune")

    same = desk("diff", *flags)
    assert (same.code, same.out) == (0, b""), (same.err, same.out)

    (desk.shell.folder / "cfg.yaml").unlink()
    desk.shell.write("web.yaml", deployment("web", DB="db"))
    result = desk("diff", *flags, "-o", "json")
    assert result.code == 1, result.err
    found = {
        f"{each['kind']}/{each['name']}": each["action"]
        for each in json.loads(result.out)["objects"]
        if each["action"] != "same"
    }
    assert found == {"Deployment/web": "change", "ConfigMap/cfg": "prune"}

    desk.shell.write("db.yaml", desk.tenant.seal(secret("db", password=desk.installation.canary("newer"))))
    desk.shell.write("web.yaml", files["web.yaml"])
    desk.shell.write("cfg.yaml", files["cfg.yaml"])
    changed = desk("diff", *flags)
    assert changed.code == 1
    rows = [line.split()[:2] for line in changed.out.decode().splitlines()[1:]]
    assert rows == [["change", "Secret"], ["roll", "Deployment.apps"]]
