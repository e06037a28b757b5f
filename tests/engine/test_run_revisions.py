"""Which commit counts: the newest, or the last good one where it cannot be had; forced pushes, detection, other specs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.manifests import documents
from agent.values.errors import LimitError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from agent.manifests.documents import File
    from agent.yaml.limits import Limits

BASE = {"base/a.yaml": m.config(), "base/b.yaml": m.config("b")}
LAYERS = ["base", "prod"]


def ready(kind: str, ran) -> str:
    return next(each.status for each in ran.status.conditions if each.type == kind)


async def test_a_later_layer_is_merged_onto_an_earlier_one() -> None:
    files = {
        "base/a.yaml": m.config(kept="x", dropped="x"),
        "prod/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {value: '2', dropped: null}\n",
        "prod/b.yaml": m.config("b"),
        "elsewhere/c.yaml": m.config("c"),
    }
    world = Installation(files=files, layers=LAYERS)
    assert (await world.run()).writes == ["apply ConfigMap/a", "apply ConfigMap/b"]
    assert world.value("ConfigMap/a", "data") == {"value": "2", "kept": "x"}


async def test_a_commit_that_did_not_touch_an_application_costs_no_parse_no_request_and_one_status() -> None:
    world = Installation(files=BASE, layers=["base"])
    first = await world.run()
    world.push({**BASE, "elsewhere/c.yaml": m.config("c")})
    ran = await world.run("git")
    assert ran.quiet
    assert (ran.reads, ran.messages, world.git.contents) == ([], [], [])
    assert (ran.status.revision, ran.status.checked_revision) == (
        first.status.revision,
        f"refs/heads/main@{world.commit[:12]}",
    )
    world.push({**BASE, "base/b.yaml": m.config("b", data="2")})
    ran = await world.run("git")
    assert (ran.writes, world.git.contents) == (["apply ConfigMap/b"], ["base/b.yaml"])


BROKEN = {**BASE, "base/a.yaml": m.config(data="2"), "prod/a.yaml": "kind: [\n"}


class TestOfALayerThatCannotBeRead:
    async def broken(self) -> Installation:
        world = Installation(files=BASE, layers=LAYERS)
        assert (await world.run()).problems == []
        world.push(BROKEN)
        return world

    async def test_nothing_of_the_commit_is_applied(self) -> None:
        world = await self.broken()
        ran = await world.run()
        assert (ran.writes, ran.problems, ran.ready) == ([], ["Yaml prod/a.yaml"], "Yaml")
        assert world.recorded_commit == 1
        assert ready("Stalled", ran) == "True"

    async def test_the_last_good_revision_is_healed(self) -> None:
        world = await self.broken()
        await world.run()
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.heal()
        assert ran.writes == ["apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "data", "value") == "1"
        assert ran.problems == ["Yaml prod/a.yaml"], "a run that heals says what is wrong as well"

    async def test_a_new_process_heals_it_from_the_record_and_the_mirror(self) -> None:
        world = await self.broken()
        world.restart()
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.run()
        assert ran.writes == ["apply ConfigMap/a"]
        assert world.value("ConfigMap/a", "data", "value") == "1"
        assert ran.problems == ["Yaml prod/a.yaml"]

    async def test_nothing_is_pruned(self) -> None:
        world = await self.broken()
        world.push({"base/a.yaml": BASE["base/a.yaml"], "prod/a.yaml": "kind: [\n"})
        ran = await world.run()
        assert ran.writes == []
        assert world.live("ConfigMap/b") is not None

    async def test_the_next_good_commit_is_applied(self) -> None:
        world = await self.broken()
        await world.run()
        world.push({**BASE, "base/a.yaml": m.config(data="3")})
        ran = await world.run()
        assert (ran.writes, ran.problems) == (["apply ConfigMap/a"], [])

    async def test_a_first_commit_that_cannot_be_read_applies_nothing(self) -> None:
        world = Installation(files=BROKEN, layers=LAYERS)
        ran = await world.run()
        assert (ran.writes, ran.problems) == ([], ["Yaml prod/a.yaml"])

    async def test_the_last_good_revision_of_another_spec_is_none(self) -> None:
        world = await self.broken()
        world.spec(layers=["prod", "base"])
        world.restart()
        ran = await world.run()
        assert ran.writes == []
        assert ran.problems == ["Yaml prod/a.yaml"]


class TestOfAGitServerThatIsAway:
    @pytest.mark.parametrize(
        ("error", "transient"),
        [
            (SourceUnavailableError("the server does not answer"), True),
            (SourceError("the revision does not exist"), False),
        ],
    )
    async def test_the_last_revision_stays_and_is_healed(self, error: SourceError, transient: bool) -> None:
        world = Installation(files=BASE)
        await world.run()
        world.git.error = error
        ran = await world.run()
        assert (ran.writes, ran.problems) == ([], [error.reason])
        assert (ready("Reconciling", ran), ready("Stalled", ran)) == (
            ("True", "False") if transient else ("False", "True")
        )
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.heal()
        assert (ran.writes, ran.problems) == (["apply ConfigMap/a"], [error.reason])
        world.git.error = None
        assert (await world.run()).quiet

    async def test_a_new_process_heals_from_the_record_and_the_mirror(self) -> None:
        world = Installation(files=BASE)
        await world.run()
        world.git.error = SourceUnavailableError("the server does not answer")
        world.restart()
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.run()
        assert (ran.writes, ran.problems) == (["apply ConfigMap/a"], ["SourceUnavailable"])

    async def test_a_limit_of_git_is_reported_by_the_run(self) -> None:
        world = Installation(files=BASE)
        await world.run()
        world.git.error = LimitError("git needs more than it gets")
        ran = await world.run()
        assert (ran.writes, ran.ready) == ([], "Limit")
        world.edit("ConfigMap/a", "data", "value", to="edited")
        assert (await world.heal()).writes == ["apply ConfigMap/a"]

    async def test_what_was_read_of_one_repository_is_not_applied_as_another_one(self) -> None:
        world = Installation(files=BASE)
        await world.run()
        world.git.error = SourceUnavailableError("the server does not answer")
        world.spec(url="https://git.example.com/other.git")
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.run()
        assert (ran.writes, ran.problems) == ([], ["SourceUnavailable"])


@pytest.mark.parametrize(
    ("trigger", "known"), [("interval", True), ("retry", True), ("request", False), ("spec", False), ("push", False)]
)
async def test_a_poll_takes_what_git_said_lately_and_a_request_asks_again(trigger: str, known: bool) -> None:
    world = Installation(files={"a.yaml": m.config()}, interval="10m")
    await world.run()
    await world.run(trigger)
    assert (0 < world.git.within < 600) == known


async def test_a_branch_that_was_rewritten_is_followed_and_reported() -> None:
    world = Installation(files=BASE)
    await world.run()
    world.git.force_push({**BASE, "base/a.yaml": m.config(data="2")})
    ran = await world.run()
    assert ran.writes == ["apply ConfigMap/a"]
    assert ran.events == ["ForcedPush"]
    (event,) = [each for each in ran.audit if each.action == "forced-push"]
    assert event.phase == "event"
    assert event.facts is not None
    assert str(event.facts["before"]).startswith("000000000001")
    assert (await world.run()).events == []


async def test_a_branch_that_goes_on_is_no_event() -> None:
    world = Installation(files=BASE)
    await world.run()
    world.push({**BASE, "base/a.yaml": m.config(data="2")})
    assert (await world.run()).events == []


async def test_another_branch_is_no_forced_push() -> None:
    world = Installation(files=BASE)
    await world.run()
    world.git.force_push(BASE)
    world.spec(source={"url": "https://git.example.com/x.git", "revision": {"branch": "next"}})
    assert (await world.run("spec")).events == []


class TestOfDetection:
    async def test_it_writes_nothing_and_tells_what_would_be_done(self) -> None:
        files = {f"{name}.yaml": m.config(name) for name in "abcdef"}
        world = Installation(files=files)
        await world.run()
        world.spec(sync={"mode": "detect"})
        world.push(
            {
                **{name: text for name, text in files.items() if name != "f.yaml"},
                "a.yaml": m.config(data="2"),
                "n.yaml": m.config("n"),
            }
        )
        world.edit("ConfigMap/b", "data", "value", to="edited")
        ran = await world.run()
        assert ran.writes == []
        assert ran.pending == ["ConfigMap/a", "ConfigMap/b", "ConfigMap/f", "ConfigMap/n"]
        assert ran.ready == "Detected"
        assert (ready("Ready", ran), ready("Drifted", ran)) == ("False", "True")
        assert ran.status.counts.drifted == 4
        assert ran.audit == []
        assert world.recorded_commit == 1

    async def test_what_stands_as_git_has_it_is_no_difference(self) -> None:
        world = Installation(files=BASE)
        await world.run()
        world.spec(sync={"mode": "detect"})
        ran = await world.run()
        assert (ran.pending, ran.ready, ready("Ready", ran)) == ([], "Applied", "True")

    async def test_drift_is_reported_and_not_healed(self) -> None:
        world = Installation(files=BASE)
        await world.run()
        world.spec(sync={"mode": "detect"})
        await world.run()
        world.edit("ConfigMap/a", "data", "value", to="edited")
        ran = await world.heal()
        assert (ran.writes, ran.pending) == ([], ["ConfigMap/a"])

    async def test_what_is_wrong_is_reported_as_well(self) -> None:
        world = Installation(files={**BASE, "x.yaml": "kind: [\n"}, sync={"mode": "detect"})
        ran = await world.run()
        assert ran.problems == ["Yaml x.yaml"]
        assert ran.pending == ["ConfigMap/a", "ConfigMap/b"]

    async def test_it_applies_once_it_may(self) -> None:
        world = Installation(files=BASE, sync={"mode": "detect"})
        await world.run()
        world.spec(sync={"mode": "apply"})
        assert (await world.run("spec")).writes == ["apply ConfigMap/a", "apply ConfigMap/b"]


async def test_a_commit_is_not_read_twice() -> None:
    world = Installation(files=BASE)
    await world.run()
    await world.run()
    await world.run("interval")
    assert world.git.reads == 1


async def test_a_commit_with_something_held_is_looked_at_again() -> None:
    world = Installation(files={**BASE, "s.yaml": m.secret("db")})
    await world.run()
    world.stores.write("kv/db", password="p")
    assert (await world.run("interval")).writes == ["apply Secret/db"]


async def test_a_spec_that_changes_is_another_desired_state() -> None:
    files = {**BASE, "prod/a.yaml": m.config(data="2")}
    world = Installation(files=files, layers=["base"])
    await world.run()
    world.spec(layers=LAYERS)
    ran = await world.run("spec")
    assert ran.writes == ["apply ConfigMap/a"]
    assert world.value("ConfigMap/a", "data", "value") == "2"


async def test_a_branch_that_goes_back_from_a_commit_that_is_too_large_is_followed_back() -> None:
    world = Installation(files={"a.yaml": m.config()})
    await world.run()
    world.limits = world.limits.model_copy(update={"objects": 2})
    world.push({f"{name}.yaml": m.config(name) for name in "abcd"})
    assert (await world.run()).problems == ["Limit"]
    world.git.head_number = 1
    ran = await world.run()
    assert ran.problems == []
    assert ran.writes == []


SEALED = {"base/db.yaml": encrypt(m.plain_secret()), "base/b.yaml": m.config("b")}
RESEALED = {**SEALED, "base/db.yaml": encrypt(m.plain_secret(value="new"))}


class TestOfACommitThatCannotBeTaken:
    """It is read at every retry: what was parsed and verified of it is known by then."""

    @pytest.fixture
    def parsed(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The paths that are parsed."""
        paths: list[str] = []
        parse_file = documents.parse_file

        def counted(file: File, *, limits: Limits) -> documents.ParsedFile:
            paths.append(file.path)
            return parse_file(file, limits=limits)

        monkeypatch.setattr(documents, "parse_file", counted)
        return paths

    async def test_a_file_of_a_layer_that_cannot_be_read(self, parsed: list[str]) -> None:
        world = Installation(files=SEALED, layers=LAYERS)
        await world.run()
        world.push({**RESEALED, "prod/a.yaml": "kind: [\n"})
        assert (await world.run()).opened == ["base/db.yaml"]
        parsed.clear()
        ran = await world.run("retry")
        assert (parsed, ran.opened, ran.problems) == ([], [], ["Yaml prod/a.yaml"])
        world.push({**RESEALED, "prod/a.yaml": m.config()})
        assert (await world.run()).opened == ["base/db.yaml"], "for the object alone, which is applied"
        assert parsed == ["prod/a.yaml"]

    async def test_more_objects_than_the_agent_takes(self, parsed: list[str]) -> None:
        world = Installation(files=SEALED)
        await world.run()
        world.limits = world.limits.model_copy(update={"objects": 2})
        world.push({**RESEALED, "c.yaml": m.config("c")})
        assert (await world.run()).opened == [], "no key is asked for what is not taken"
        parsed.clear()
        ran = await world.run("retry")
        assert (parsed, ran.opened, ran.ended_by) == ([], [], "Limit")

    async def test_the_last_good_one_stays_verified_in_the_record(self) -> None:
        world = Installation(files=SEALED, layers=LAYERS)
        await world.run()
        world.push({**RESEALED, "prod/a.yaml": "kind: [\n"})
        await world.run()
        world.edit("ConfigMap/b", "data", "value", to="edited")
        assert (await world.heal()).writes == ["apply ConfigMap/b"]
        world.restart()
        assert (await world.run()).opened == ["base/db.yaml"], "of the newest commit alone"
