"""`agent diff -f` says what the next run does: its JSON against the writes in the API server's audit log, a scenario a row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from manifests_written import config_map, deployment, secret

from bench.handover.calls import Call, Log
from testbed.canary import Canaries
from testbed.controlplane import ControlPlane
from testbed.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from testbed.gitserver import GitServer
    from testbed.installation import Tenant
    from testbed.openbao import OpenBao

PLURALS = {
    "ConfigMap": "configmaps",
    "Job": "jobs",
    "Secret": "secrets",
    "Deployment": "deployments",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}
WRITES = {"create": "patch", "change": "patch", "roll": "patch", "prune": "delete", "replace": "delete"}
ENV: list[dict[str, object]] = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
FOUR = {f"{name}.yaml": config_map(name, value="1") for name in "abcd"}
IMMUTABLE = {"web.yaml": deployment("web", app="one")}


def annotated(manifest: str, **annotations: str) -> str:
    tree = json.loads(manifest)
    tree["metadata"]["annotations"] = {
        f"signet-gitops.dev/{name.replace('_', '-')}": text for name, text in annotations.items()
    }
    return json.dumps(tree)


def typed_secret(kind: str) -> str:
    return annotated(json.dumps({**json.loads(secret("db", password="x")), "type": kind}), replace="true")


def job() -> str:
    container = {"name": "main", "image": "registry.example/app:1"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"template": template, "ttlSecondsAfterFinished": 1}
    return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": spec})


def claim(mode: str) -> str:
    tree = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}},
    }
    return annotated(json.dumps(tree), replace="true")


@dataclass(frozen=True)
class Scenario:
    """`before` is applied; then `meddle` happens to the cluster, and `change` is committed (None takes a file away).

    `found` are the actions that the diff has to name, by kind and name. A scenario that is `paused` meddles while the Application is
    suspended, so that nothing is healed before the diff is asked.
    """

    before: Mapping[str, str] = field(default_factory=dict)
    change: Mapping[str, str | None] = field(default_factory=dict)
    found: Mapping[str, str] = field(default_factory=dict)
    meddle: Callable[[Tenant], object] = lambda _: None
    paused: bool = False
    spec: Mapping[str, object] = field(default_factory=dict)
    sealed: bool = False


def edit(tenant: Tenant) -> None:
    tenant.controlplane.merge(tenant.path("configmaps", "a"), {"data": {"value": "edited"}})


def add(tenant: Tenant) -> None:
    tenant.controlplane.kubectl("patch", "configmap/a", "--namespace", tenant.namespace, "-p", '{"data":{"extra":"x"}}')


def delete(tenant: Tenant) -> None:
    tenant.controlplane.delete(tenant.path("configmaps", "a"))


def by_kubectl(tenant: Tenant) -> None:
    tenant.controlplane.kubectl(
        "apply", "--namespace", tenant.namespace, "-f", "-", input=config_map("new", value="1", gone="1")
    )


def until_gone(tenant: Tenant) -> None:
    tenant.until(lambda report: report.counts.get("finished") == 1, "a finished Job is gone")


def by_another(tenant: Tenant) -> None:
    other = tenant.second("other")
    other.deploy({"new.yaml": config_map("new", value="theirs")})


SCENARIOS = {
    "nothing": Scenario(FOUR),
    "a first commit": Scenario({}, FOUR, {f"ConfigMap {name}": "create" for name in "abcd"}),
    "one of each": Scenario(
        FOUR,
        {"a.yaml": config_map("a", value="2"), "b.yaml": None, "e.yaml": config_map("e", value="1")},
        {"ConfigMap a": "change", "ConfigMap b": "prune", "ConfigMap e": "create"},
    ),
    "what somebody added": Scenario(FOUR, {}, {"ConfigMap a": "change"}, add, paused=True),
    "what somebody added, beside a commit": Scenario(
        FOUR,
        {"b.yaml": config_map("b", value="2")},
        {"ConfigMap a": "change", "ConfigMap b": "change"},
        add,
        paused=True,
    ),
    "what somebody added, where it is kept": Scenario(
        {**FOUR, "a.yaml": annotated(config_map("a", value="1"), additions="keep")}, {}, {}, add, paused=True
    ),
    "most of it goes": Scenario(
        FOUR, {f"{name}.yaml": None for name in "abc"}, {f"ConfigMap {name}": "keep" for name in "abc"}
    ),
    "nothing is pruned where the spec says so": Scenario(FOUR, {"a.yaml": None}, {}, spec={"prune": False}),
    "what asks to be kept": Scenario(
        {**FOUR, "a.yaml": annotated(config_map("a", value="1"), prune="disabled")}, {"a.yaml": None}, {}
    ),
    "a claim goes by confirmation only": Scenario(
        {
            **FOUR,
            "claim.yaml": claim("ReadWriteOnce"),
        },
        {"claim.yaml": None},
        {"PersistentVolumeClaim data": "keep"},
    ),
    "waves": Scenario(
        {},
        {
            "late.yaml": annotated(config_map("late", value="1"), wave="50"),
            "early.yaml": annotated(config_map("early", value="1"), wave="-5"),
            "db.yaml": secret("db", password="x"),
            "web.yaml": deployment("web", env=ENV),
        },
        {"ConfigMap late": "create", "ConfigMap early": "create", "Secret db": "create", "Deployment web": "create"},
    ),
    "a Secret rolls its workload": Scenario(
        {"db.yaml": secret("db", password="one"), "web.yaml": deployment("web", env=ENV)},
        {"db.yaml": secret("db", password="two")},
        {"Secret db": "change", "Deployment web": "roll"},
        sealed=True,
    ),
    "a reference that another one takes the place of": Scenario(
        {"db.yaml": secret("db", password="vault://main/{mount}/apps/db#one")},
        {"db.yaml": secret("db", password="vault://main/{mount}/apps/db#two")},
        {"Secret db": "change"},
    ),
    "what kubectl applied is adopted": Scenario(
        FOUR, {"new.yaml": config_map("new", value="1")}, {"ConfigMap new": "change"}, by_kubectl
    ),
    "another Application's object": Scenario(
        FOUR, {"new.yaml": config_map("new", value="ours")}, {"ConfigMap new": "conflict"}, by_another
    ),
    "made where it is missing": Scenario(
        FOUR,
        {"new.yaml": annotated(config_map("new", value="1"), apply="if-not-present")},
        {"ConfigMap new": "create"},
    ),
    "left to others": Scenario(
        FOUR, {"new.yaml": annotated(config_map("new", value="1"), apply="if-not-present")}, {}, by_kubectl
    ),
    "a change of what is ignored": Scenario(
        FOUR,
        {"a.yaml": config_map("a", value="2")},
        {},
        spec={"ignore": [{"name": "a", "jsonPointers": ["/data/value"]}]},
    ),
    "an edit of what is ignored": Scenario(
        FOUR, {}, {}, edit, paused=True, spec={"ignore": [{"name": "a", "jsonPointers": ["/data/value"]}]}
    ),
    "left alone": Scenario(FOUR, {"a.yaml": annotated(config_map("a", value="2"), reconcile="disabled")}, {}),
    "a live edit": Scenario(FOUR, {}, {"ConfigMap a": "change"}, edit, paused=True),
    "a live deletion": Scenario(FOUR, {}, {"ConfigMap a": "create"}, delete, paused=True),
    "a file that cannot be read": Scenario(
        FOUR,
        {"a.yaml": "a: [", "b.yaml": None, "c.yaml": config_map("c", value="2")},
        {"ConfigMap c": "change", "ConfigMap b": "keep"},
    ),
    "an immutable field": Scenario(IMMUTABLE, {"web.yaml": deployment("web", app="two")}, {}),
    "an object that may be replaced": Scenario(
        IMMUTABLE, {"web.yaml": annotated(deployment("web", app="two"), replace="true")}, {"Deployment web": "replace"}
    ),
    "a new type of Secret": Scenario(
        {"db.yaml": typed_secret("example.com/one")},
        {"db.yaml": typed_secret("example.com/two")},
        {"Secret db": "replace"},
    ),
    "a claim is not replaced": Scenario(
        {"claim.yaml": claim("ReadWriteOnce")}, {"claim.yaml": claim("ReadWriteMany")}, {}
    ),
    "a Job that finished and is gone": Scenario({**FOUR, "job.yaml": job()}, {}, {}, until_gone),
    "detection writes nothing": Scenario(
        FOUR, {"a.yaml": config_map("a", value="2")}, {"ConfigMap a": "change"}, spec={"sync": {"mode": "detect"}}
    ),
}


@pytest.fixture(scope="module")
def audited(gitserver: GitServer, openbao: OpenBao) -> Generator[Installation]:
    with ControlPlane(audit=True) as controlplane, Installation(controlplane, gitserver, openbao) as running:
        running.start()
        openbao.put("apps/db", {"one": running.canary("one"), "two": running.canary("two")}, mount=running.mount)
        yield running


@dataclass
class Previewed:
    """What `agent diff` said: actions and waves by kind and name."""

    actions: Mapping[str, str]
    waves: Mapping[str, int]
    text: str


class Preview:
    """Runs the command as the cluster's administrator, with the tenant's key and a token for the store."""

    def __init__(self, tenant: Tenant, folder: Path) -> None:
        self.tenant = tenant
        self.folder = folder
        self.tree = folder / "tree"
        self.tree.mkdir()
        self.identity = tenant.create_key()

    def write(self, files: Mapping[str, str | None]) -> None:
        for name, text in files.items():
            if text is None:
                (self.tree / name).unlink()
            else:
                (self.tree / name).write_text(text)

    def __call__(self, spec: Mapping[str, object]) -> Previewed:
        installation = self.tenant.installation
        manifest = {
            "apiVersion": "signet-gitops.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": self.tenant.application.name, "namespace": self.tenant.namespace},
            "spec": self.tenant.spec(**spec),
        }
        (self.folder / "application.yaml").write_text(json.dumps(manifest))
        config = installation.controlplane.kubeconfig(self.folder / "kubeconfig")
        program = str(Path(sys.executable).with_name("agent"))
        command = [program, "diff", "-f", str(self.folder / "application.yaml"), str(self.tree), "-o", "json"]
        store = f"main={installation.openbao.url}"
        environment = {
            **os.environ,
            "SOPS_AGE_KEY": self.identity,
            "VAULT_TOKEN": installation.openbao.root_token,
            "HOME": str(self.folder),
        }
        done = subprocess.run(
            [*command, "--kubeconfig", str(config), "--vault-store", store],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.stdout, done.stderr
        assert Canaries(installation.canaries).search_text((done.stdout + done.stderr).encode(), "diff") == []
        objects: list[dict[str, Any]] = json.loads(done.stdout)["objects"]
        return Previewed(
            {f"{each['kind']} {each['name']}": each["action"] for each in objects},
            {f"{each['kind']} {each['name']}": each["wave"] for each in objects if each["wave"] is not None},
            done.stdout + done.stderr,
        )


def writes(calls: list[Call], tenant: Tenant) -> list[tuple[str, str]]:
    """What the agent did to objects of the tenant's, in the order of the log: verb and `configmaps/a`, each once."""
    mine = [
        (call.verb, call.object)
        for call in calls
        if call.agent and call.succeeded and call.namespace == tenant.namespace and call.resource in PLURALS.values()
    ]
    return list(dict.fromkeys(mine))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_diff_foretells_the_writes_of_the_next_run(audited: Installation, tmp_path: Path, name: str) -> None:
    scenario = SCENARIOS[name]
    tenant = audited.tenant()
    agent = audited.agent
    log = Log(audited.controlplane.audit_file, lambda: dict.fromkeys(agent.credentials, "agent"))  # pyright: ignore[reportArgumentType]
    preview = Preview(tenant, tmp_path)

    def written(files: Mapping[str, str | None]) -> dict[str, str | None]:
        texts = {path: text and text.replace("{mount}", audited.mount) for path, text in files.items()}
        if scenario.sealed:
            texts = {path: tenant.seal(text) if text and "stringData" in text else text for path, text in texts.items()}
        preview.write(texts)
        return texts

    tenant.commit({"none.txt": "", **written(scenario.before)})
    tenant.application.apply(tenant.spec(**{**scenario.spec, "sync": {}}))
    tenant.until_ready()
    if scenario.paused:
        tenant.configure(**scenario.spec, suspend=True)
        tenant.until(lambda report: report.condition("Ready").get("reason") == "Suspended", "suspended")
    elif scenario.spec:
        tenant.configure(**scenario.spec)
        tenant.until_ready()
    scenario.meddle(tenant)
    texts = written(scenario.change)

    previewed = preview(scenario.spec)

    differing = {key: action for key, action in previewed.actions.items() if action not in {"same", "left", "hold"}}
    assert differing == dict(scenario.found), previewed.text
    before = len(log.read())
    if texts:
        tenant.commit(texts)
    if scenario.paused:
        tenant.configure(**scenario.spec)
    tenant.sync()
    happened = writes(log.read()[before:], tenant)
    foretold = {
        (WRITES[action], f"{PLURALS[key.split()[0]]}/{key.split()[1]}")
        for key, action in differing.items()
        if action in WRITES
    }
    if "detect" in str(scenario.spec):
        assert happened == []
        return
    replaced = {("patch", target) for verb, target in foretold if verb == "delete" and ("patch", target) in happened}
    assert set(happened) == foretold | replaced, previewed.text
    waves = {f"{PLURALS[key.split()[0]]}/{key.split()[1]}": wave for key, wave in previewed.waves.items()}
    order = [waves[target] for verb, target in happened if verb == "patch" and target in waves]
    assert order == sorted(order), "in the order of their waves"
