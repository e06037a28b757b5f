"""Sync windows: a commit waits for its window, whose time is shown, and the last commit is healed meanwhile."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from whole_runs import manifests as m
from whole_runs.endings import condition
from whole_runs.installation import Installation

from agent.api.windows import SyncWindow
from agent.desired import windows
from agent.values.errors import AgentError

FILES = {"a.yaml": m.config(data="1")}
NIGHT = {"kind": "allow", "schedule": "0 22 * * *", "duration": "2h"}


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def set_clock(world: Installation, text: str, zone: str = "UTC") -> None:
    world.clock.seconds = at(text, zone) - 1_700_000_000.0


def window(kind: str, schedule: str, seconds: int, zone: str = "UTC") -> SyncWindow:
    return SyncWindow(kind=kind, schedule=schedule, duration=seconds, time_zone=zone)


class TestOfAnApplication:
    async def closed(self) -> Installation:
        """The first commit was applied before there were windows; the second one is pushed at noon."""
        world = Installation(files=FILES)
        set_clock(world, "2026-06-01T12:00")
        await world.run()
        world.spec(syncWindows=[NIGHT])
        assert (await world.run("spec")).ready == "Applied", "windows change nothing of what is applied"
        world.push({"a.yaml": m.config(data="2")})
        return world

    async def test_a_commit_waits_and_its_time_is_shown(self) -> None:
        world = await self.closed()
        ran = await world.run()
        assert (ran.writes, ran.problems, ran.ready) == ([], [], "SyncWindow")
        assert condition(ran.status, "Waiting") == (
            "True",
            "SyncWindow",
            "refs/heads/main@000000000002: waits for a sync window (opens at 2026-06-01T22:00:00Z)",
        )
        assert world.until == at("2026-06-01T22:00")
        set_clock(world, "2026-06-01T22:00")
        ran = await world.run("window")
        assert (ran.writes, ran.ready) == (["apply ConfigMap/a"], "Applied")
        assert next(each.cause for each in ran.status.history) == "git+window: commit"
        assert world.until is None

    async def test_the_last_commit_is_healed_meanwhile_also_by_a_new_process(self) -> None:
        world = await self.closed()
        await world.run()
        for _ in range(2):
            world.edit("ConfigMap/a", "data", "value", to="edited")
            ran = await world.run("live" if world.drifted else "start")
            assert (ran.writes, ran.ready) == (["apply ConfigMap/a"], "SyncWindow")
            assert world.value("ConfigMap/a", "data", "value") == "1"
            world.restart()
        world.edit("ConfigMap/a", "data", "value", to="edited")
        world.spec(interval="1m")
        world.restart()
        assert (await world.run()).writes == ["apply ConfigMap/a"], "a spec that asks for the same is the same"
        assert world.value("ConfigMap/a", "data", "value") == "1"

    async def test_a_spec_that_asks_for_something_else_waits_too(self) -> None:
        world = await self.closed()
        world.git.head_number = 1
        world.spec(ignore=[{"kind": "ConfigMap", "jsonPointers": ["/data/value"]}])
        assert (await world.run("spec")).ready == "SyncWindow"

    async def test_a_rotated_secret_goes_out_at_any_time(self) -> None:
        world = Installation(files={"s.yaml": m.secret("db")}, syncWindows=[NIGHT])
        set_clock(world, "2026-06-01T22:30")
        world.stores.write("kv/db", password="first")
        assert (await world.run()).writes == ["apply Secret/db"]
        set_clock(world, "2026-06-02T12:00")
        world.stores.write("kv/db", password="second")
        ran = await world.probe()
        assert ran is not None
        assert (ran.writes, ran.ready) == (["apply Secret/db"], "Applied")

    async def test_what_was_let_in_is_finished_after_the_window(self) -> None:
        world = Installation(files=FILES, syncWindows=[NIGHT])
        set_clock(world, "2026-06-01T23:59")
        world.audit.full = True
        assert (await world.run()).ended_by == "Audit"
        world.audit.full = False
        set_clock(world, "2026-06-02T12:00")
        assert (await world.run("retry")).writes == ["apply ConfigMap/a"]

    @pytest.mark.parametrize("commits", [False, True])
    async def test_a_spec_that_was_let_in_is_finished_by_a_new_process(self, commits: bool) -> None:
        world = Installation(files=FILES, syncWindows=[NIGHT])
        set_clock(world, "2026-06-01T23:58")
        await world.run()
        world.spec(commonMetadata={"labels": {"team": "shop"}})
        if commits:
            world.push({"a.yaml": m.config(data="2")})
        world.audit.full = True
        assert (await world.run("spec")).ended_by == "Audit"
        world.audit.full = False
        set_clock(world, "2026-06-02T12:00")
        world.restart()
        ran = await world.run()
        assert (ran.writes, ran.ready) == (["apply ConfigMap/a"], "Applied")
        assert world.value("ConfigMap/a", "metadata", "labels", "team") == "shop"

    async def test_healing_lets_no_other_spec_in(self) -> None:
        world = Installation(files=FILES, syncWindows=[NIGHT])
        set_clock(world, "2026-06-01T22:30")
        await world.run()
        set_clock(world, "2026-06-02T12:00")
        world.spec(commonMetadata={"labels": {"team": "shop"}})
        assert (await world.run("spec")).ready == "SyncWindow"
        world.edit("ConfigMap/a", "data", "value", to="edited")
        world.audit.full = True
        assert (await world.heal()).ended_by == "Audit"
        world.audit.full = False
        world.restart()
        ran = await world.run()
        assert (ran.writes, ran.ready) == ([], "SyncWindow")

    async def test_where_nothing_is_applied_a_commit_is_compared_at_any_time(self) -> None:
        world = await self.closed()
        world.spec(sync={"mode": "detect"})
        for _ in range(2):
            ran = await world.run()
            assert (ran.writes, ran.pending, ran.ready) == ([], ["ConfigMap/a"], "Detected")
            world.edit("ConfigMap/a", "data", "value", to="edited")
            assert (await world.heal()).pending == ["ConfigMap/a"]
            world.edit("ConfigMap/a", "data", "value", to="1")
            world.restart()
        world.spec(sync={"mode": "apply"})
        assert (await world.run("spec")).ready == "SyncWindow"
        set_clock(world, "2026-06-01T22:00")
        await world.run("window")
        assert world.value("ConfigMap/a", "data", "value") == "2"

    @pytest.mark.parametrize("again", [False, True], ids=["at once", "after a restart"])
    async def test_what_was_only_compared_is_not_let_in(self, again: bool) -> None:
        world = await self.closed()
        world.spec(sync={"mode": "detect"})
        assert (await world.run("spec")).pending == ["ConfigMap/a"]
        if again:
            world.restart()
        world.spec(sync={"mode": "apply"})
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.run("spec" if not again else "start")
        assert (ran.writes, ran.ready) == (["apply ConfigMap/a"], "SyncWindow")
        assert world.value("ConfigMap/a", "data", "value") == "1"

    async def test_an_application_that_never_applied_is_compared_beside_a_closed_window(self) -> None:
        world = Installation(files=FILES, syncWindows=[NIGHT], sync={"mode": "detect"})
        set_clock(world, "2026-06-01T12:00")
        ran = await world.run()
        assert (ran.writes, ran.pending, ran.ready) == ([], ["ConfigMap/a"], "Detected")
        world.spec(sync={"mode": "apply"})
        ran = await world.run("spec")
        assert (ran.writes, ran.ready) == ([], "SyncWindow")

    async def test_it_waits_for_dependencies_and_windows_alike(self) -> None:
        world = Installation(files=FILES, syncWindows=[NIGHT], dependsOn=[{"name": "db"}])
        set_clock(world, "2026-06-01T12:00")
        assert "(and 1 more)" in condition((await world.run()).status, "Waiting")[2]
        world.stands("db", at=1)
        assert (await world.run("dependency")).ready == "SyncWindow"


class TestOfTheOperator:
    DENY = "0 0 24 12 *"

    @pytest.mark.parametrize(
        ("of", "ready"),
        [
            ({}, "SyncWindow"),
            ({"applicationNamespaces": ["sh*"]}, "SyncWindow"),
            ({"applicationName": "web"}, "SyncWindow"),
            ({"applicationNamespaces": ["other"]}, "Applied"),
            ({"applicationName": "db"}, "Applied"),
        ],
    )
    async def test_a_window_holds_back_those_that_it_is_for(self, of: dict[str, object], ready: str) -> None:
        freeze = {"kind": "deny", "schedule": self.DENY, "duration": "72h", "timeZone": "Europe/Berlin", **of}
        world = Installation(files=FILES, operator=m.operator(syncWindows=[freeze]))
        set_clock(world, "2026-12-25T12:00")
        ran = await world.run()
        assert ran.ready == ready
        assert (world.until == at("2026-12-27T00:00", "Europe/Berlin")) == (ready == "SyncWindow")

    async def test_no_window_of_the_application_opens_what_the_operator_closes(self) -> None:
        always = {"kind": "allow", "schedule": "* * * * *", "duration": "1h"}
        world = Installation(files=FILES, operator=m.operator(syncWindows=[NIGHT]), syncWindows=[always])
        set_clock(world, "2026-06-01T12:00")
        assert (await world.run()).ready == "SyncWindow"


MONDAY, TUESDAY = "2026-06-01", "2026-06-02"
ALLOW_NIGHT = window("allow", "0 22 * * *", 7200)
DENY_NOON = window("deny", "0 12 * * *", 3600)


@pytest.mark.parametrize(
    ("sets", "now", "opens"),
    [
        ([], f"{MONDAY}T12:00", f"{MONDAY}T12:00"),
        ([[ALLOW_NIGHT]], f"{MONDAY}T21:59:59", f"{MONDAY}T22:00"),
        ([[ALLOW_NIGHT]], f"{MONDAY}T22:00", f"{MONDAY}T22:00"),
        ([[ALLOW_NIGHT]], f"{MONDAY}T23:59:59", f"{MONDAY}T23:59:59"),
        ([[ALLOW_NIGHT]], f"{TUESDAY}T00:00", f"{TUESDAY}T22:00"),
        ([[DENY_NOON]], f"{MONDAY}T11:59:59", f"{MONDAY}T11:59:59"),
        ([[DENY_NOON]], f"{MONDAY}T12:00", f"{MONDAY}T13:00"),
        ([[DENY_NOON]], f"{MONDAY}T12:30:30", f"{MONDAY}T13:00"),
        ([[DENY_NOON]], f"{MONDAY}T13:00", f"{MONDAY}T13:00"),
        ([[DENY_NOON, window("deny", "30 12 * * *", 3600)]], f"{MONDAY}T12:15", f"{MONDAY}T13:30"),
        ([[ALLOW_NIGHT, window("deny", "0 22 * * 1", 7200)]], f"{MONDAY}T12:00", f"{TUESDAY}T22:00"),
        ([[ALLOW_NIGHT, window("allow", "0 14 * * *", 60)]], f"{MONDAY}T12:00", f"{MONDAY}T14:00"),
        ([[ALLOW_NIGHT], [window("allow", "0 23 * * *", 7200)]], f"{MONDAY}T12:00", f"{MONDAY}T23:00"),
        ([[window("allow", "0 0 29 2 *", 3600)]], f"{MONDAY}T12:00", "2028-02-29T00:00"),
        ([[window("deny", "* * * * *", 60)]], f"{MONDAY}T12:00", None),
        ([[ALLOW_NIGHT], [window("allow", "0 14 * * *", 60)]], f"{MONDAY}T12:00", None),
    ],
)
def test_a_window_opens(sets: list[list[SyncWindow]], now: str, opens: str | None) -> None:
    found = windows.check(sets, at(now))
    if opens is None:
        assert "none will open" in found[0].message
        assert found[0].until == at(now) + 86_400
    else:
        assert [each.until for each in found] == ([at(opens)] if opens != now else [])


@pytest.mark.parametrize(
    ("schedule", "now", "opens"),
    [
        ("0 22 * * *", "2026-06-01T12:00", "2026-06-01T20:00"),
        ("0 22 * * *", "2026-12-01T12:00", "2026-12-01T21:00"),
        ("30 2 * * *", "2026-03-28T23:00", "2026-03-29T01:00"),
        ("30 2 * * *", "2026-10-24T23:00", "2026-10-25T00:30"),
    ],
    ids=["in summer", "in winter", "in the hour that is left out", "in the hour that comes twice"],
)
def test_hours_are_those_of_the_time_zone(schedule: str, now: str, opens: str) -> None:
    (found,) = windows.check([[window("allow", schedule, 3600, "Europe/Berlin")]], at(now))
    assert found.until == at(opens)


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "0 0 30 2 *"},
        {"schedule": "* * * * * *"},
        {"schedule": "@daily  and more"},
        {"schedule": "61 * * * *"},
        {"timeZone": "Europe/Atlantis"},
        {"timeZone": "../../etc/passwd"},
        {"timeZone": "localtime"},
        {"duration": "59s"},
        {"duration": "745h"},
        {"kind": "maybe"},
    ],
)
def test_what_is_no_window_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(AgentError):
        m.operator(syncWindows=[{**NIGHT, **wrong}])
