"""A run that waits for long ends a round, and keeps nothing of its objects meanwhile. It comes to what it would have come to without that."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest
from test_run_generated import plain
from test_run_revisions import LAYERS, SEALED
from whole_runs import manifests as m
from whole_runs.endings import finish, job
from whole_runs.hooks import SECRET, SETTINGS, VALUES, chart, hook
from whole_runs.hooks import world as chart_world
from whole_runs.installation import Installation

from agent.engine import rounds
from agent.manifests.ownership import ANNOTATION_HOOK
from agent.values.errors import ObjectInvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.engine.renderers import RenderPort

WAITED, FIRST = "Job/migrate", "Deployment/first"
MIGRATE = m.workload("migrate", "db", annotations={"wave": "25"}, kind="Job")
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: first, annotations: {signet-gitops.dev/wave: "24"}}
spec:
  selector: {matchLabels: {app: first}}
  template:
    metadata: {labels: {app: first}}
    spec: {containers: [{name: a, image: "{{ .Values.image }}"}]}
"""
LATER = SETTINGS.replace("settings}", 'settings, annotations: {signet-gitops.dev/wave: "26"}}')


@pytest.fixture(params=[False, True], ids=["kept", "forgotten"])
def begun(request: pytest.FixtureRequest) -> Callable[[Installation], Installation]:
    """A world whose manifests are kept from one round to the next, or not."""

    def of(world: Installation) -> Installation:
        def forget() -> None:
            world._state = world._state.without_manifests

        if request.param:
            world.between.append(forget)
        return world

    return of


def after(world: Installation, seconds: float, work: Callable[[], object]) -> None:
    """Once, when so many seconds have passed since now."""
    at = world.clock.seconds + seconds

    def passing(now: float) -> None:
        if now > at:
            world.tasks.passing.remove(passing)
            work()

    world.tasks.passing.append(passing)


def rounds_of(world: Installation) -> list[float]:
    """When each round of a run ended."""
    ended: list[float] = []
    world.between.append(lambda: ended.append(world.clock.seconds))
    return ended


async def test_a_wave_that_is_not_healthy_ends_the_round_and_what_is_left_follows_in_the_next(begun) -> None:
    world = begun(Installation(files={"s.yaml": m.plain_secret(), "job.yaml": MIGRATE, "w.yaml": m.workload()}))
    ended, recorded = rounds_of(world), []
    world.between.append(lambda: recorded.append(world.recorded))
    after(world, 100, lambda: finish(world, WAITED))
    ran = await world.run()
    assert (ran.problems, ran.ready) == ([], "Applied")
    assert ran.writes == ["apply Secret/db", f"apply {WAITED}", "apply Deployment/web"]
    assert len(ended) == 1
    assert rounds.PATIENCE < ended[0] < rounds.PATIENCE + 3
    assert 100 < world.clock.seconds < 103
    assert recorded == [["Secret/db"]]
    assert sorted(each.object.name for each in ran.changes) == ["db", "migrate", "web"]
    assert [each.phase for each in ran.audit if each.object] == ["intent", "outcome"] * 3
    assert (await world.run()).quiet


async def test_a_deadline_is_as_far_as_it_was_whatever_is_changed_between_rounds(begun) -> None:
    world = begun(
        Installation(files={"job.yaml": MIGRATE.replace("db", "x"), "w.yaml": m.workload(), "c.yaml": m.config()})
    )
    ended = rounds_of(world)
    labels = ("metadata", "labels", "team")
    world.between.append(lambda: world.edit("ConfigMap/a", "data", "value", to=str(len(ended))))
    world.tasks.passing.append(lambda now: world.edit(WAITED, *labels, to=str(now)))
    ran = await world.run()
    assert ran.problems == [f"Held {WAITED}"]
    assert 300 < world.clock.seconds < 306
    assert world.live("Deployment/web") is not None


async def test_what_is_healthy_for_a_moment_and_edited_is_waited_for_no_longer(begun) -> None:
    world = begun(
        Installation(files={"a.yaml": m.workload("first", annotations={"wave": "24"}), "w.yaml": m.workload()})
    )
    flapped: list[float] = []

    def flap(now: float) -> None:
        if now > 40 * (len(flapped) + 1):
            flapped.append(now)
            stand(world, FIRST, 1)
            world.replace(FIRST, lambda tree: tree["spec"]["template"]["spec"]["containers"][0].update(image="evil:1"))
            world.meanwhile(f"apply {FIRST}", lambda: stand(world, FIRST, 0))

    world.tasks.passing.append(flap)
    ran = await world.run()
    assert ran.problems == [f"Held {FIRST}"]
    assert 300 < world.clock.seconds < 320
    assert ran.writes.count("apply Deployment/web") == 1


async def test_two_waits_end_two_rounds(begun) -> None:
    second = m.workload("seed", annotations={"wave": "27"}, kind="Job")
    world = begun(
        Installation(files={"a.yaml": MIGRATE, "s.yaml": m.plain_secret(), "b.yaml": second, "w.yaml": m.workload()})
    )
    ended = rounds_of(world)
    after(world, 50, lambda: finish(world, WAITED))
    after(world, 200, lambda: finish(world, "Job/seed"))
    ran = await world.run()
    assert ran.problems == []
    assert ran.writes == ["apply Secret/db", f"apply {WAITED}", "apply Job/seed", "apply Deployment/web"]
    assert len(ended) == 2
    assert (await world.run()).quiet


async def test_of_many_objects_that_are_not_ready_a_part_is_asked_for_at_a_time() -> None:
    many = [f"migrate{n}" for n in range(250)]
    files = {f"{name}.yaml": m.workload(name, annotations={"wave": "25"}, kind="Job") for name in many}
    world = Installation(files={**files, "w.yaml": m.workload()})
    after(world, 50, lambda: [finish(world, f"Job/{name}") for name in many])
    asked: list[int] = []
    world.tasks.passing.append(lambda _: asked.append(len(world.traffic.reads)))
    ran = await world.run()
    assert ran.problems == []
    assert ran.writes[-1] == "apply Deployment/web"
    assert max(later - before for before, later in itertools.pairwise(asked)) < 110


async def test_a_lease_that_is_lost_between_rounds_ends_the_run_and_the_next_agent_waits_and_applies_what_is_left(
    begun,
) -> None:
    world = begun(Installation(files={"s.yaml": m.plain_secret(), "job.yaml": MIGRATE, "w.yaml": m.workload()}))
    after(world, 30, lambda: setattr(world, "lease", False))
    assert (await world.run()).ended_by == "LeaseLost"
    world.lease = True
    world.restart()
    after(world, 50, lambda: finish(world, WAITED))
    began = world.clock.seconds
    ran = await world.run()
    assert (ran.problems, ran.writes) == ([], [f"apply {WAITED}", "apply Deployment/web"])
    assert 50 < world.clock.seconds - began < 53
    assert [each.result for each in ran.audit if each.phase == "outcome"] == ["unchanged", "ok"]


async def test_a_run_that_is_cancelled_between_rounds_leaves_a_record_of_what_it_applied(begun) -> None:
    world = begun(Installation(files={"s.yaml": m.plain_secret(), "job.yaml": MIGRATE, "w.yaml": m.workload()}))
    running = asyncio.ensure_future(world.run())
    after(world, 30, running.cancel)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (world.recorded, world.begun, world.recorded_commit) == (["Secret/db"], ["Deployment/web", WAITED], 0)
    world.restart()
    finish(world, WAITED)
    ran = await world.run()
    assert (ran.problems, ran.writes) == ([], [f"apply {WAITED}", "apply Deployment/web"])
    assert (await world.run()).quiet


async def test_a_commit_that_comes_between_rounds_is_the_next_runs_and_prunes_what_it_leaves_out(begun) -> None:
    files = {"s.yaml": m.plain_secret(), "job.yaml": MIGRATE, "w.yaml": m.workload()}
    world = begun(Installation(files=files))
    after(world, 30, lambda: world.push({"s.yaml": m.plain_secret(), "c.yaml": m.config()}))
    after(world, 60, lambda: finish(world, WAITED))
    ran = await world.run()
    assert (ran.problems, world.recorded_commit) == ([], 1)
    assert ran.writes == ["apply Secret/db", f"apply {WAITED}", "apply Deployment/web"]
    ran = await world.run()
    assert (ran.problems, world.recorded_commit) == ([], 2)
    assert sorted(ran.writes) == ["apply ConfigMap/a", "delete Deployment/web", f"delete {WAITED}"]


async def test_what_a_commit_leaves_out_goes_once_in_the_end(begun) -> None:
    files = {"s.yaml": m.plain_secret(), "w.yaml": m.workload()}
    world = begun(Installation(files={**files, "old.yaml": m.config("old")}))
    await world.run()
    world.push({**files, "job.yaml": MIGRATE, "c.yaml": m.config(annotations={"wave": "26"})})
    after(world, 100, lambda: finish(world, WAITED))
    ran = await world.run()
    assert (ran.problems, ran.writes) == ([], [f"apply {WAITED}", "apply ConfigMap/a", "delete ConfigMap/old"])
    assert [reason for reason in ran.messages if reason.startswith("Applied")] == [
        f"Applied: 2 objects applied, revision {ran.status.revision}: Job.batch shop/migrate, ConfigMap shop/a"
    ]


async def test_what_a_round_wrote_is_followed_by_a_checkpoint_where_the_last_one_finds_nothing_left(begun) -> None:
    files = {
        "a.yaml": m.workload("first", annotations={"wave": "24"}),
        "c.yaml": m.config(annotations={"wave": "26"}),
    }
    world = begun(Installation(files=files))
    await first_run(world)
    world.edit("ConfigMap/a", "data", "more", to="added")
    world.push({**files, "a.yaml": m.workload("first", annotations={"wave": "24"}, image="web:2")})
    after(world, 30, lambda: world.replace("ConfigMap/a", lambda tree: tree["data"].pop("more")))
    before = world.audit.checkpoints
    ran = await world.run()
    assert (ran.problems, ran.writes) == ([], ["apply Deployment/first"])
    assert world.audit.checkpoints == before + 1


async def test_what_was_verified_is_recorded_behind_a_wait(begun) -> None:
    files = {**SEALED, "prod/job.yaml": MIGRATE.replace("db", "x"), "prod/w.yaml": m.workload()}
    world = begun(Installation(files=files, layers=LAYERS))
    after(world, 30, lambda: finish(world, WAITED))
    assert (await world.run()).problems == []
    world.push({**files, "prod/c.yaml": m.config("c")})
    ran = await world.run()
    assert (ran.writes, ran.opened) == (["apply ConfigMap/c"], [])


async def test_what_people_added_to_what_is_taken_over_stays_in_every_round(begun) -> None:
    files = {
        "a.yaml": m.workload("first", annotations={"wave": "24"}),
        "c.yaml": m.config(annotations={"wave": "26"}),
    }
    world = begun(Installation(files=files))
    await first_run(world)
    world.lose_cluster(key=True)
    world.edit("ConfigMap/a", "data", "more", to="added")
    assert (await world.run()).problems == []
    ran = await world.run()
    assert (ran.writes, [each.reason for each in ran.status.warnings]) == ([], ["Additions"])
    assert world.value("ConfigMap/a", "data", "more") == "added"


async def test_what_failed_is_not_tried_again_by_the_same_run(begun) -> None:
    world = begun(
        Installation(
            files={
                "job.yaml": job(annotations={"wave": "25"}),
                "a.yaml": m.config(),
                "w.yaml": m.config("w", annotations={"wave": "30"}),
            }
        )
    )

    def admit(key, _) -> None:
        if key.name == "a":
            raise ObjectInvalidError("refused")

    world.server.admission.append(admit)
    after(world, 60, lambda: finish(world, WAITED))
    ran = await world.run()
    assert ran.problems == ["ObjectInvalid ConfigMap/a"]
    assert ran.writes == ["apply ConfigMap/a: ObjectInvalid", f"apply {WAITED}", "apply ConfigMap/w"]


async def test_a_definition_that_is_established_late_serves_its_objects_in_the_next_round(begun) -> None:
    world = begun(Installation(files={"crd.yaml": m.definition(), "g.yaml": m.gadget(), "a.yaml": m.config()}))
    world.server.controllers.clear()
    definition = "CustomResourceDefinition/gadgets.example.com"
    conditions = [{"type": kind, "status": "True"} for kind in ("NamesAccepted", "Established")]
    after(world, 30, lambda: world.edit(definition, "status", "conditions", to=conditions, subresource="status"))
    ran = await world.run("interval")
    assert (ran.problems, ran.writes) == ([], [f"apply {definition}", "apply ConfigMap/a", "apply Gadget/g"])


@pytest.mark.parametrize("cause", ["secret", "live"])
async def test_what_a_rotated_secret_rolls_behind_a_wait_is_rolled_once(begun, cause: str) -> None:
    first = m.workload("first", "db", annotations={"wave": "24"})
    world = begun(Installation(files={"s.yaml": m.secret(), "first.yaml": first, "w.yaml": m.workload("web", "db")}))
    world.stores.write("kv/db", password="one")
    await first_run(world)
    world.stores.write("kv/db", password="two")
    ran = await world.probe(cause)
    assert ran is not None
    assert (ran.problems, ran.writes) == ([], ["apply Secret/db", "apply Deployment/first", "apply Deployment/web"])
    assert ran.causes == {"Secret/db": "secret-source", "Deployment/first": "roll", "Deployment/web": "roll"}
    assert (await world.run()).quiet


def stand(world: Installation, name: str, ready: int) -> None:
    """So many of a Deployment's Pods are ready."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), ready)
    status = {"observedGeneration": 1, **counts}
    world.edit(name, "status", to=status, by="deployment-controller", subresource="status")


async def first_run(world: Installation) -> None:
    """Then a Deployment of an early wave is not healthy for a minute."""
    after(world, 1, lambda: stand(world, FIRST, 1))
    assert (await world.run()).problems == []
    stand(world, FIRST, 0)
    after(world, 60, lambda: stand(world, FIRST, 1))


async def test_what_is_to_run_again_behind_a_wait_runs_once_more(begun) -> None:
    files = {"a.yaml": m.workload("first", annotations={"wave": "24"}), "job.yaml": job(ttl=None)}
    world = begun(Installation(files=files))
    await first_run(world)
    finish(world)
    await world.run("live")
    uid = world.value(WAITED, "metadata", "uid")
    world.annotate(rerun=f"{WAITED} Job/none 1")
    world.push({**files, "a.yaml": m.workload("first", annotations={"wave": "24"}, image="web:2")})
    ran = await world.run("request")
    assert ran.problems == ["NotFound"]
    assert ran.writes == ["apply Deployment/first", f"delete {WAITED}", f"apply {WAITED}"]
    assert ran.causes == {"Deployment/first": "commit", WAITED: "rerun"}
    assert world.value(WAITED, "metadata", "uid") != uid
    assert (await world.run()).quiet


async def test_a_hook_that_takes_long_runs_once_and_what_it_needs_stays_until_it_has_ended(
    begun, renderers: RenderPort
) -> None:
    policy = "before-hook-creation,hook-succeeded"
    account = hook("account", "pre-install", policy=policy, kind="ServiceAccount")
    files = chart(
        a=account,
        b=hook("first", "pre-install", policy=policy),
        c=hook("long", "pre-install"),
        d=hook("last", "post-install"),
        settings=SETTINGS,
    )
    made, cluster = chart_world(renderers, files)
    cluster.ends["long"] = ""
    begun(made)
    after(made, 40, lambda: cluster.end("Job/long"))
    ran = await made.run()
    assert ran.problems == []
    assert cluster.ran == ["Job/first", "Job/long", "Job/last"]
    assert ran.writes == [
        "apply ServiceAccount/account",
        "apply Job/first",
        "apply Job/long",
        "delete Job/first",
        "delete ServiceAccount/account",
        "apply ConfigMap/settings",
        "apply Job/last",
    ]
    assert (await made.run()).quiet


async def test_a_hook_that_went_by_itself_once_it_had_completed_is_known_to_have(begun, renderers: RenderPort) -> None:
    quick = hook("long", "pre-install", extra="  ttlSecondsAfterFinished: 0\n")
    made, cluster = chart_world(renderers, chart(c=quick, settings=SETTINGS))
    cluster.ends["long"] = ""

    def ends() -> None:
        cluster.end("Job/long")
        made.delete("Job/long")

    after(begun(made), 40, ends)
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply Job/long", "apply ConfigMap/settings"])
    assert (await made.run()).quiet


async def test_a_hook_that_fails_says_why_as_if_it_had_been_waited_for(begun, renderers: RenderPort) -> None:
    made, cluster = chart_world(renderers, chart(c=hook("long", "pre-install"), settings=SETTINGS))
    cluster.ends["long"] = ""
    after(begun(made), 40, lambda: cluster.end("Job/long", "Failed"))
    ran = await made.run()
    assert ran.problems == ["HookFailed Job/long", "Held ConfigMap/settings"]
    assert ran.error_of("Job/long").facts["condition"] == "Failed (BackoffLimitExceeded)"


async def test_what_a_template_makes_up_is_the_same_before_and_behind_a_wait(begun, renderers: RenderPort) -> None:
    both = """\
{{- $password := randAlphaNum 16 -}}
apiVersion: v1
kind: Secret
metadata: {name: init, annotations: {helm.sh/hook: pre-install}}
data: {password: {{ $password | b64enc | quote }}}
---
apiVersion: v1
kind: Secret
metadata: {name: db}
data: {password: {{ $password | b64enc | quote }}}
"""
    made, cluster = chart_world(renderers, chart(both=both, job=hook("long", "pre-install")))
    cluster.ends["long"] = ""
    after(begun(made), 40, lambda: cluster.end("Job/long"))
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply Secret/init", "apply Job/long", "apply Secret/db"])
    assert plain(made, "db", "password") == plain(made, "init", "password")
    assert (await made.run()).quiet
    assert cluster.ran == ["Job/long"]


async def test_a_value_that_is_rotated_while_a_hook_runs_does_not_run_it_again_in_this_run(
    begun, renderers: RenderPort
) -> None:
    files = chart(
        VALUES.replace("''", "vault://main/kv/db#password"),
        db=SECRET,
        a=hook("first", "pre-install,pre-upgrade"),
        job=hook("long", "pre-install,pre-upgrade"),
    )
    made, cluster = chart_world(renderers, files)
    cluster.ends["long"] = ""
    begun(made)
    after(made, 20, lambda: made.stores.write("kv/db", password="rotated"))
    after(made, 40, lambda: cluster.end("Job/long"))
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply Job/first", "apply Job/long", "apply Secret/db"])
    assert cluster.ran == ["Job/first", "Job/long"]
    ran_for = made._stored().ran[made.key("Job/long")].endings
    assert ran_for == {made.value("Job/long", "metadata", "annotations", ANNOTATION_HOOK): "Complete"}
    cluster.ends.clear()
    assert await made.probe() is None
    assert (await made.run()).writes == ["delete Job/first", "apply Job/first", "delete Job/long", "apply Job/long"]
    assert (await made.run()).quiet


async def test_an_installation_is_one_until_its_last_round(begun, renderers: RenderPort) -> None:
    files = chart(first=DEPLOYMENT, later=LATER, job=hook("migrate", "post-install,pre-upgrade"))
    made, _ = chart_world(renderers, files)
    after(begun(made), 30, lambda: stand(made, FIRST, 1))
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], [f"apply {FIRST}", "apply ConfigMap/settings", f"apply {WAITED}"])
    assert (await made.run()).quiet


async def test_that_hooks_do_not_run_over_what_stands_is_said_behind_a_wait(begun, renderers: RenderPort) -> None:
    made, cluster = chart_world(renderers, chart(first=DEPLOYMENT, later=LATER, job=hook("migrate", "pre-upgrade")))
    made.server.create(m.tree(DEPLOYMENT.replace("{{ .Values.image }}", "web:0")), "helm")
    after(begun(made), 30, lambda: stand(made, FIRST, 1))
    ran = await made.run()
    assert (ran.problems, ran.warnings, cluster.ran) == ([], ["Chart"], [])
    assert (await made.run()).quiet


@pytest.mark.parametrize("limit", ["5s", "1m"])
async def test_hooks_behind_what_was_not_healthy_in_time_wait_in_the_next_run_as_well(
    begun, renderers: RenderPort, limit: str
) -> None:
    made, cluster = chart_world(renderers, chart(first=DEPLOYMENT, job=hook("migrate", "post-install,post-upgrade")))
    made.application["spec"]["sync"] = {"timeout": limit}
    begun(made)
    assert f"Held {FIRST}" in (await made.run()).problems
    stand(made, FIRST, 0)
    assert f"Held {FIRST}" in (await made.run()).problems
    assert cluster.ran == []
    stand(made, FIRST, 1)
    assert ((await made.run()).problems, cluster.ran) == ([], [WAITED])
