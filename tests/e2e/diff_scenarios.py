"""The scenarios in which `agent diff` predicts the next run, as rows: what was applied, what happened since, what is committed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import test_kinds_not_watched as kinds_not_watched
from diff_events import (
    add,
    broken,
    by_another,
    by_kubectl,
    by_sealing_key,
    copy,
    delete,
    edit,
    edit_and_delete,
    git_away,
    give_sealing_key,
    kill,
    lose_record,
    nothing,
    sealing_key_given,
    store_away,
    store_sealed,
    until_gone,
)
from diff_files import (
    ENV,
    FOUR,
    GOOD,
    IMMUTABLE,
    MANY,
    OVERLAY,
    RENDERED,
    STORE,
    STORE_CHANGE,
    altered,
    annotated,
    by_transit,
    claim,
    job,
    numbered,
    sealed_secret,
    strangers,
    typed_secret,
)
from manifests_written import config_map, deployment, secret
from test_bad_input import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from diff_files import Content

    from testbed.installation import Installation, Tenant


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


CONFIRM = "signet-gitops.dev/confirm-prune"
STORE_FOUND = {"ConfigMap other": "change", "ConfigMap leaving": "keep"}
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
    "an overlay and its variables change, and an object of it was edited": Scenario(
        OVERLAY,
        {"prod/c.yaml": config_map("c", value="2"), "vars.env": "VALUE=2\n"},
        {f"ConfigMap {name}": "change" for name in ("a", "c", "made")},
        edit,
        stopped=True,
        spec=RENDERED,
    ),
    "most of an overlay goes, confirmed by its commit": Scenario(
        OVERLAY,
        {"prod/kustomization.yaml": "resources: [d.yaml]\n"},
        {**{f"ConfigMap {name}": "prune" for name in ("a", "b", "c", "made")}, "Secret db": "prune"},
        paused=True,
        committed=True,
        annotations=lambda tenant: {CONFIRM: tenant.repository.head()},
        spec=RENDERED,
    ),
    "a Job that finished and is gone": Scenario({**FOUR, "job.yaml": job()}, {}, {}, until_gone),
    "a first commit": Scenario({}, FOUR, {f"ConfigMap {name}": "create" for name in "abcd"}),
    "one of each": Scenario(
        FOUR,
        {"a.yaml": config_map("a", value="2"), "b.yaml": None, "e.yaml": config_map("e", value="1")},
        {"ConfigMap a": "change", "ConfigMap b": "prune", "ConfigMap e": "create"},
    ),
    "what a person added": Scenario(FOUR, {}, {"ConfigMap a": "change"}, add, paused=True),
    "what a person added, beside a commit": Scenario(
        FOUR,
        {"b.yaml": config_map("b", value="2")},
        {"ConfigMap a": "change", "ConfigMap b": "change"},
        add,
        paused=True,
    ),
    "what a person added, where it is kept": Scenario(
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
