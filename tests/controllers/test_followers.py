"""What a push starts: those that follow the ref and are the sender's to start, at most once a second, on the agents that run them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from agent.api import application as applications
from agent.controllers import followers
from agent.controllers.followers import Followers, Push, Pushes
from agent.controllers.managed import ManagedApplication, changes
from agent.engine.causes import TAKES_KNOWN, Trigger
from agent.values.errors import ClusterError
from agent.values.ids import ApplicationId

URL = "https://git.example.com/team/shop.git"
MAIN = Push(frozenset({"git.example.com/team/shop", "other.example.com/x"}), frozenset({"refs/heads/main"}))


def application(uid: str, namespace: str = "shop", **more: object) -> ManagedApplication:
    source = {"url": more.pop("url", URL), "revision": more.pop("revision", {"branch": "main"})}
    source = more.pop("source", source)
    if secret := more.pop("secret", None):
        source["credentials"] = {"secretName": secret}
    tree = {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": uid,
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": "7",
            "annotations": more.pop("annotations", {}),
        },
        "spec": {"source": source, **more},
    }
    managed = ManagedApplication(ApplicationId(namespace, uid, uid))
    managed.read(tree)
    assert managed.refusal is None
    return managed


class World:
    """An agent whose Applications are those that are listed in `mine`."""

    def __init__(self, *known: ManagedApplication, mine: tuple[str, ...] = ()) -> None:
        self.now = 100.0
        self.woken: list[str] = []
        self.patched: list[tuple[str, object]] = []
        self.fails = False
        self.managed = {each.id.uid: each for each in known}
        clock = SimpleNamespace(monotonic=lambda: self.now, now=lambda: 1.5)
        self.pushes = Pushes(self, clock, self.managed, mine.__contains__, self.woken.append)
        for each in known:
            self.pushes.followers.seen(each.id.uid, each.application)

    async def json_patch(self, resource, namespace: str, name: str, patch) -> None:
        if self.fails:
            raise ClusterError("no")
        self.patched.append((f"{namespace}/{name}", patch))


def test_applications_are_found_by_repository_and_ref_however_the_url_is_written() -> None:
    index = Followers()
    known = [
        application("a"),
        application("b", url="git@git.example.com:Team/shop"),
        application("c", revision={"tag": "main"}),
        application("d", revision={"commit": "a" * 40}),
        application("e", url="https://git.example.com:8443/team/shop"),
    ]
    for each in known:
        index.seen(each.id.uid, each.application)
    assert index.of("git.example.com/team/shop", "refs/heads/main") == ("a", "b")
    assert index.of("git.example.com/team/shop", "refs/tags/main") == ("c",)
    index.seen("a", application("a", revision={"branch": "next"}).application)
    index.seen("b", None)
    assert index.of("git.example.com/team/shop", "refs/heads/main") == ()
    for uid in "ace":
        index.seen(uid, None)
    assert not index._uids
    assert not index._followed


async def test_a_push_starts_the_applications_of_its_namespaces_alone() -> None:
    uids = ("a", "b", "c")
    world = World(application("a"), application("b", "bank"), application("c", "shop-2"), mine=uids)
    await world.pushes.take(MAIN, ["shop*"])
    assert world.woken == ["a", "c"]
    await world.pushes.take(Push(MAIN.repositories, frozenset({"refs/heads/next"})), ["*"])
    assert world.woken == ["a", "c"]


async def test_a_push_of_a_tag_starts_what_follows_versions() -> None:
    world = World(application("a", revision={"semver": "^1"}), application("b"), mine=("a", "b"))
    await world.pushes.take(Push(MAIN.repositories, frozenset({"refs/tags/v1.2.3"})), ["*"])
    assert world.woken == ["a"]


async def test_a_push_to_any_of_its_repositories_starts_an_application() -> None:
    further = {"name": "platform", "url": "https://git.example.com/platform", "revision": {"branch": "stable"}}
    pinned = {"name": "pinned", "url": "https://git.example.com/pinned", "revision": {"commit": "a" * 40}}
    given = application("a", sources=[further, pinned])
    world = World(given, mine=("a",))
    platform = Push(frozenset({"git.example.com/platform"}), frozenset({"refs/heads/stable"}))
    for push in (MAIN, platform, Push(frozenset({"git.example.com/pinned"}), frozenset({"a" * 40}))):
        await world.pushes.take(push, ["*"])
    assert world.woken == ["a", "a"]
    without = application("a").application
    world.pushes.followers.seen("a", without)
    world.now += 5
    await world.pushes.take(platform, ["*"])
    assert world.woken == ["a", "a"]
    world.pushes.followers.seen("a", None)
    assert (world.pushes.followers._uids, world.pushes.followers._followed) == ({}, {})


async def test_many_pushes_within_a_second_start_runs_at_its_beginning_and_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(application("a"), application("b", "bank"), mine=("a", "b"))
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if seconds:
            world.now += seconds

    monkeypatch.setattr(followers.asyncio, "sleep", sleep)
    await world.pushes.take(MAIN, ["shop"])
    world.now += 0.25
    await asyncio.gather(*(world.pushes.take(MAIN, ["shop"]) for _ in range(100)))
    assert world.woken == ["a", "a"] + ["a"] * (len(waited) - 1)
    assert waited[0] == pytest.approx(0.75)
    await world.pushes.take(MAIN, ["bank"])
    assert world.woken[-1] == "b", "another tenant's webhook does not wait for this one's"


async def test_the_agents_of_others_are_notified_once_for_what_shares_a_mirror() -> None:
    noted = {"note": "x"}
    others = [
        application("a", secret="git", annotations=noted),
        application("b", secret="git", annotations=noted),
        application("c", "bank", secret="git"),
        application("d", secret="other", annotations=noted),
        application("e", suspend=True),
    ]
    for each in others:
        each.found = {"agent": "agent-1"}
    moved = application("f", secret="git", annotations=noted)
    moved.found = {"agent": "agent-2"}
    world = World(*others, moved, application("mine"), mine=("mine",))
    await world.pushes.take(MAIN, ["*"])
    assert world.woken == ["mine"]
    assert [name for name, _ in world.patched] == ["shop/a", "bank/c", "shop/d", "shop/f"]
    path = "/metadata/annotations/signet-gitops.dev~1pushed-at"
    assert world.patched[0][1] == [{"op": "add", "path": path, "value": "1500"}]
    assert world.patched[1][1] == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/metadata/annotations", "value": {"signet-gitops.dev/pushed-at": "1500"}},
    ]
    world.fails = True
    world.now += 10
    await world.pushes.take(MAIN, ["*"])
    assert world.woken == ["mine", "mine"]


def test_the_annotation_starts_a_run_that_asks_git_again() -> None:
    before = application("a").application
    after = application("a", annotations={"signet-gitops.dev/pushed-at": "1"}).application
    assert isinstance(after, applications.Application)
    assert changes(before, after) == {Trigger.PUSH}
    assert Trigger.PUSH not in TAKES_KNOWN


def test_artifacts_and_charts_of_registries_are_found_by_the_tag_that_was_pushed() -> None:
    index = Followers()
    oci = "oci://index.docker.io/shop/deploy"
    chart = {"helm": {"chart": {"oci": oci, "version": "1.x"}}}
    for each in (
        application("tag", source={"oci": {"url": oci, "tag": "v1"}}),
        application("range", source={"oci": {"url": oci, "semver": "1.x"}}),
        application("digest", source={"oci": {"url": oci, "digest": "sha256:" + "0" * 64}}),
        application("chart", revision={"commit": "a" * 40}, render=chart),
    ):
        index.seen(each.id.uid, each.application)
    assert index.of("docker.io/shop/deploy", "refs/tags/v1") == ("tag",)
    assert index.of("docker.io/shop/deploy", followers.TAGS) == ("range", "chart")


async def test_every_application_of_an_artifact_hears_of_a_push_since_registries_are_asked_for_each() -> None:
    source = {"oci": {"url": "oci://registry.example.com/shop", "tag": "v1"}}
    world = World(*(application(uid, source=source) for uid in ("a", "b")))
    await world.pushes.take(Push(frozenset({"registry.example.com/shop"}), frozenset({"refs/tags/v1"})), ("*",))
    assert [name for name, _ in world.patched] == ["shop/a", "shop/b"]
