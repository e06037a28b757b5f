"""Every scenario of these tests in which a next run may be foretold, as rows: what was applied, what happened since, what is committed."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import test_kinds_not_watched as kinds_not_watched
from manifests_written import config_map, deployment, secret
from test_bad_input import FAULTS

from testbed import sealing
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from testbed.installation import Installation, Tenant
    from testbed.repository import Content as Written
    from testbed.sealing import SealingPair

    Content = Written | Callable[[Tenant], str]

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


@contextlib.contextmanager
def nothing(_: Installation) -> Iterator[None]:
    yield


@dataclass(frozen=True)
class Scenario:
    """`before` is applied; then `meddle` happens to the cluster, and `change` is committed (None takes a file away).

    `found` are the actions that the diff has to name, by kind and name; None where another test says that. A scenario that is `paused`
    meddles while the Application is suspended, so that nothing is healed before the diff is asked; one that is `stopped` does so while no
    agent runs. `during` surrounds the diff and the run. `committed`: the diff is asked of the commit itself. `silent`: nothing is written,
    as what is said of the Application tells.
    """

    before: Mapping[str, Content] = field(default_factory=dict)
    change: Mapping[str, Content] = field(default_factory=dict)
    found: Mapping[str, str] | None = field(default_factory=dict)
    meddle: Callable[[Tenant], object] = lambda _: None
    paused: bool = False
    stopped: bool = False
    committed: bool = False
    silent: bool = False
    spec: Mapping[str, object] = field(default_factory=dict)
    annotations: Callable[[Tenant], Mapping[str, str]] = lambda _: {}
    sealed: bool = False
    during: Callable[[Installation], AbstractContextManager[None]] = nothing
    prepare: Callable[[Tenant], object] = lambda _: None
    flags: Callable[[Tenant], Sequence[str]] = lambda _: ()
    """Of the diff."""


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


def broken(tenant: Tenant) -> None:
    """The other Application's spec is not valid any more."""
    other = tenant.second("other")
    other.deploy({"new.yaml": config_map("new", value="theirs")})
    other.configure(source=other.source("base", "base"))
    other.until(lambda report: not report.ready, "the spec is refused")


def copy(tenant: Tenant) -> None:
    metadata = (tenant.get("configmaps", "a") or {})["metadata"]
    kept = {"labels": metadata["labels"], "annotations": metadata["annotations"]}
    tenant.controlplane.create(
        tenant.path("configmaps"), {"metadata": {"name": "copy", **kept}, "data": {"value": "1"}}
    )


def lose_record(tenant: Tenant) -> None:
    cluster = tenant.controlplane
    uid = cluster.get(tenant.application.path)["metadata"]["uid"]
    root = f"/api/v1/namespaces/{tenant.installation.agent.namespace}/configmaps"
    for item in cluster.get(root)["items"]:
        if item["metadata"]["name"].startswith(f"signet-record-{uid}-"):
            cluster.delete(f"{root}/{item['metadata']['name']}")


def edit_and_delete(tenant: Tenant) -> None:
    edit(tenant)
    tenant.controlplane.delete(tenant.path("configmaps", "b"))


def kill(tenant: Tenant) -> None:
    """In the middle of a sync."""
    agent = tenant.installation.agent
    tenant.commit({f"{number}.yaml": config_map(f"n{number}", value="2") for number in range(MANY)})
    before = agent.audit_file.stat().st_size
    tenant.request()
    wait_until(lambda: agent.audit_file.stat().st_size > before, 30, "the sync begins", interval=0.002)
    agent.kill()


def altered(tenant: Tenant) -> str:
    return tenant.seal(secret("db", password="x")).replace(
        "metadata:\n", "metadata:\n    labels:\n        team: intruder\n"
    )


def strangers(tenant: Tenant) -> str:
    return tenant.installation.tenant().seal(secret("db", password="x"))


def by_transit(tenant: Tenant) -> str:
    return tenant.seal_by_transit(secret("db", password="x"))


@functools.cache
def sealing_pair() -> SealingPair:
    return sealing.pair(Path(tempfile.mkdtemp()), "foretold")


def give_sealing_key(tenant: Tenant) -> None:
    """To the agent; and to the user, as a file."""
    installation, pair = tenant.installation, sealing_pair()
    (pair.folder / "key.pem").write_text(pair.key)
    installation.controlplane.apply({**pair.manifest, "metadata": {"name": pair.name, "namespace": "signet-system"}})
    installation.configure(sealedSecrets={"keys": [{"secretName": pair.name}]})


def by_sealing_key(tenant: Tenant) -> Sequence[str]:
    operator_file = str(tenant.installation.agent.operator_file)
    return "--operator-file", operator_file, "--sealing-key", str(sealing_pair().folder / "key.pem")


def sealed_secret(name: str, password: str) -> Callable[[Tenant], str]:
    return lambda tenant: sealing_pair().seal(secret(name, password=password), "--namespace", tenant.namespace)


@contextlib.contextmanager
def sealing_key_given(installation: Installation) -> Iterator[None]:
    try:
        yield
    finally:
        installation.configure()


@contextlib.contextmanager
def store_sealed(installation: Installation) -> Iterator[None]:
    with installation.openbao.sealed():
        yield


@contextlib.contextmanager
def store_away(installation: Installation) -> Iterator[None]:
    with installation.openbao.away():
        yield


@contextlib.contextmanager
def git_away(installation: Installation) -> Iterator[None]:
    with installation.gitserver.away():
        yield


def numbered(content: Content, number: int) -> Content:
    """A file of a fault with names of its own."""
    if not isinstance(content, str):
        return content
    return re.sub(r'("?name"?: "?)(victim|web|db|odd|far|pin|port)\b', rf"\g<1>\g<2>{number}", content)


MANY = 60
CONFIRM = "signet-gitops.dev/confirm-prune"
REFERS = "vault://main/{mount}/apps/db#one"
STORE = {
    "db.yaml": secret("db", password=REFERS),
    "web.yaml": deployment("web", env=ENV),
    "other.yaml": config_map("other", value="1"),
    "leaving.yaml": config_map("leaving", value="1"),
}
STORE_CHANGE = {
    "db.yaml": secret("db", password="vault://main/{mount}/apps/db#two"),
    "other.yaml": config_map("other", value="2"),
    "leaving.yaml": None,
}
STORE_FOUND = {"ConfigMap other": "change", "ConfigMap leaving": "keep"}
GOOD = {f"{name}.yaml": config_map(name, value="1") for name in ("other", "leaving")}

SCENARIOS = {
    "nothing": Scenario(FOUR),
    "a change of what is ignored": Scenario(
        FOUR,
        {"a.yaml": config_map("a", value="2")},
        {},
        spec={"ignore": [{"name": "a", "jsonPointers": ["/data/value"]}]},
    ),
    "an edit of what is ignored": Scenario(
        FOUR, {}, {}, edit, paused=True, spec={"ignore": [{"name": "a", "jsonPointers": ["/data/value"]}]}
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
            "claim.yaml": json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }
            ),
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
    "detection writes nothing": Scenario(
        FOUR,
        {"a.yaml": config_map("a", value="2")},
        {"ConfigMap a": "change"},
        spec={"sync": {"mode": "detect"}},
        silent=True,
    ),
    "a suspended Application": Scenario(
        FOUR, {"a.yaml": config_map("a", value="2")}, {"ConfigMap a": "change"}, spec={"suspend": True}, silent=True
    ),
    "a live edit and a deletion after an agent that was stopped": Scenario(
        FOUR,
        {"c.yaml": config_map("c", value="2")},
        {"ConfigMap a": "change", "ConfigMap b": "create", "ConfigMap c": "change"},
        edit_and_delete,
        stopped=True,
    ),
    "an agent that was killed in the middle of a sync": Scenario(
        {f"{number}.yaml": config_map(f"n{number}", value="1") for number in range(MANY)},
        {f"{number}.yaml": config_map(f"n{number}", value="2") for number in range(MANY)},
        {f"ConfigMap n{number}": "change" for number in range(MANY)},
        kill,
        stopped=True,
    ),
    "a lost record": Scenario(
        FOUR,
        {"a.yaml": None},
        {"ConfigMap a": "prune", **{f"ConfigMap {name}": "change" for name in "bcd"}},
        lose_record,
        stopped=True,
    ),
    "a copy with our labels and proof": Scenario(FOUR, {"a.yaml": None}, {"ConfigMap a": "prune"}, copy),
    "an object of an Application whose spec is not valid": Scenario(
        FOUR, {"new.yaml": config_map("new", value="ours")}, {"ConfigMap new": "conflict"}, broken
    ),
    "a store that is sealed": Scenario(STORE, STORE_CHANGE, STORE_FOUND, during=store_sealed),
    "a store that is away": Scenario(STORE, STORE_CHANGE, STORE_FOUND, during=store_away),
    "Git away": Scenario(
        FOUR, {"a.yaml": config_map("a", value="2")}, {"ConfigMap a": "change"}, during=git_away, silent=True
    ),
    "a kind that the agent may not list": Scenario(
        {f"{name}.yaml": kinds_not_watched.gadget(name, 1) for name in "abc"},
        {"b.yaml": None, "c.yaml": kinds_not_watched.gadget("c", 2), "d.yaml": kinds_not_watched.gadget("d", 1)},
        {"Gadget b": "prune", "Gadget c": "change", "Gadget d": "create"},
        prepare=kinds_not_watched.serve,
    ),
    "most of it goes, confirmed": Scenario(
        FOUR,
        {f"{name}.yaml": None for name in "abc"},
        {f"ConfigMap {name}": "prune" for name in "abc"},
        paused=True,
        committed=True,
        annotations=lambda tenant: {CONFIRM: tenant.repository.head()},
    ),
    "most of it goes, confirmed for another commit": Scenario(
        FOUR,
        {f"{name}.yaml": None for name in "abc"},
        {f"ConfigMap {name}": "keep" for name in "abc"},
        paused=True,
        annotations=lambda tenant: {CONFIRM: tenant.repository.head()},
    ),
    "a file that was altered": Scenario(
        STORE,
        {**STORE_CHANGE, "db.yaml": altered, "web.yaml": deployment("web", env=ENV, version="2")},
        STORE_FOUND,
    ),
    "a file that the user has no key for": Scenario(FOUR, {"db.yaml": strangers, "a.yaml": None}, None),
    "a file that only a transit engine opens": Scenario(FOUR, {"db.yaml": by_transit}, {"Secret db": "create"}),
    "SealedSecrets that the agent unseals": Scenario(
        {**FOUR, "db.yaml": sealed_secret("db", "x"), "old.yaml": sealed_secret("old", "x")},
        {"db.yaml": sealed_secret("db", "y"), "old.yaml": None, "new.yaml": sealed_secret("new", "x")},
        {"Secret db": "change", "Secret old": "prune", "Secret new": "create"},
        prepare=give_sealing_key,
        flags=by_sealing_key,
        during=sealing_key_given,
    ),
    "a Secret in the clear": Scenario(FOUR, {"db.yaml": secret("db", password="x")}, {"Secret db": "create"}),
    "a Secret in the clear where that is denied": Scenario(
        FOUR,
        {"db.yaml": secret("db", password="x"), "a.yaml": None},
        {"ConfigMap a": "keep"},
        spec={"secrets": {"plaintext": "deny"}},
    ),
    "a file of a layer that cannot be read": Scenario(
        {"base/a.yaml": config_map("a", value="1"), "prod/b.yaml": config_map("b", value="1")},
        {"base/a.yaml": config_map("a", value="2"), "prod/b.yaml": "a: ["},
        {},
        spec={"layers": ("base", "prod")},
        silent=True,
    ),
    "every fault of a commit": Scenario(
        {
            **{f"{number}/victim.yaml": config_map(f"victim{number}", value="1") for number in range(len(FAULTS))},
            **GOOD,
        },
        {
            **{
                f"{number}/{path}": numbered(content, number)
                for number, fault in enumerate(FAULTS)
                for path, content in fault.files.items()
            },
            "other.yaml": config_map("other", value="2"),
            "leaving.yaml": None,
        },
        None,
    ),
}
