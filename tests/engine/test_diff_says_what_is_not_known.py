"""What `agent diff -f` says where a user may not read all that the agent reads: the rest, and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world.sources import Stores, commit_of
from whole_runs import manifests as m
from whole_runs.installation import Installation
from whole_runs.previewing import FORBIDDEN, User, asking
from whole_runs.surroundings import UID

from agent.values.errors import ClusterError, ClusterUnavailableError, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["asking"]

FOUR = {f"{name}.yaml": m.config(name) for name in "abcd"}
WEB = {"db.yaml": m.secret(), "web.yaml": m.workload(uses="db")}
CHANGE = {**FOUR, "a.yaml": m.config("a", "2"), "e.yaml": m.config("e")}
LISTS = {
    "RBAC": (FORBIDDEN, 1, "you may not read secrets"),
    "an API server that is not ready": (
        ClusterUnavailableError("the API server is overloaded or not ready", code=503),
        2,
        "secrets could not be read (ClusterUnavailable: the API server is overloaded or not ready)",
    ),
    "another error": (
        ClusterError("the API server refused the request", code=501),
        2,
        "secrets could not be read (Cluster: the API server refused the request)",
    ),
}
RECORDS = {
    "RBAC": (FORBIDDEN, 1, "you may not read the agent's records in signet-system"),
    "an API server that is not ready": (
        ClusterUnavailableError("the API server is overloaded or not ready", code=503),
        2,
        "the agent's records in signet-system could not be read (ClusterUnavailable:",
    ),
}
OBJECTS = {
    "one that may not be read": "get ConfigMap",
    "one that may not be applied": "apply ConfigMap",
}
GONE = {"d.yaml": FOUR["d.yaml"]}
NO_CAUSE = "so whether a commit or a live edit is the cause is not known"
OVERLOOKED = "whether another Application has kinds that this one has no more: then the agent deletes 1 object with this one's label"


def world_of(files: dict[str, str], **spec: object) -> Installation:
    world = Installation(files=files, **spec)
    world.stores.write("kv/db", password="first", user="shop")
    return world


class TestOfWhatAUserMayNotRead:
    """The rest is shown, and what is not known is named."""

    async def world(self, **spec: object) -> Installation:
        world = world_of({**FOUR, "s.yaml": m.secret("s")}, **spec)
        await world.run()
        return world

    @pytest.mark.parametrize("name", LISTS)
    async def test_a_kind_that_cannot_be_listed(self, asking: Callable[..., User], name: str) -> None:
        error, code, text = LISTS[name]
        said = await asking(await self.world(), errors={"list Secret": error}).diff(CHANGE)
        assert said.actions == {"ConfigMap/a": "change", "ConfigMap/e": "create", "Secret/s": "prune"}, "it is recorded"
        assert said.unknown == [f"{text}, so what would be deleted of them is not known"]
        assert (said.code, [each["reason"] for each in said.problems]) == (code, [error.reason] if code == 2 else [])

    async def test_a_group_that_discovery_does_not_know(self, asking: Callable[..., User]) -> None:
        said = await asking(await self.world(), unavailable=("metrics.example.com",)).diff(CHANGE)
        assert len(said.actions) == 3
        assert said.unknown == [
            "the cluster does not say what metrics.example.com has, so what would be deleted of it is not known"
        ]

    @pytest.mark.parametrize(
        ("everywhere", "what"), [(True, "Applications"), (False, "Applications of other namespaces")]
    )
    async def test_other_applications(self, asking: Callable[..., User], everywhere: bool, what: str) -> None:
        refused = ["list Application of all namespaces", *(["list Application"] if everywhere else [])]
        said = await asking(await self.world(), errors=dict.fromkeys(refused, FORBIDDEN)).diff(CHANGE)
        assert len(said.actions) == 3
        conflicts = [each for each in said.unknown if "conflicts" in each]
        assert conflicts == [f"you may not read {what}, so conflicts with them are not known"]

    @pytest.mark.parametrize("name", RECORDS)
    async def test_the_record(self, asking: Callable[..., User], name: str) -> None:
        error, code, text = RECORDS[name]
        said = await asking(await self.world(), errors={"records": error}).diff(CHANGE)
        assert said.actions == {"ConfigMap/a": "change", "ConfigMap/e": "create", "Secret/s": "prune"}
        assert said.causes == {"ConfigMap/a": "unknown", "ConfigMap/e": "commit"}
        assert said.unknown[0].startswith(text)
        assert len(said.unknown) == 2
        assert said.code == code

    async def test_a_record_that_is_damaged(self, asking: Callable[..., User]) -> None:
        world = await self.world()
        shards = world.shards[UID].stored
        shards["head"] = (shards["head"][0], "1.1.mac.aGVsbG8=")
        said = await asking(world).diff(CHANGE)
        assert said.unknown == [
            "the agent's record is damaged: it counts as lost, and everything is applied again",
            OVERLOOKED,
        ]
        assert said.code == 2
        assert [each["reason"] for each in said.problems] == ["RecordDamaged"]
        assert said.of("change") == {f"ConfigMap/{name}" for name in "abcd"}
        world.restart()
        world.push(CHANGE)
        ran = await world.run()
        assert set(ran.writes) == {f"apply ConfigMap/{name}" for name in "abcde"}

    @pytest.mark.parametrize("request_", OBJECTS.values(), ids=OBJECTS.keys())
    @pytest.mark.parametrize("code", [403, 503])
    async def test_objects(self, asking: Callable[..., User], request_: str, code: int) -> None:
        error = FORBIDDEN if code == 403 else ClusterUnavailableError("the API server failed", code=code)
        said = await asking(await self.world(), errors={request_: error}).diff({**CHANGE, "w.yaml": m.workload()})
        assert said.of("unknown") == {f"ConfigMap/{name}" for name in "abcde"}
        assert said.objects["ConfigMap/a"]["message"] == error.message
        assert said.of("create", "prune") == {"Deployment/web", "Secret/s"}
        assert said.unknown == ["whether a value that was not read holds its object: then nothing is deleted"]
        assert said.code == 2
        assert len(said.problems) == 5

    async def test_an_apiserver_that_is_away(self, asking: Callable[..., User]) -> None:
        error = ClusterUnavailableError("the API server does not answer")
        said = await asking(await self.world(), errors={"get ConfigMap": error}).diff(CHANGE)
        assert (said.code, said.objects) == (2, {})
        assert "does not answer" in said.errors

    @pytest.mark.parametrize("named", [True, False])
    async def test_a_value_of_a_store(self, asking: Callable[..., User], named: bool) -> None:
        """Denied to the user, or not asked for: the agent may read it."""
        world = world_of({**WEB, **FOUR})
        await world.run()
        files = {
            **WEB,
            **FOUR,
            "db.yaml": m.other("Secret", "db", stringData={"password": "vault://main/kv/db#user", "n": "1"}),
        }
        del files["a.yaml"]
        store = Stores(denied={"kv/db"}) if named else None
        said = await asking(world, store=store).diff(files)
        assert said.actions == {"Secret/db": "change", "Deployment/web": "roll", "ConfigMap/a": "prune"}
        assert said.objects["Secret/db"]["unknown"] == [
            {"path": "stringData.password", "references": ["vault://main/kv/db#user"]}
        ]
        assert [line["path"] for line in said.objects["Secret/db"]["fields"]] == ["data.n"]
        assert said.unknown == ["whether a value that was not read holds its object: then nothing is deleted"]
        assert [each["reason"] for each in said.problems] == (["StoreDenied"] if named else [])
        assert said.code == (2 if named else 1)
        assert ("give --vault-store" in said.errors) is not named

    async def test_the_commit_that_was_applied_last(self, asking: Callable[..., User]) -> None:
        world = world_of({**FOUR, **WEB})
        await world.run()
        world.edit("Secret/db", "data", "password", to="ZWRpdGVk")
        said = await asking(world, store=world.stores, knows_history=False).diff(
            {**FOUR, **WEB, "e.yaml": m.config("e")}
        )
        assert said.actions == {"Secret/db": "change", "Deployment/web": "roll", "ConfigMap/e": "create"}
        assert said.causes == {"Secret/db": "unknown", "Deployment/web": "unknown", "ConfigMap/e": "commit"}
        assert said.unknown == [f"the commit that was applied last is not here, {NO_CAUSE}"]

    async def test_what_the_commit_that_was_applied_last_asked_for(self, asking: Callable[..., User]) -> None:
        error = LimitError("git takes too long", seconds=30)
        said = await asking(await self.world(), errors={"read commit": error}).diff(CHANGE)
        assert said.causes == {"ConfigMap/a": "unknown", "ConfigMap/e": "commit"}
        assert said.unknown == [
            f"what was applied last cannot be made again (Limit: git takes too long (seconds 30)), {NO_CAUSE}"
        ]

    async def test_which_commit_counted_for_another_spec(self, asking: Callable[..., User]) -> None:
        world = await self.world()
        world.spec(interval="2h")
        said = await asking(world).diff(CHANGE)
        assert said.causes["ConfigMap/a"] == "unknown"
        assert said.unknown == [
            f"the agent has not yet applied a commit by the spec as it stands in the cluster, {NO_CAUSE}"
        ]

    @pytest.mark.parametrize("code", [403, 503])
    async def test_the_application(self, asking: Callable[..., User], code: int) -> None:
        error = FORBIDDEN if code == 403 else ClusterUnavailableError("the API server failed", code=code)
        said = await asking(await self.world(), errors={"get Application": error}).diff(CHANGE)
        assert said.actions == {"ConfigMap/a": "change", "ConfigMap/e": "create"}
        assert said.causes == {}
        what = (
            "you may not read the Application"
            if code == 403
            else ("the Application could not be read (ClusterUnavailable: the API server failed)")
        )
        assert said.unknown == [f"{what}, so what it owns, prunes and conflicts with is not known"]
        assert said.code == (1 if code == 403 else 2)


async def test_an_application_that_is_not_there_yet_takes_over_what_has_no_owner(asking: Callable[..., User]) -> None:
    world = world_of({})
    world.make(m.config("a"), "kubectl-client-side-apply")
    world.put_other("other")
    world.make(m.config("new", "theirs"), owner="other")
    said = await asking(world).diff({**FOUR, "new.yaml": m.config("new")}, exists=False)
    assert said.unknown == ["the cluster has no such Application yet"]
    expected = {
        **{f"ConfigMap/{name}": "create" for name in "bcd"},
        "ConfigMap/a": "change",
        "ConfigMap/new": "conflict",
    }
    assert said.actions == expected
    assert set(said.causes.values()) == {"commit"}


class TestOfAConfirmation:
    async def world(self) -> Installation:
        world = world_of(FOUR)
        await world.run()
        world.push(GONE)
        return world

    async def test_it_counts_at_the_commit_that_it_names(self, asking: Callable[..., User]) -> None:
        world = await self.world()
        world.confirm(2)
        said = await asking(world).diff(GONE, commit=commit_of(2))
        assert said.actions == {f"ConfigMap/{name}": "prune" for name in "abc"}
        assert set((await world.run()).writes) == {f"delete ConfigMap/{name}" for name in "abc"}

    @pytest.mark.parametrize(("confirmed", "commit"), [(None, 2), (1, 2), (2, None)])
    async def test_else_what_waits_for_one_is_named(
        self, asking: Callable[..., User], confirmed: int | None, commit: int | None
    ) -> None:
        world = await self.world()
        if confirmed:
            world.confirm(confirmed)
        said = await asking(world).diff(GONE, commit=commit_of(commit) if commit else "")
        assert said.actions == {f"ConfigMap/{name}": "keep" for name in "abc"}
        assert all("confirm-prune" in said.objects[f"ConfigMap/{name}"]["hint"] for name in "abc")
        assert ("3 objects wait for a confirmation" in said.errors) == (commit is None)
        assert said.code == 1
