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
from diff_events import kill
from diff_scenarios import SCENARIOS

from bench.handover.calls import Call, Log
from testbed.canary import Canaries
from testbed.controlplane import ControlPlane
from testbed.installation import Installation
from testbed.repository import Link

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from diff_files import Content
    from diff_scenarios import Scenario

    from testbed.gitserver import GitServer
    from testbed.installation import Tenant
    from testbed.openbao import OpenBao

PLURALS = {
    "Gadget": "gadgets",
    "ConfigMap": "configmaps",
    "Job": "jobs",
    "Secret": "secrets",
    "Deployment": "deployments",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}
WRITES = {"create": "patch", "change": "patch", "roll": "patch", "prune": "delete", "replace": "delete"}


@pytest.fixture(scope="module")
def audited(gitserver: GitServer, openbao: OpenBao) -> Generator[Installation]:
    with ControlPlane(audit=True) as controlplane, Installation(controlplane, gitserver, openbao) as running:
        running.start()
        openbao.put("apps/db", {"one": running.canary("one"), "two": running.canary("two")}, mount=running.mount)
        yield running


@dataclass
class Previewed:
    """What `agent diff` said, by kind and name."""

    objects: list[dict[str, Any]]
    text: str

    @property
    def actions(self) -> dict[str, str]:
        return {f"{each['kind']} {each['name']}": each["action"] for each in self.objects}

    def of(self, *actions: str) -> list[dict[str, Any]]:
        return [each for each in self.objects if each["action"] in actions]

    @property
    def unknown(self) -> set[str]:
        """What is not known of the objects: those with values that the user may not read; and then whether anything is deleted."""
        return {
            target_of(each)
            for each in self.objects
            if each["unknown"] or (self.prunes_uncertain and each["action"] == "prune")
        }

    @property
    def prunes_uncertain(self) -> bool:
        return "then nothing is deleted" in self.text


def target_of(each: Mapping[str, Any]) -> str:
    return f"{PLURALS[each['kind']]}/{each['name']}"


class Preview:
    """Runs the command as the cluster's administrator, with the tenant's key and the agent's policy for the store, in a clone."""

    def __init__(self, tenant: Tenant, folder: Path, identity: str) -> None:
        self.tenant = tenant
        self.folder = folder
        self.tree = folder / "tree"
        self.identity = identity
        self.token = tenant.installation.openbao.token(tenant.installation.mount)
        self.git("clone", "--quiet", str(tenant.repository.path), str(self.tree))

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], check=True, capture_output=True)

    def write(self, files: Mapping[str, Content]) -> None:
        for name, text in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            elif isinstance(text, Link):
                path.symlink_to(text.target)
            else:
                assert isinstance(text, str)
                path.write_text(text)

    def commit(self) -> None:
        """The tree is what was pushed."""
        self.git("-C", str(self.tree), "pull", "--quiet")

    def __call__(self, spec: Mapping[str, object], *flags: str) -> Previewed:
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
            "VAULT_ADDR": installation.openbao.url,
            "VAULT_TOKEN": self.token,
            "HOME": str(self.folder),
        }
        done = subprocess.run(
            [*command, "--kubeconfig", str(config), "--vault-store", store, *flags],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.stdout, done.stderr
        assert Canaries(installation.canaries).search_text((done.stdout + done.stderr).encode(), "diff") == []
        return Previewed(json.loads(done.stdout)["objects"], done.stdout + done.stderr)


def writes(calls: list[Call], tenant: Tenant) -> list[tuple[str, str]]:
    """What the agent did to objects of the tenant's, in the order of the log: verb and `configmaps/a`, each once."""
    mine = [
        (call.verb, call.object)
        for call in calls
        if call.agent and call.succeeded and call.namespace == tenant.namespace and call.resource in PLURALS.values()
    ]
    return list(dict.fromkeys(mine))


@dataclass
class Play:
    """A scenario on the stage of one tenant: what was said before the run, and what the run then did."""

    scenario: Scenario
    tenant: Tenant
    folder: Path
    annotations: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.audited, self.agent = self.tenant.installation, self.tenant.installation.agent
        given = dict(self.scenario.spec)
        layers = given.pop("layers", ())
        assert isinstance(layers, tuple)
        self.spec: dict[str, object] = {**given, "source": self.tenant.source(*layers)}
        self.identity = self.tenant.create_key()
        agent = self.agent
        self.log = Log(self.audited.controlplane.audit_file, lambda: dict.fromkeys(agent.credentials, "agent"))  # pyright: ignore[reportArgumentType]

    @property
    def waits(self) -> bool:
        """Whether the Application is suspended when the diff is asked."""
        return self.scenario.paused or bool(self.spec.get("suspend"))

    def written(self, files: Mapping[str, Content]) -> dict[str, Content]:
        """As the tenant commits them."""
        texts = {path: text(self.tenant) if callable(text) else text for path, text in files.items()}
        return {path: self._text(text) if isinstance(text, str) else text for path, text in texts.items()}

    def _text(self, text: str) -> str:
        text = text.replace("{mount}", self.audited.mount)
        return self.tenant.seal(text) if self.scenario.sealed and "stringData" in text else text

    def begin(self) -> Preview:
        """Apply what stands before, and look away."""
        tenant = self.tenant
        if not self.agent.running:
            self.agent.start()  # a scenario before this one failed
        self.scenario.prepare(tenant)
        tenant.commit({"none.txt": "", **self.written(self.scenario.before)})
        tenant.application.apply(tenant.spec(**{**self.spec, "sync": {}, "suspend": False}))
        tenant.until_ready()
        preview = Preview(tenant, self.folder, self.identity)
        if self.waits:
            tenant.configure(**{**self.spec, "suspend": True})
            tenant.until(lambda report: report.condition("Ready").get("reason") == "Suspended", "suspended")
        elif self.scenario.spec:
            tenant.configure(**self.spec)
            tenant.until_ready()
        if self.scenario.stopped and self.agent.running and self.scenario.meddle is not kill:
            self.agent.stop()
        return preview

    def change(self, preview: Preview) -> dict[str, Content]:
        """Meddle, and change the work tree; gives what is still to be committed."""
        self.scenario.meddle(self.tenant)
        texts = self.written(self.scenario.change)
        if self.scenario.committed:
            self.tenant.commit(texts)
            preview.commit()
            texts = {}
        self.annotations = dict(self.scenario.annotations(self.tenant))
        if self.annotations:
            self.tenant.configure(annotations=self.annotations, **{**self.spec, "suspend": True})
        preview.write(texts)
        return texts

    def run(self, texts: Mapping[str, Content]) -> tuple[list[tuple[str, str]], dict[str, str]]:
        """The next run: its writes, and the cause of each by object."""
        before, entries = len(self.log.read()), len(self.tenant.audit())
        if texts:
            self.tenant.commit(texts)
        if self.scenario.stopped:
            self.agent.start()
        if self.scenario.paused:
            self.tenant.configure(annotations=self.annotations, **self.spec)
        if not self.spec.get("suspend"):
            self.tenant.sync()
        happened = writes(self.log.read()[before:], self.tenant)
        mine = self.tenant.audit()[entries:]
        return happened, {
            each["object"]: each["cause"] for each in mine if each["phase"] == "intent" and each.get("object")
        }


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_diff_predicts_the_writes_of_the_next_run(audited: Installation, tmp_path: Path, name: str) -> None:
    scenario = SCENARIOS[name]
    play = Play(scenario, audited.tenant(), tmp_path)
    preview = play.begin()
    texts = play.change(preview)

    with scenario.during(audited):
        previewed = preview(play.spec, *scenario.flags(play.tenant))
        differing = {key: action for key, action in previewed.actions.items() if action not in {"same", "left", "hold"}}
        assert scenario.found is None or differing == dict(scenario.found), previewed.text
        happened, causes = play.run(texts)
    if scenario.silent:
        assert happened == []
        return
    compare(previewed, happened)
    applied = [each for each in previewed.of("create", "change", "roll") if not each["unknown"]]
    # Since another spec, or without the earlier commit, it is not known.
    said = {each["object"]: each["cause"] for each in applied if each["cause"] != "unknown"}
    assert scenario.paused or len(said) == len(applied)
    assert {name: causes[name] for name in said} == said, previewed.text


def compare(previewed: Previewed, happened: list[tuple[str, str]]) -> None:
    """Every write was predicted and every prediction came true, in the order of the waves, except for what was said to be unknown."""
    known = [each for each in previewed.of(*WRITES) if target_of(each) not in previewed.unknown]
    predicted = {(WRITES[each["action"]], target_of(each)) for each in known}
    replaced = {("patch", target_of(each)) for each in previewed.of("replace")}
    assert {each for each in happened if each[1] not in previewed.unknown} == predicted | replaced, previewed.text
    waves = {target_of(each): each["wave"] for each in previewed.objects if each["wave"] is not None}
    order = [waves[target] for verb, target in happened if verb == "patch" and target in waves]
    assert order == sorted(order), "in the order of their waves"
