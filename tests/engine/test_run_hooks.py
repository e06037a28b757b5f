"""Hooks of a chart run before and after its objects, once for what the release holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from whole_runs import manifests as m
from whole_runs.hooks import SECRET, SETTINGS, SETTLED, VALUES, chart, hook, marked, world

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers

BOTH = "pre-install,pre-upgrade"
MIGRATE = "apply Job/migrate"
OTHER = VALUES.replace("example.com", "other.example.com")
CHANGED = ["delete Job/migrate", MIGRATE, *SETTLED]


async def test_hooks_run_before_and_after_the_objects_by_weight_kind_and_name(renderers: Renderers) -> None:
    files = chart(
        settings=SETTINGS,
        last=hook("last", "post-install,post-upgrade", weight=5),
        check=hook("check", "post-install"),
        second=hook("b", BOTH),
        first=hook("c", BOTH, weight=-5),
        third=hook("a", BOTH, kind="Pod"),
        account=hook("z", BOTH, kind="ServiceAccount"),
    )
    made, cluster = world(renderers, files)
    ran = await made.run()
    assert (ran.problems, ran.warnings) == ([], [])
    assert ran.writes == [
        "apply Job/c",
        "apply ServiceAccount/z",
        "apply Job/b",
        "apply Pod/a",
        *SETTLED,
        "apply Job/check",
        "apply Job/last",
    ]
    assert cluster.ran == ["Job/c", "Job/b", "Pod/a", "Job/check", "Job/last"]
    assert (ran.causes["Job/c"], ran.actions["Job/c"]) == ("hook", "run")
    for _ in range(2):
        assert (await made.run()).quiet
    made.restart()
    assert (await made.run()).quiet


async def test_a_hook_runs_once_for_what_the_release_holds(renderers: Renderers) -> None:
    files = chart(settings=SETTINGS, job=hook("migrate", BOTH))
    made, _ = world(renderers, files)
    assert (await made.run()).writes == [MIGRATE, *SETTLED]
    made.push({**files, "README.md": "more"})
    assert (await made.run()).quiet
    made.push(chart(OTHER, settings=SETTINGS, job=hook("migrate", BOTH)))
    assert (await made.run()).writes == CHANGED
    made.push(files)  # ran for this
    assert (await made.run()).writes == SETTLED
    made.edit("ConfigMap/settings", "data", "host", to="edited")
    assert (await made.heal()).writes == SETTLED
    made.delete("Job/migrate")
    assert (await made.run()).quiet


async def test_a_rotated_value_is_another_content_and_one_that_is_written_again_is_not(renderers: Renderers) -> None:
    made, cluster = world(
        renderers,
        chart(secret=SECRET, job=hook("migrate", BOTH)),
        values={"password": "vault://main/kv/db#password"},
    )
    assert (await made.run()).problems == []
    made.stores.write("kv/db", password="hunter2")
    ran = await made.probe()
    assert ran is not None
    assert (ran.problems, ran.writes, cluster.ran) == ([], [], ["Job/migrate"])
    made.stores.write("kv/db", password="hunter3")
    ran = await made.probe()
    assert ran is not None
    assert ran.writes == ["delete Job/migrate", MIGRATE, "apply Secret/db"]
    messages = repr((ran.audit, ran.status, ran.messages, made.live("Job/migrate")))
    assert "hunter" not in messages


async def test_a_failed_hook_stops_the_sync_and_says_how_to_go_on(renderers: Renderers) -> None:
    files = chart(
        settings=SETTINGS, job=hook("migrate", BOTH), post=hook("after", "post-install"), gone=m.config("gone")
    )
    made, cluster = world(renderers, files)
    await made.run()
    cluster.ends["migrate"] = "Failed"
    made.push(chart(OTHER, settings=SETTINGS, job=hook("migrate", BOTH), post=hook("after", "post-install")))
    ran = await made.run()
    assert ran.problems[:2] == ["HookFailed Job/migrate", "Held ConfigMap/settings"]
    assert ran.writes == ["delete Job/migrate", MIGRATE]
    error = ran.error_of("Job/migrate")
    assert error.facts["condition"] == "Failed (BackoffLimitExceeded)"
    assert error.facts["rerun"] == "Job/migrate"
    assert "--rerun" in error.hint
    assert ran.actions["Job/migrate"] == "run: HookFailed"
    assert any("HookFailed" in each for each in [failure.reason for failure in ran.status.failures])
    assert "canary-of-the-program" not in repr((ran.audit, ran.status, ran.messages, ran.errors))
    assert made.value("ConfigMap/settings", "data", "host") == "example.com"
    assert made.live("ConfigMap/gone") is not None
    for _ in range(2):
        ran = await made.run()
        assert (ran.writes, ran.problems[0]) == ([], "HookFailed Job/migrate")
    made.restart()
    ran = await made.run()
    assert (ran.writes, ran.problems[0]) == ([], "HookFailed Job/migrate")
    made.edit("ConfigMap/settings", "metadata", "labels", "signet-gitops.dev/application", to="x")
    cluster.ends.clear()
    made.annotate(rerun="Job/migrate 1")
    ran = await made.run("request")
    assert ran.writes == [*CHANGED, "delete ConfigMap/gone"]
    assert ran.problems == []
    assert (await made.run("request")).quiet


@pytest.mark.parametrize("more", [True, False], ids=["among others", "alone"])
async def test_a_hook_behind_the_objects_that_failed_is_not_forgotten(renderers: Renderers, *, more: bool) -> None:
    others = {"b": hook("more", "post-install")} if more else {}
    made, cluster = world(renderers, chart(settings=SETTINGS, a=hook("check", "post-install,post-upgrade"), **others))
    cluster.ends["check"] = "Failed"
    ran = await made.run()
    assert ran.writes == [*SETTLED, "apply Job/check"]
    for again in range(3):
        assert ran.problems == ["HookFailed Job/check", *(["Held Job/more"] if more else [])]
        if again == 1:
            made.restart()
        ran = await made.run()
        assert ran.writes == []
    cluster.ends.clear()
    made.annotate(rerun="Job/check 1")
    ran = await made.run("request")
    assert ran.writes == ["delete Job/check", "apply Job/check", *(["apply Job/more"] if more else [])]
    assert ran.problems == []
    assert (await made.run("request")).quiet


async def test_a_hook_behind_the_objects_that_outlasts_a_run_is_waited_for(renderers: Renderers) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, a=hook("check", "post-install", policy="hook-succeeded")))
    cluster.ends["check"] = ""
    for writes in ([*SETTLED, "apply Job/check"], []):
        ran = await made.run()
        assert (ran.problems, ran.writes) == (["Held Job/check"], writes)
    cluster.end("Job/check")
    ran = await made.run("live")
    assert (ran.problems, ran.writes) == ([], ["delete Job/check"])
    assert (await made.run()).quiet


async def test_all_hooks_of_a_run_are_waited_for_as_long_as_one(renderers: Renderers) -> None:
    jobs = {f"job{number}": hook(f"job{number}", BOTH) for number in range(5)}
    made, cluster = world(renderers, chart(settings=SETTINGS, **jobs))
    cluster.ends |= dict.fromkeys(jobs, "")

    def ends(seconds: float) -> None:
        for number in range(5):
            name = f"Job/job{number}"
            if seconds > 40 * (number + 1) and made.live(name) is not None and made.value(name, "status") is None:
                cluster.end(name)

    made.tasks.passing.append(ends)
    ran = await made.run()
    assert ran.writes == ["apply Job/job0", "apply Job/job1"]
    assert 60 < made.clock.seconds < 65
    for _ in range(3):
        ran = await made.run()
    assert (ran.problems, len(cluster.ran)) == ([], 5)


async def test_a_value_that_only_hooks_have_is_part_of_what_they_run_for(renderers: Renderers) -> None:
    secret = SECRET.replace("{name: db}", "{name: db, annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}}")
    files = chart(settings=SETTINGS, secret=secret, job=hook("migrate", BOTH))
    made, _ = world(renderers, files, values={"password": "vault://main/kv/db#password"})
    assert (await made.run()).writes == ["apply Secret/db", MIGRATE, *SETTLED]
    made.stores.write("kv/db", password="hunter3")
    ran = await made.probe()
    assert ran is not None
    assert ran.writes == ["apply Secret/db", "delete Job/migrate", MIGRATE]
    assert await made.probe() is None


@pytest.mark.parametrize(
    "wrong",
    [hook("x", BOTH, kind="Gadget"), hook("one", BOTH) + "---\n" + hook("one", BOTH), hook("yes", BOTH)],
    ids=["a kind that is not served", "declared twice", "a name that is none"],
)
async def test_a_hook_that_cannot_be_read_holds_what_comes_after_it(renderers: Renderers, wrong: str) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, wrong=wrong))
    ran = await made.run()
    assert (ran.writes, cluster.ran) == ([], [])
    assert "Held ConfigMap/settings" in ran.problems


async def test_a_hook_for_the_installation_that_failed_runs_for_the_next_commit(renderers: Renderers) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, seed=hook("seed", "post-install")))
    cluster.ends["seed"] = "Failed"
    assert (await made.run()).problems == ["HookFailed Job/seed"]
    cluster.ends.clear()
    fixed = hook("seed", "post-install", extra="  backoffLimit: 1\n")
    made.push(chart(settings=SETTINGS, seed=fixed))
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["delete Job/seed", "apply Job/seed"])
    made.push(chart(OTHER, settings=SETTINGS, seed=fixed))
    assert (await made.run()).writes == SETTLED


async def test_a_held_hook_behind_the_objects_lets_none_be_changed_without_those_before(renderers: Renderers) -> None:
    late = hook("late", "post-upgrade", extra="  backoffLimit: {{ .Values.password | quote }}\n")
    files = chart(settings=SETTINGS, job=hook("migrate", BOTH), late=late)
    made, cluster = world(renderers, files, values={"password": "vault://main/kv/db#password"})
    ran = await made.run()
    assert (ran.writes, cluster.ran) == ([], [])
    assert "Held ConfigMap/settings" in ran.problems


async def test_what_hooks_of_an_upgrade_need_is_applied_for_an_upgrade(renderers: Renderers) -> None:
    def files(values: str = VALUES) -> dict[str, str]:
        account = hook("account", "pre-upgrade", kind="ServiceAccount")
        return chart(values, settings=SETTINGS, a=hook("first", "pre-install"), b=account)

    made, _ = world(renderers, files())
    assert (await made.run()).writes == ["apply Job/first", *SETTLED]
    made.push(files(OTHER))
    assert (await made.run()).writes == ["apply ServiceAccount/account", *SETTLED]
    assert (await made.run()).quiet


async def test_another_commit_runs_a_hook_that_failed_again(renderers: Renderers) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, job=hook("migrate", BOTH)))
    cluster.ends["migrate"] = "Failed"
    ran = await made.run()
    assert (ran.writes, made.live("ConfigMap/settings")) == ([MIGRATE], None)
    cluster.ends.clear()
    made.push(chart(OTHER, settings=SETTINGS, job=hook("migrate", BOTH)))
    assert (await made.run()).writes == CHANGED


async def test_hooks_for_an_installation_run_where_nothing_stands_and_those_for_an_upgrade_where_something_does(
    renderers: Renderers,
) -> None:
    def files(values: str = VALUES) -> dict[str, str]:
        return chart(
            values,
            settings=SETTINGS,
            a=hook("installs", "pre-install"),
            b=hook("upgrades", "pre-upgrade"),
            c=hook("installed", "post-install"),
            d=hook("upgraded", "post-upgrade"),
        )

    made, cluster = world(renderers, files())
    assert (await made.run()).problems == []
    assert cluster.ran == ["Job/installs", "Job/installed"]
    assert (await made.run()).quiet
    made.push(files(OTHER))
    assert (await made.run()).problems == []
    assert cluster.ran[2:] == ["Job/upgrades", "Job/upgraded"]
    made.restart()
    assert (await made.run()).quiet


async def test_a_release_that_is_taken_over_runs_none(renderers: Renderers) -> None:
    def files(values: str = VALUES) -> dict[str, str]:
        return chart(values, settings=SETTINGS, a=hook("migrate", BOTH), b=hook("after", "post-install,post-upgrade"))

    made, cluster = world(renderers, files())
    made.make(m.config("settings", "old"), "helm")
    ran = await made.run()
    assert (ran.problems, ran.writes, cluster.ran) == ([], ["patch ConfigMap/settings", *SETTLED], [])
    (warning,) = ran.status.warnings
    assert all(each in warning.message for each in ("not run", "Job/after", "Job/migrate"))
    assert (await made.run()).quiet
    made.restart()
    assert (await made.run()).quiet
    made.push(files(OTHER))
    assert (await made.run()).writes == [MIGRATE, *SETTLED, "apply Job/after"]


async def test_a_job_that_becomes_a_hook_does_not_run_again_for_that(renderers: Renderers) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, job=marked("migrate", ["team: shop"])))
    await made.run()
    await made.run()
    made.push(chart(settings=SETTINGS, job=hook("migrate", BOTH)))
    ran = await made.run()
    assert (ran.problems, cluster.ran) == ([], ["Job/migrate"])
    assert (await made.run()).quiet
    made.push(chart(OTHER, settings=SETTINGS, job=hook("migrate", BOTH)))
    assert (await made.run()).writes == CHANGED


async def test_what_helm_left_of_a_hook_makes_room_for_its_next_run(renderers: Renderers) -> None:
    def files(values: str = VALUES) -> dict[str, str]:
        return chart(values, settings=SETTINGS, a=hook("migrate", BOTH))

    made, cluster = world(renderers, files())
    made.make(m.config("settings", "old"), "helm")
    old = hook("migrate", BOTH).replace("{{ .Values.image }}", "old:1")
    made.make(old, "helm")
    await made.run()
    assert made.value("Job/migrate", "metadata", "annotations", "signet-gitops.dev/owner") is None
    made.push(files(OTHER))
    assert (await made.run()).writes == CHANGED
    assert cluster.ran == ["Job/migrate", "Job/migrate"]


async def test_what_is_no_hook_is_not_deleted_to_make_room_for_one(renderers: Renderers) -> None:
    made, _ = world(renderers, chart(settings=SETTINGS, job=hook("migrate", BOTH)))
    made.make(m.workload("migrate", kind="Job"), "another-tool")
    ran = await made.run()
    assert (ran.writes, ran.problems) == ([], ["OwnershipConflict Job/migrate", "Held ConfigMap/settings"])


async def test_an_earlier_run_that_has_not_ended_is_not_killed(renderers: Renderers) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, job=hook("migrate", BOTH)))
    cluster.ends["migrate"] = ""
    await made.run()
    made.push(chart(OTHER, settings=SETTINGS, job=hook("migrate", BOTH)))
    ran = await made.run()
    assert (ran.writes, ran.problems[0]) == ([], "Held Job/migrate")
    assert ran.error_of("Job/migrate").message == "waits until an earlier run of the hook has ended"
    cluster.ends.clear()
    cluster.end("Job/migrate", "Failed")
    assert (await made.run()).writes == CHANGED


async def test_a_hook_that_is_held_holds_what_comes_after_it(renderers: Renderers) -> None:
    job = hook("migrate", BOTH, extra="  backoffLimit: {{ .Values.password | quote }}\n")
    files = chart(settings=SETTINGS, job=job)
    made, cluster = world(renderers, files, values={"password": "vault://main/kv/db#password"})
    ran = await made.run()
    assert (ran.writes, cluster.ran) == ([], [])
    assert sorted(ran.problems) == ["Held ConfigMap/settings", "Sink Job/migrate"]


async def test_values_that_are_not_known_for_the_moment_hold_the_release(renderers: Renderers) -> None:
    files = chart(settings=SETTINGS, secret=SECRET, job=hook("migrate", BOTH))
    made, cluster = world(renderers, files, values={"password": "vault://main/kv/db#password"})
    made.stores.away = True
    ran = await made.run()
    assert (ran.writes, cluster.ran) == ([], [])
    made.stores.away = False
    assert (await made.run()).problems == []
    assert cluster.ran == ["Job/migrate"]


async def test_a_failed_hook_lets_what_stands_be_healed(renderers: Renderers) -> None:
    files = chart(settings=SETTINGS, other=m.config("other"), job=hook("migrate", BOTH))
    made, cluster = world(renderers, files)
    await made.run()
    cluster.ends["migrate"] = "Failed"
    made.push(chart(OTHER, settings=SETTINGS, other=m.config("other"), job=hook("migrate", BOTH)))
    await made.run()
    made.edit("ConfigMap/other", "data", "value", to="edited")
    ran = await made.heal()
    assert (ran.writes, made.value("ConfigMap/other", "data", "value")) == (["apply ConfigMap/other"], "1")


async def test_a_job_that_goes_by_itself_before_its_end_was_seen_is_not_run_again(renderers: Renderers) -> None:
    job = hook("migrate", BOTH, extra="  ttlSecondsAfterFinished: 0\n")
    made, cluster = world(renderers, chart(settings=SETTINGS, job=job))
    cluster.ends["migrate"] = ""
    made.tasks.passing.append(lambda seconds: setattr(made, "lease", seconds < 3))
    await made.run()
    made.tasks.passing.clear()
    made.lease = True
    made.restart()
    made.delete("Job/migrate")
    ran = await made.run()
    assert (ran.writes, ran.problems[0]) == ([], "HookFailed Job/migrate")
    assert "unknown whether it completed" in ran.error_of("Job/migrate").message
    made.annotate(rerun="Job/migrate 1")
    cluster.ends.clear()
    assert (await made.run("request")).problems == []
    assert cluster.ran == ["Job/migrate", "Job/migrate"]


async def test_a_release_of_helm_that_stands_is_a_warning_until_it_is_gone(renderers: Renderers) -> None:
    made, _ = world(renderers, chart(settings=SETTINGS), releaseName="shop")
    labels = {"owner": "helm", "name": "shop", "version": "1"}
    metadata = {"name": "sh.helm.release.v1.shop.v1", "labels": labels}
    made.make(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}), "helm")
    for causes in (["start"], ["live"], ["interval"]):
        assert (await made.run(*causes)).warnings == ["HelmReleaseLeft"]
    made.delete("Secret/sh.helm.release.v1.shop.v1")
    assert (await made.run()).warnings == []


async def test_a_lost_record_runs_no_hook_again(renderers: Renderers) -> None:
    policy = "hook-succeeded"
    made, cluster = world(renderers, chart(settings=SETTINGS, job=hook("migrate", BOTH, policy=policy)))
    await made.run()
    assert made.live("Job/migrate") is None
    made.restart()
    made.lose_record()
    ran = await made.run()
    assert (ran.problems, cluster.ran) == ([], ["Job/migrate"])
    assert (await made.run()).quiet
    assert cluster.ran == ["Job/migrate"]


@pytest.mark.parametrize("how", ["Complete", "Failed"])
async def test_a_record_that_is_lost_while_a_hook_runs_leaves_what_the_object_says(
    renderers: Renderers, how: str
) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, job=hook("migrate", BOTH)))
    await made.run()
    made.push(chart(OTHER, settings=SETTINGS, job=hook("migrate", BOTH)))
    cluster.ends["migrate"] = ""
    assert (await made.run()).problems[0] == "Held Job/migrate"
    made.restart()
    made.lose_record()
    ran = await made.run()
    assert (ran.problems[0], ran.writes) == ("Held Job/migrate", [])
    cluster.end("Job/migrate", how)
    ran = await made.run()
    if how == "Failed":
        assert (ran.problems[0], ran.writes) == ("HookFailed Job/migrate", [])
    else:
        assert (ran.problems, ran.writes) == ([], SETTLED)
    assert cluster.ran == ["Job/migrate", "Job/migrate"]


async def test_an_agent_that_is_killed_while_a_hook_runs_goes_on_waiting_for_it(renderers: Renderers) -> None:
    files = chart(
        settings=SETTINGS, job=hook("migrate", BOTH, policy="hook-succeeded"), b=hook("after", "post-install")
    )
    made, cluster = world(renderers, files)
    cluster.ends["migrate"] = ""
    made.tasks.passing.append(lambda seconds: setattr(made, "lease", seconds < 3))
    ran = await made.run()
    assert (ran.ended_by, ran.writes) == ("LeaseLost", [MIGRATE])
    made.tasks.passing.clear()
    made.lease = True
    made.restart()
    made.tasks.passing.append(lambda seconds: cluster.end("Job/migrate") if 10 < seconds < 20 and not done() else None)

    def done() -> bool:
        return made.value("Job/migrate", "status") is not None or made.live("Job/migrate") is None

    ran = await made.run()
    assert ran.problems == []
    assert cluster.ran == ["Job/migrate", "Job/after"]
    assert ran.writes == ["delete Job/migrate", *SETTLED, "apply Job/after"]
    assert (await made.run()).quiet


async def test_a_hook_for_the_installation_runs_though_an_agent_was_killed_once_the_first_object_stood(
    renderers: Renderers,
) -> None:
    account = hook("account", "post-install", kind="ServiceAccount")
    files = chart(settings=SETTINGS, a=hook("a", "post-install"), b=hook("b", "post-install"), c=account)
    made, cluster = world(renderers, files)
    cluster.ends["a"] = ""
    made.tasks.passing.append(lambda seconds: setattr(made, "lease", seconds < 3))
    ran = await made.run()
    assert (ran.ended_by, ran.writes) == ("LeaseLost", [*SETTLED, "apply ServiceAccount/account", "apply Job/a"])
    made.delete("ServiceAccount/account")
    made.tasks.passing.clear()
    made.lease = True
    made.restart()
    cluster.end("Job/a")
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], [*SETTLED, "apply ServiceAccount/account", "apply Job/b"])
    assert cluster.ran == ["Job/a", "Job/b"]
    assert (await made.run()).quiet


async def test_a_request_runs_a_hook_again_though_nothing_else_changes(renderers: Renderers) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, job=hook("migrate", "pre-install")))
    await made.run()
    made.annotate(rerun="Job/migrate 1")
    ran = await made.run("request")
    assert (ran.problems, ran.writes) == ([], ["delete Job/migrate", MIGRATE])
    assert (await made.run("request")).quiet
    made.restart()
    assert (await made.run()).quiet
    assert cluster.ran == ["Job/migrate", "Job/migrate"]


async def test_one_that_goes_by_itself_between_two_runs_is_known_where_its_end_was_seen(renderers: Renderers) -> None:
    job = hook("migrate", BOTH, extra="  ttlSecondsAfterFinished: 0\n")
    made, cluster = world(renderers, chart(settings=SETTINGS, job=job))
    cluster.ends["migrate"] = ""
    assert (await made.run()).problems[0] == "Held Job/migrate"
    cluster.end("Job/migrate")
    made.delete("Job/migrate")
    ran = await made.run("live")
    assert (ran.problems, ran.writes, cluster.ran) == ([], SETTLED, ["Job/migrate"])
    assert (await made.run()).quiet


async def test_one_that_takes_longer_than_a_run_waits_is_waited_for_by_the_next(renderers: Renderers) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, job=hook("migrate", BOTH)))
    cluster.ends["migrate"] = ""
    ran = await made.run()
    assert ran.problems == ["Held Job/migrate", "Held ConfigMap/settings"]
    assert 60 < made.clock.seconds < 65
    cluster.end("Job/migrate")
    ran = await made.run("live")
    assert (ran.problems, ran.writes, cluster.ran) == ([], SETTLED, ["Job/migrate"])
    assert (await made.run()).quiet


async def test_what_hooks_need_is_there_while_they_run_and_goes_by_its_policy(renderers: Renderers) -> None:
    policy = "before-hook-creation,hook-succeeded"
    four = "pre-install,pre-upgrade,post-install,post-upgrade"
    files = chart(
        settings=SETTINGS,
        account=hook("admission", four, policy=policy, kind="ServiceAccount"),
        create=hook("create", BOTH, policy=policy),
        patch=hook("patch", "post-install,post-upgrade", policy=policy),
    )
    made, cluster = world(renderers, files)
    ran = await made.run()
    assert ran.problems == []
    assert ran.writes == [
        "apply ServiceAccount/admission",
        "apply Job/create",
        "delete Job/create",
        "delete ServiceAccount/admission",
        *SETTLED,
        "apply ServiceAccount/admission",
        "apply Job/patch",
        "delete Job/patch",
        "delete ServiceAccount/admission",
    ]
    assert cluster.ran == ["Job/create", "Job/patch"]
    assert (await made.run()).quiet
    made.restart()
    assert (await made.run()).quiet
    assert (ran.status.counts.total, ran.ready) == (1, "Applied")


async def test_a_hook_that_failed_goes_where_its_policy_says_so_and_is_not_run_again(renderers: Renderers) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, job=hook("migrate", BOTH, policy="hook-failed")))
    cluster.ends["migrate"] = "Failed"
    ran = await made.run()
    assert (ran.writes, made.live("Job/migrate")) == ([MIGRATE, "delete Job/migrate"], None)
    ran = await made.run()
    assert (ran.writes, ran.problems[0], cluster.ran) == ([], "HookFailed Job/migrate", ["Job/migrate"])


async def test_hooks_of_argo_cd_run_too(renderers: Renderers) -> None:
    argo = "argocd.argoproj.io/hook"
    files = chart(
        settings=SETTINGS,
        a=marked("post", [f"{argo}: PostSync", f"{argo}-delete-policy: HookSucceeded"]),
        b=marked("pre", [f"{argo}: PreSync"]),
        c=marked("earlier", [f"{argo}: PreSync", 'argocd.argoproj.io/sync-wave: "-1"']),
        d=marked("failed", [f"{argo}: SyncFail"]),
    )
    made, _ = world(renderers, files)
    ran = await made.run()
    assert (ran.problems, ran.warnings) == ([], ["Chart"])
    assert ran.writes == ["apply Job/earlier", "apply Job/pre", *SETTLED, "apply Job/post", "delete Job/post"]


async def test_a_generated_name_comes_of_the_content(renderers: Renderers) -> None:
    job = marked("migrate-", [f"helm.sh/hook: {BOTH}"], naming="generateName")
    made, cluster = world(renderers, chart(settings=SETTINGS, job=job))
    assert (await made.run()).problems == []
    (first,) = cluster.ran
    assert first.startswith("Job/migrate-")
    assert (await made.run()).quiet
    made.push(chart(VALUES.replace("web:1", "web:2"), settings=SETTINGS, job=job))
    assert (await made.run()).problems == []
    assert len(set(cluster.ran)) == 2
    assert made.live(first) is None


async def test_templates_see_whether_the_release_stands(renderers: Renderers) -> None:
    asks = SETTINGS.replace("{{ .Values.host | quote }}", '"{{ .Release.IsInstall }} {{ .Release.IsUpgrade }}"')
    made, _ = world(renderers, chart(settings=asks))
    await made.run()
    assert made.value("ConfigMap/settings", "data", "host") == "true false"
    assert (await made.run()).writes == SETTLED
    assert made.value("ConfigMap/settings", "data", "host") == "false true"
    assert (await made.run()).quiet
    made.restart()
    made.lose_record()
    assert (await made.run()).problems == []
    assert made.value("ConfigMap/settings", "data", "host") == "false true"


async def test_whether_a_release_stands_is_not_asked_of_a_namespace_that_is_not_open(renderers: Renderers) -> None:
    """The answer would show in what templates make of it: which names another tenant has."""
    asks = SETTINGS.replace("{{ .Values.host | quote }}", '"{{ .Release.IsInstall }}"')
    foreign = "apiVersion: v1\nkind: Secret\nmetadata: {name: theirs, namespace: bank}\n"
    made, _ = world(renderers, chart(settings=asks, foreign=foreign))
    made.make(foreign)
    ran = await made.run()
    assert not [each for each in ran.reads if each.endswith("Secret/theirs")]
    assert made.value("ConfigMap/settings", "data", "host") == "true"


async def test_detection_runs_no_hook_and_says_that_it_would(renderers: Renderers) -> None:
    made, cluster = world(renderers, chart(settings=SETTINGS, job=hook("migrate", BOTH)))
    made.spec(sync={"mode": "detect"})
    ran = await made.run()
    assert (ran.writes, ran.pending, cluster.ran) == ([], ["ConfigMap/settings", "Job/migrate"], [])


async def test_hooks_are_left_out_where_the_application_says_so(renderers: Renderers) -> None:
    files = chart(settings=SETTINGS, job=hook("migrate", BOTH), test=hook("test", "test"))
    made, cluster = world(renderers, files, hooks="skip")
    ran = await made.run()
    assert (ran.problems, ran.warnings, ran.writes, cluster.ran) == ([], ["Chart", "Chart"], SETTLED, [])
