"""A field that only a new object can change: what is judged immutable, when the object is replaced, and what is said where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world.server import REMOVED
from memory_world.sources import commit_of
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.engine.ports import Identity
from agent.values.errors import (
    AgentError,
    ClusterUnavailableError,
    ForbiddenError,
    HeldError,
    ObjectInvalidError,
    StaleObjectError,
)
from agent.values.tree import get

if TYPE_CHECKING:
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

REPLACE = {"replace": "true"}
WEB = "Deployment/web"
REFUSED = f"apply {WEB}: ObjectInvalid"


async def changed(app: str = "new", annotations: dict[str, str] | None = None, **spec: object) -> Installation:
    """A workload with another selector than the one that stands."""
    world = Installation(files={"w.yaml": m.workload(annotations=annotations)}, **spec)
    assert (await world.run()).problems == []
    world.push({"w.yaml": m.workload(app=app, annotations=annotations)})
    return world


async def test_the_object_fails_and_stays() -> None:
    world = await changed()
    ran = await world.run()
    assert ran.problems == [f"ImmutableField {WEB}"]
    assert ran.writes == [REFUSED]
    error = ran.error_of(WEB)
    assert error.facts["field"] == "spec.selector"
    assert "fields" not in error.facts, "there is one"
    assert 'signet-gitops.dev/replace: "true"' in error.hint


async def test_it_is_deleted_and_created_again_where_it_says_so() -> None:
    world = await changed(annotations=REPLACE)
    before = world.value(WEB, "metadata", "uid")
    ran = await world.run()
    assert ran.writes == [REFUSED, f"delete {WEB}", f"apply {WEB}"]
    assert ran.actions == {WEB: "replace"}
    assert ran.messages == [
        "Applied: 1 object replaced, revision refs/heads/main@000000000002: Deployment.apps shop/web"
    ]
    assert world.value(WEB, "metadata", "uid") != before
    assert (await world.run()).quiet


async def test_it_is_tried_as_the_tenant() -> None:
    world = await changed(annotations=REPLACE)
    world.traffic.identities.clear()
    await world.run()
    assert world.traffic.identities == {Identity("shop", "signet-applier")}


@pytest.mark.parametrize("request_", ["create", "patch"])
@pytest.mark.parametrize(
    "refusal",
    [
        ForbiddenError("RBAC does not allow it"),
        ForbiddenError("the namespace's quota is used up"),
        ObjectInvalidError("an admission webhook does not support dry run", webhook="w.example.com"),
        ObjectInvalidError("an admission webhook denied the request", webhook="w.example.com"),
        ClusterUnavailableError("the API server did not answer in time"),
        StaleObjectError("the object changed in the meantime"),
    ],
    ids=lambda error: error.message,
)
async def test_nothing_is_deleted_where_a_dry_run_does_not_say(refusal: AgentError, request_: str) -> None:
    world = await changed(annotations=REPLACE)
    world.traffic.untried[f"{request_} {WEB}"] = refusal
    ran = await world.run()
    assert ran.problems == [f"ObjectInvalid {WEB}"]
    assert ran.writes == [REFUSED]
    error = ran.error_of(WEB)
    assert error.facts["field"] == "spec.selector"
    assert "fields" not in error.facts, "there is one"
    assert refusal.message in str(error.facts["because"])
    world.traffic.untried.clear()
    assert (await world.run()).actions == {WEB: "replace"}


async def test_an_object_that_is_invalid_as_a_new_one_too_is_not_replaced() -> None:
    def no_copies(_: ObjectId, tree: Object) -> None:
        if get(tree, "spec", "replicas") == -1:
            raise ObjectInvalidError("field has an invalid value", field="spec.replicas")

    world = await changed(annotations=REPLACE)
    text = m.workload(app="new", annotations=REPLACE).replace('"selector"', '"replicas": -1,\n "selector"')
    world.push({"w.yaml": text})
    world.server.admission.append(no_copies)
    ran = await world.run()
    assert ran.writes == [REFUSED]
    assert ran.problems == [f"ImmutableField {WEB}"]
    error = ran.error_of(WEB)
    assert (error.facts["field"], error.facts["invalid"]) == ("spec.selector", "spec.replicas")
    assert "signet-gitops.dev/replace" not in error.hint


async def test_a_field_that_no_new_object_may_have_is_not_immutable() -> None:
    def refuse(key: ObjectId, _: Object) -> None:
        if key.kind == "Deployment":
            raise ObjectInvalidError("field has an invalid value", field="spec.replicas")

    world = Installation(files={"w.yaml": m.workload(annotations=REPLACE)})
    await world.run()
    world.push({"w.yaml": m.workload(annotations=REPLACE, image="web:2")})
    world.server.admission.append(refuse)
    ran = await world.run()
    assert (ran.problems, ran.writes) == ([f"ObjectInvalid {WEB}"], [REFUSED])


async def test_what_others_put_beside_it_is_not_immutable() -> None:
    def clash(_: ObjectId, tree: Object) -> None:
        if get(tree, "data", "theirs") and get(tree, "data", "value") == "2":
            raise ObjectInvalidError("field has an invalid value", field="data[value]")

    world = Installation(files={"a.yaml": m.config(annotations=REPLACE)})
    await world.run()
    world.edit("ConfigMap/a", "data", "theirs", to="x", by="controller")
    world.server.admission.append(clash)
    world.push({"a.yaml": m.config(data="2", annotations=REPLACE)})
    ran = await world.run()
    assert (ran.problems, ran.writes) == (["ObjectInvalid ConfigMap/a"], ["apply ConfigMap/a: ObjectInvalid"])
    error = ran.error_of("ConfigMap/a")
    assert (error.facts["managers"], "spec.ignore" in error.hint) == ("controller", True)


async def test_one_that_is_not_proven_ours_is_not_replaced_and_the_hint_suggests_no_annotation() -> None:
    for given in (None, REPLACE):
        world = Installation(files={"w.yaml": m.workload(app="new", annotations=given)})
        world.make(m.workload(), "another-tool")
        ran = await world.run()
        assert ran.problems == [f"ImmutableField {WEB}"]
        assert world.live(WEB) is not None
        assert "signet-gitops.dev/replace" not in ran.error_of(WEB).hint


class TestOfAClaim:
    CLAIM = "PersistentVolumeClaim/disk"

    async def resized(self, annotations: dict[str, str] | None) -> Installation:
        world = Installation(files={"c.yaml": m.claim(annotations=annotations), "a.yaml": m.config()})
        await world.run()
        world.push({"c.yaml": m.claim(size="2Gi", annotations=annotations), "a.yaml": m.config()})
        return world

    @pytest.mark.parametrize("annotations", [None, REPLACE], ids=["plain", "annotated"])
    async def test_it_is_not_replaced_and_the_hint_advises_nothing_that_does_not_work(
        self, annotations: dict[str, str] | None
    ) -> None:
        world = await self.resized(annotations)
        ran = await world.run()
        assert ran.problems == [f"ImmutableField {self.CLAIM}"]
        assert ran.writes == [f"apply {self.CLAIM}: ObjectInvalid"]
        hint = ran.error_of(self.CLAIM).hint
        assert "signet-gitops.dev/replace" not in hint
        assert ("--confirm-prune" in hint) == (annotations is not None)

    async def asked(self, world: Installation) -> str:
        """What the refusal says confirms it."""
        return str((await world.run()).error_of(self.CLAIM).facts["confirm"])

    async def test_it_is_replaced_once_what_the_refusal_names_is_confirmed(self) -> None:
        world = await self.resized(REPLACE)
        world.annotate(confirm_prune=await self.asked(world))
        ran = await world.run("spec")
        assert ran.writes == [f"apply {self.CLAIM}: ObjectInvalid", f"delete {self.CLAIM}", f"apply {self.CLAIM}"]
        assert ran.actions == {self.CLAIM: "replace"}
        assert (await world.run()).quiet

    @pytest.mark.parametrize("commit", [1, None], ids=["that was", "that changes it"])
    async def test_a_commit_alone_does_not_confirm_it(self, commit: int | None) -> None:
        world = await self.resized(REPLACE)
        world.confirm(commit)
        assert (await world.run()).writes == [f"apply {self.CLAIM}: ObjectInvalid"]

    async def test_a_confirmed_deletion_at_the_same_commit_confirms_none(self) -> None:
        disk = m.claim(annotations=REPLACE)
        world = Installation(files={"c.yaml": disk, "d.yaml": m.claim("old"), "a.yaml": m.config()})
        await world.run()
        world.push({"c.yaml": m.claim(size="2Gi", annotations=REPLACE), "a.yaml": m.config()})
        world.confirm()
        assert (await world.run()).problems == [f"ImmutableField {self.CLAIM}"]
        assert (world.live("PersistentVolumeClaim/old"), world.live(self.CLAIM) is None) == (None, False)

    async def test_its_confirmation_confirms_no_deletion_with_the_application(self) -> None:
        world = await self.resized(REPLACE)
        world.spec(deletionPolicy="prune")
        world.annotate(confirm_prune=await self.asked(world))
        await world.run("spec")
        before = world.value(self.CLAIM, "metadata", "uid")
        await world.retire()
        assert world.value(self.CLAIM, "metadata", "uid") == before

    async def test_its_confirmation_replaces_it_once(self) -> None:
        sizes = {f"{size}/c.yaml": m.claim(size=size, annotations=REPLACE) for size in ("1Gi", "2Gi", "3Gi")}
        world = Installation(files={**sizes, "1Gi/a.yaml": m.config()}, layers=["1Gi"])
        await world.run()
        world.spec(layers=["1Gi", "2Gi"])
        world.annotate(confirm_prune=await self.asked(world))
        assert (await world.run("spec")).actions == {self.CLAIM: "replace"}
        world.spec(layers=["1Gi", "3Gi"])
        ran = await world.run("spec")
        assert (ran.problems, ran.writes) == ([f"ImmutableField {self.CLAIM}"], [f"apply {self.CLAIM}: ObjectInvalid"])

    async def test_a_confirmation_without_the_authors_annotation_replaces_nothing(self) -> None:
        world = await self.resized(REPLACE)
        confirm = await self.asked(world)
        world.push({"c.yaml": m.claim(size="2Gi"), "a.yaml": m.config()})
        world.annotate(confirm_prune=confirm.replace(commit_of(2)[:12], commit_of(3)[:12]))
        assert (await world.run()).writes == [f"apply {self.CLAIM}: ObjectInvalid"]


@pytest.mark.parametrize(
    "then",
    [
        {"data": {"a": "1"}},
        {"immutable": True},
        {"data": {"a": "2"}},
    ],
    ids=["the mark", "the data", "the mark, and the data changes"],
)
async def test_a_field_that_git_drops_may_be_immutable_too(then: dict[str, object]) -> None:
    first = m.other("ConfigMap", "c", annotations=REPLACE, immutable=True, data={"a": "1"})
    world = Installation(files={"c.yaml": first})
    await world.run()
    world.push({"c.yaml": m.other("ConfigMap", "c", annotations=REPLACE, **then)})
    ran = await world.run()
    assert (ran.problems, ran.actions) == ([], {"ConfigMap/c": "replace"})


async def test_what_is_ignored_is_in_the_new_object_that_is_tried_and_made() -> None:
    def needs_an_image(key: ObjectId, tree: Object) -> None:
        if key.kind == "Deployment" and "'image'" not in repr(get(tree, "spec", "template")):
            raise ObjectInvalidError("field is required", field="spec.template.spec.containers[0].image")

    rule = {"jsonPointers": ["/spec/template/spec/containers/name=web/image"]}
    world = await changed(annotations=REPLACE, ignore=[rule])
    world.server.admission.append(needs_an_image)
    ran = await world.run()
    assert (ran.problems, ran.actions) == ([], {WEB: "replace"})
    assert (await world.run()).quiet


async def test_what_a_finalizer_keeps_is_waited_for_and_then_made() -> None:
    world = await changed(annotations=REPLACE)
    world.edit(WEB, "metadata", "finalizers", to=["example.com/keep"], by="controller")
    ran = await world.run()
    assert ran.problems == [f"Held {WEB}"]
    assert isinstance(ran.error_of(WEB), HeldError)
    assert ran.writes == [REFUSED, f"delete {WEB}"]
    assert ran.actions == {WEB: "replace: Held"}
    ran = await world.run("retry")
    assert ran.actions == {WEB: "update: Held"}
    conditions = {each.type: each.status for each in ran.status.conditions}
    assert (conditions["Reconciling"], conditions["Stalled"]) == ("True", "False"), "it passes by itself"
    world.edit(WEB, "metadata", "finalizers", to=REMOVED, by="controller")
    ran = await world.heal()
    assert (ran.writes, ran.problems) == ([f"apply {WEB}"], [])


async def test_one_that_is_deleted_is_made_again_at_once() -> None:
    world = await changed()
    await world.run()
    world.delete(WEB)
    ran = await world.heal()
    assert (ran.writes, ran.problems) == ([f"apply {WEB}"], [])


async def test_what_changed_after_it_was_judged_is_judged_again_before_it_is_deleted() -> None:
    world = await changed(annotations=REPLACE)
    world.meanwhile(f"delete {WEB}", lambda: world.edit(WEB, "spec", "replicas", to=3, by="autoscaler"))
    ran = await world.run()
    assert f"delete {WEB}: StaleObject" in ran.writes
    again = ran.writes[ran.writes.index(f"delete {WEB}: StaleObject") + 1 :]
    assert again[:2] == [REFUSED, f"delete {WEB}"]
