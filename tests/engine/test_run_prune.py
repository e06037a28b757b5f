"""What a run deletes: what is in no layer any more and proven ours, and never much of it, or what holds other things, unconfirmed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from memory_world.sources import commit_of
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.engine import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OTHER = "other"


def files(names: str) -> dict[str, str]:
    return {f"{name}.yaml": m.config(name) for name in names}


@dataclass
class Case:
    """`before` is what was applied, `after` what the next commit has; ConfigMaps by letters, others as files."""

    before: str
    after: str
    deleted: str
    refused: str = ""
    more: Mapping[str, str] = field(default_factory=dict)
    more_after: Mapping[str, str] = field(default_factory=dict)
    happens: Callable[[Installation], object] = lambda _: None
    spec: Mapping[str, object] = field(default_factory=dict)
    known: str = ""
    """Objects besides ConfigMaps whose deletion is refused or done, by Kind/name."""


def confirmed(*, characters: int = 40, commit: int = 2) -> Callable[[Installation], None]:
    return lambda world: world.confirm(commit, characters=characters)


CONFIRMED_ONLY = {
    "Namespace/team": m.other("Namespace", "team"),
    "PersistentVolume/vol": m.other("PersistentVolume", "vol", spec={"capacity": {"storage": "1Gi"}}),
    "PersistentVolumeClaim/disk": m.claim(),
    "CustomResourceDefinition/gadgets.example.com": m.definition(),
}

CASES = {
    "one of many": Case("abcde", "abcd", "e"),
    "two of five": Case("abcde", "abc", "de"),
    "two of three are not many": Case("abc", "a", "bc"),
    "three that are half": Case("abcdef", "abc", "def"),
    "three that are over half": Case("abcde", "ab", "", "cde"),
    "three that are over half, confirmed": Case("abcde", "ab", "cde", happens=confirmed()),
    "confirmed by seven characters": Case("abcde", "ab", "cde", happens=confirmed(characters=7)),
    "confirmed by six characters": Case("abcde", "ab", "", "cde", happens=confirmed(characters=6)),
    "a confirmation of the commit before": Case("abcde", "ab", "", "cde", happens=confirmed(commit=1)),
    "all": Case("a", "", "", "a"),
    "all, confirmed": Case("a", "", "a", happens=confirmed()),
    "pruning is off": Case("abcde", "abcd", "", spec={"prune": False}),
    "pruning is off, confirmed": Case("abcde", "ab", "", spec={"prune": False}, happens=confirmed()),
    "what a person deleted does not count": Case(
        "abcdef", "abcd", "", happens=lambda world: any(map(world.delete, ("ConfigMap/e", "ConfigMap/f")))
    ),
    "an object that asks to be kept": Case(
        "abcd", "abcd", "", more={"x.yaml": m.config("x", annotations={"prune": "disabled"})}
    ),
    "an object that asks in the cluster to be kept": Case(
        "abcde",
        "abcd",
        "",
        happens=lambda world: world.edit(
            "ConfigMap/e", "metadata", "annotations", "signet-gitops.dev/prune", to="disabled"
        ),
    ),
    "an object that is reconciled no more in the cluster": Case(
        "abcde",
        "abcd",
        "",
        happens=lambda world: world.edit(
            "ConfigMap/e", "metadata", "annotations", "signet-gitops.dev/reconcile", to="disabled"
        ),
    ),
    "an object that another Application owns by now": Case(
        "abcde", "abcd", "", happens=lambda world: world.give_to("ConfigMap/e", OTHER)
    ),
    "an object whose proof a person removed": Case(
        "abcde",
        "abcd",
        "",
        happens=lambda world: world.edit(
            "ConfigMap/e", "metadata", "annotations", "signet-gitops.dev/owner", to="v1.x"
        ),
    ),
    **{
        f"protected: {name}": Case("abcd", "abcd", "", more={"x.yaml": text}, known=name)
        for name, text in CONFIRMED_ONLY.items()
    },
    **{
        f"protected, confirmed: {name}": Case(
            "abcd", "abcd", "", more={"x.yaml": text}, known=name, happens=confirmed()
        )
        for name, text in CONFIRMED_ONLY.items()
    },
}


@pytest.mark.parametrize("name", CASES)
async def test_what_a_commit_leaves_out(name: str) -> None:
    case = CASES[name]
    world = Installation(files={**files(case.before), **case.more}, **case.spec)
    assert (await world.run()).problems == []
    world.push({**files(case.after), **case.more_after})
    case.happens(world)
    ran = await world.run()
    protected = [case.known] if case.known else []
    is_confirmed = case.happens is not Case.happens
    gone = [f"ConfigMap/{each}" for each in case.deleted] + (protected if is_confirmed else [])
    stays = [f"ConfigMap/{each}" for each in case.refused] + ([] if is_confirmed else protected)
    assert ran.writes == [f"delete {each}" for each in gone]
    assert ran.problems == [f"PruneRefused {each}" for each in stays]
    assert all(world.live(each) is None for each in gone)
    assert all(world.live(each) is not None for each in stays)
    assert ran.status.counts.pruned == len([each for each in ran.actions if ran.actions[each] == "prune"])


async def test_a_refusal_names_the_commit_that_a_confirmation_has_to_name() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.push(files("ab"))
    ran = await world.run()
    assert ran.error_of("ConfigMap/c").facts["commit"] == commit_of(2)[:12]
    assert ran.ready == "PruneRefused"
    world.confirm(2)
    assert (await world.run("spec")).writes == ["delete ConfigMap/c", "delete ConfigMap/d", "delete ConfigMap/e"]


async def test_a_confirmation_counts_for_its_commit_alone() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.push(files("ab"))
    world.confirm(2)
    world.push({**files("ab"), "b.yaml": m.config("b", "2")})
    ran = await world.run()
    assert ran.writes == ["apply ConfigMap/b"]
    assert len(ran.problems) == 3


async def test_a_commit_that_is_reverted_deletes_nothing() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.push(files("ab"))
    await world.run()
    world.push(files("abcde"))
    ran = await world.run()
    assert ran.quiet


async def test_an_object_that_could_not_be_deleted_is_deleted_later() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.push(files("abcd"))
    world.meanwhile("delete ConfigMap/e", lambda: setattr(world.traffic, "away", True))
    ran = await world.run()
    assert ran.problems == ["ClusterUnavailable ConfigMap/e"]
    assert "ConfigMap/e" in world.recorded, "what was not deleted stays in the record, or it would leak"
    world.traffic.away = False
    assert (await world.run()).writes == ["delete ConfigMap/e"]
    assert "ConfigMap/e" not in world.recorded


async def test_what_was_deleted_already_is_forgotten() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.traffic.unwatched.add(("", "ConfigMap"))
    world.restart()
    world.delete("ConfigMap/e")
    world.push(files("abcd"))
    ran = await world.run()
    assert (ran.writes, ran.problems) == ([], [])
    assert "ConfigMap/e" not in world.recorded


async def test_deletion_goes_backwards() -> None:
    objects = {
        "a.yaml": m.other("ServiceAccount", "a"),
        "b.yaml": m.config("b"),
        "c.yaml": m.workload("c"),
        "e.yaml": m.other("ValidatingWebhookConfiguration", "e", "admissionregistration.k8s.io/v1"),
    }
    world = Installation(files={**objects, **files("uvwxyz")})
    await world.run()
    world.push(files("uvwxyz"))
    ran = await world.run()
    assert ran.writes == [
        "delete ValidatingWebhookConfiguration/e",
        "delete Deployment/c",
        "delete ConfigMap/b",
        "delete ServiceAccount/a",
    ]


async def test_an_object_that_changes_as_it_is_deleted_is_looked_at_again() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.push(files("abcd"))
    world.meanwhile("delete ConfigMap/e", lambda: world.edit("ConfigMap/e", "data", "more", to="x"))
    ran = await world.run()
    assert ran.writes == ["delete ConfigMap/e: StaleObject", "delete ConfigMap/e"]
    assert ran.problems == []


async def test_an_object_that_another_application_takes_as_it_is_deleted_stays() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.push(files("abcd"))
    world.meanwhile("delete ConfigMap/e", lambda: world.give_to("ConfigMap/e", OTHER))
    ran = await world.run()
    assert ran.writes == ["delete ConfigMap/e: StaleObject"]
    assert ran.problems == []
    assert world.live("ConfigMap/e") is not None


async def test_an_object_that_asks_to_be_kept_as_it_is_deleted_stays() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.push(files("abcd"))
    annotation = ("metadata", "annotations", "signet-gitops.dev/prune")
    world.meanwhile("delete ConfigMap/e", lambda: world.edit("ConfigMap/e", *annotation, to="disabled"))
    ran = await world.run()
    assert ran.problems == ["PruneRefused ConfigMap/e"]
    assert world.live("ConfigMap/e") is not None


async def test_an_object_that_keeps_changing_is_deleted_another_time() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.push(files("abcd"))
    changes = [lambda n=n: world.edit("ConfigMap/e", "data", "more", to=str(n)) for n in range(9)]
    world.meanwhile("delete ConfigMap/e", *changes)
    ran = await world.run()
    assert ran.writes == ["delete ConfigMap/e: StaleObject"] * 4
    assert ran.problems == ["StaleObject ConfigMap/e"]
    assert ran.status.conditions[1].status == "True", "it is tried again"


async def test_a_copy_of_an_object_is_never_deleted() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    copy = dict(world.live("ConfigMap/a") or {})
    metadata = dict(copy["metadata"])
    del metadata["uid"], metadata["resourceVersion"], metadata["managedFields"]
    world.server.create({**copy, "metadata": {**metadata, "name": "copy"}}, "kubectl-create")
    ran = await world.run()
    assert ran.quiet
    assert world.live("ConfigMap/copy") is not None


@pytest.mark.parametrize("others", ["abcd", ""], ids=["among others", "all that there is"])
async def test_a_sealed_secret_goes_alone_where_its_secret_is_to_stay(others: str) -> None:
    served = m.definition("SealedSecret").replace("example.com", "bitnami.com").replace('"v1"', '"v1alpha1"')
    world = Installation(files={**files(others), "s.yaml": m.sealed_secret("db")})
    world.make(served, "platform")
    assert (await world.run()).problems == []
    uid = world.value("SealedSecret/db", "metadata", "uid")
    world.make(m.other("Secret", "db", data={"password": "aHVudGVyMg=="}), "sealed-secrets-controller")
    owned = [{"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": "db", "uid": uid}]
    world.edit("Secret/db", "metadata", "ownerReferences", to=owned, by="sealed-secrets-controller")
    world.configure(sealedSecrets={"keys": [{"secretName": "key"}]})
    ran = await world.run()
    assert ran.writes == ["apply Secret/db", "delete SealedSecret/db"]
    assert world.live("Secret/db") is not None
    assert world.value("Secret/db", "metadata", "ownerReferences") == []


async def test_what_is_deleted_is_in_the_trail_before_and_after() -> None:
    world = Installation(files=files("abcde"))
    await world.run()
    world.push(files("abcd"))
    ran = await world.run()
    assert [(each.phase, each.action, each.cause, each.result) for each in ran.audit] == [
        ("intent", "prune", "commit", ""),
        ("outcome", "prune", "commit", "ok"),
    ]
    assert world.audit.checkpoints == 2


class TestOfAnApplicationThatIsDeleted:
    async def test_everything_goes_where_the_policy_is_to_prune(self) -> None:
        world = Installation(files=files("abc"), deletionPolicy="prune")
        await world.run()
        ran = await world.retire()
        assert ran.writes == ["delete ConfigMap/a", "delete ConfigMap/b", "delete ConfigMap/c", "patch Application/web"]

    async def test_everything_stays_where_it_is_not(self) -> None:
        world = Installation(files=files("abc"))
        await world.run()
        assert (await world.retire()).writes == ["patch Application/web"]

    @pytest.mark.parametrize("confirmed", [False, True])
    async def test_what_holds_other_things_stays_unless_its_deletion_is_confirmed(self, confirmed: bool) -> None:
        world = Installation(files={**files("a"), "disk.yaml": m.claim()}, deletionPolicy="prune")
        await world.run()
        if confirmed:
            world.confirm()
        ran = await world.retire()
        assert ("delete PersistentVolumeClaim/disk" in ran.writes) == confirmed
        assert ("Orphaned" in ran.events) != confirmed
        assert world.live("ConfigMap/a") is None

    async def test_it_is_tried_again_where_the_api_server_is_away(self) -> None:
        world = Installation(files=files("a"), deletionPolicy="prune")
        await world.run()
        world.meanwhile("delete ConfigMap/a", lambda: setattr(world.traffic, "away", True))
        ran = await world.retire()
        assert ran.pending == ["Application/web"]
        assert "patch Application/web" not in ran.writes

    async def test_what_was_confirmed_for_two_stays_confirmed_for_the_second_when_the_first_is_gone(self) -> None:
        disks = {f"{name}.yaml": m.claim(name) for name in ("one", "two")}
        world = Installation(files=disks, deletionPolicy="prune")
        await world.run()
        both = [world.key(f"PersistentVolumeClaim/{name}") for name in ("one", "two")]
        world.annotate(confirm_prune=f"{world.commit}-{guard.digest(both)}")
        world.meanwhile("delete PersistentVolumeClaim/two", lambda: setattr(world.traffic, "away", True))
        assert (await world.retire()).pending == ["Application/web"]
        world.traffic.away = False
        ran = await world.retire()
        assert ran.writes == ["delete PersistentVolumeClaim/two", "patch Application/web"]

    async def test_nothing_goes_with_a_namespace_that_goes(self) -> None:
        world = Installation(files=files("a"), deletionPolicy="prune")
        await world.run()
        world.server.delete(world.key("Namespace/shop"))
        ran = await world.retire()
        assert ran.writes == ["patch Application/web"]
        assert world.live("ConfigMap/a") is not None


async def test_what_is_gone_already_is_no_difference_and_is_forgotten() -> None:
    files = {f"{name}.yaml": m.config(name) for name in "abcd"}
    world = Installation(files=files)
    await world.run()
    world.spec(sync={"mode": "detect"})
    world.delete("ConfigMap/a")
    world.push({name: text for name, text in files.items() if name != "a.yaml"})
    ran = await world.run()
    assert (ran.pending, ran.changes, ran.ready) == ([], (), "Applied")
    world.spec(sync={"mode": "apply"})
    ran = await world.run()
    assert (ran.writes, ran.changes) == ([], ())
    assert world.recorded == [f"ConfigMap/{name}" for name in "bcd"]
