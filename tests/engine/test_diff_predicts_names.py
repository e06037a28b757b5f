"""`agent diff -f` of an overlay names generated objects as the agent does, where the user's keys and rights show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.sealed_files import data_key_of, encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation
from whole_runs.previewing import FORBIDDEN, asking

from agent.adapters.render.pool import Renderers
from agent.cli.applications import desired, overlays
from render import build

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from whole_runs.previewing import User

    from agent.sops.format.groups import WrappedDataKey
    from agent.values.secret import Secret

    Asking = Callable[[Installation], User]

__all__ = ["asking"]

ENV = "password=hunter2\n"


@pytest.fixture
async def world() -> AsyncGenerator[Installation]:
    """The agent applied an overlay that was encrypted twice since."""
    running = Renderers(build.built())
    made = Installation(files=files("age1team"), render={"kustomize": {"path": "prod"}})
    made.renderers = sources.Renderers(running)
    made.keys.held |= {"age1second", "age1third"}
    await made.run()
    made.push(files("age1second"))
    await made.run()
    yield made
    await running.close()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has keys for all files."""

    def unwrap(wrapped: WrappedDataKey, *_: object, **__: object) -> Secret:
        return data_key_of(wrapped.keys[0].enc)  # pyright: ignore[reportAttributeAccessIssue]

    for module in (desired, overlays):
        monkeypatch.setattr(module, "unwrap_data_key", unwrap)


def files(recipient: str, env: str = ENV) -> dict[str, str]:
    overlay = "resources: [web.yaml]\nsecretGenerator: [{name: env, envs: [db.env]}]\n"
    given = {
        "kustomization.yaml": overlay,
        "web.yaml": m.workload(uses="env"),
        "db.env": encrypt(env, "db.env", recipient=recipient),
    }
    return {f"prod/{name}": text for name, text in given.items()}


def standing(world: Installation) -> str:
    [name] = [key.name for key in world.server.objects if key.kind == "Secret"]
    return f"Secret/{name}"


async def test_what_the_record_names_needs_no_key(world: Installation, asking: Asking) -> None:
    said = await asking(world).diff(files("age1second"))
    assert (said.of("create", "prune"), standing(world) in said.objects) == (set(), True)
    assert "another name" not in said.errors


@pytest.mark.usefixtures("keys")
async def test_another_ciphertext_changes_nothing(world: Installation, asking: Asking) -> None:
    said = await asking(world).diff(files("age1third"))
    assert (said.code, said.actions, set(said.objects)) == (0, {}, {standing(world), "Deployment/web"}), said.errors


@pytest.mark.usefixtures("keys")
async def test_another_value_is_another_name(world: Installation, asking: Asking) -> None:
    said = await asking(world).diff(files("age1third", "password=hunter3\n"))
    before = standing(world)
    [new] = said.of("create")
    assert said.actions == {new: "create", "Deployment/web": "change", before: "prune"}
    world.push(files("age1third", "password=hunter3\n"))
    await world.run()
    assert standing(world) == new


async def test_a_value_that_does_not_open_leaves_its_name_unknown(world: Installation, asking: Asking) -> None:
    said = await asking(world).diff(files("age1third"))
    assert "may stand under another name: a value does not open with your keys" in said.errors


@pytest.mark.usefixtures("keys")
async def test_without_the_record_a_name_is_found_by_what_it_holds(world: Installation, asking: Asking) -> None:
    user = asking(world)
    user.errors["records"] = FORBIDDEN
    said = await user.diff(files("age1third"))
    assert (said.actions, "another name" in said.errors) == ({}, False), said.errors


@pytest.mark.usefixtures("keys")
async def test_what_may_not_be_read_is_unknown(world: Installation, asking: Asking) -> None:
    user = asking(world)
    user.errors["get Secret"] = FORBIDDEN
    said = await user.diff(files("age1third"))
    assert "names of generated objects are shown as they were rendered" in said.errors
