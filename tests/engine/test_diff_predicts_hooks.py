"""`agent diff -f` and `agent render -f` show the hooks of a chart as what will run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world.records import Shards
from whole_runs.hooks import SETTINGS, VALUES, Cluster, chart, hook, world
from whole_runs.previewing import asking
from whole_runs.surroundings import UID

from agent.adapters.render.pool import Renderers
from render import build

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from whole_runs.installation import Installation
    from whole_runs.previewing import User

    Asking = Callable[[Installation], User]

__all__ = ["asking"]

HOOKS = {
    "a": hook("migrate", "pre-install,pre-upgrade"),
    "b": hook("seed", "post-install"),
    "c": hook("check", "post-upgrade"),
    "d": hook("account", "pre-install,post-upgrade", kind="ServiceAccount"),
}
FILES = chart(settings=SETTINGS, **HOOKS)
CHANGED = chart(VALUES.replace("example.com", "other"), settings=SETTINGS, **HOOKS)


@pytest.fixture
async def made() -> AsyncGenerator[tuple[Installation, Cluster]]:
    running = Renderers(build.built())
    made = world(running, FILES)
    made[0].shards[UID] = Shards()
    yield made
    await running.close()


async def test_an_installation_and_an_upgrade(made: tuple[Installation, Cluster], asking: Asking) -> None:
    installation, cluster = made
    user = asking(installation)
    shown = await user.diff(FILES)
    assert shown.of("run") == {"Job/migrate", "Job/seed", "ServiceAccount/account"}
    assert [each["wave"] for each in shown.objects.values()] == [0, 1, 2, 3]
    ran = await installation.run()
    assert {name for name, action in ran.actions.items() if action == "run"} == shown.of("run")
    shown = await user.diff(FILES)
    assert (shown.actions, shown.code) == ({}, 0)
    shown = await user.diff(CHANGED)
    assert shown.actions == {
        "Job/migrate": "run",
        "ConfigMap/settings": "change",
        "ServiceAccount/account": "run",
        "Job/check": "run",
    }
    assert shown.causes["Job/migrate"] == "hook"
    assert any("migrate ran for this before" in each for each in shown.unknown)
    installation.push(CHANGED)
    ran = await installation.run()
    assert {name for name, action in ran.actions.items() if action == "run"} == shown.of("run")
    assert cluster.ran == ["Job/migrate", "Job/seed", "Job/migrate", "Job/check"]


async def test_a_hook_that_failed_for_this_commit_does_not_run_again(
    made: tuple[Installation, Cluster], asking: Asking
) -> None:
    installation, cluster = made
    user = asking(installation)
    await installation.run()
    cluster.ends["migrate"] = "Failed"
    installation.push(CHANGED)
    await installation.run()
    shown = await user.diff(CHANGED, commit=installation.commit)
    assert shown.actions == dict.fromkeys(
        ("Job/migrate", "ConfigMap/settings", "ServiceAccount/account", "Job/check"), "hold"
    )
    assert (await installation.run()).writes == []


async def test_a_release_that_would_be_taken_over(made: tuple[Installation, Cluster], asking: Asking) -> None:
    installation, cluster = made
    installation.make('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}', "helm")
    shown = await asking(installation).diff(FILES)
    assert shown.actions == {"ConfigMap/settings": "change"}
    await installation.run()
    assert cluster.ran == []


async def test_render_names_what_each_is(made: tuple[Installation, Cluster], asking: Asking) -> None:
    code, out, errors = await asking(made[0]).render(FILES)
    assert code == 0, errors
    heads = [line for line in out.splitlines() if line.startswith("# ")]
    assert heads == [
        "# chart/templates/d.yaml, hook: before install; after upgrade",
        "# chart/templates/a.yaml, hook: before install and upgrade",
        "# chart/templates/settings.yaml",
        "# chart/templates/c.yaml, hook: after upgrade",
        "# chart/templates/b.yaml, hook: after install",
    ]
