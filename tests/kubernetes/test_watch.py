"""A watch reports every object that matches and every one that no longer does, whatever breaks in between."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.adapters.kubernetes import objects, wire
from agent.adapters.kubernetes.resources import CONFIG_MAP
from agent.adapters.kubernetes.watch import Pace, Watch
from agent.manifests.kinds import Resource
from agent.values.errors import ClusterUnavailableError, ExpiredError, ForbiddenError, NotFoundError
from testbed.cluster import account

LABEL = "signet-gitops.dev/installation"
QUICK = Pace(first=0.1, longest=0.5, longest_unavailable=0.5)


def config_map(namespace: str, name: str, value: str = "v", label: str = "mine") -> dict:
    metadata = {"name": name, "namespace": namespace, "labels": {LABEL: label}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": value}}


class Seen:
    """What a watch has delivered so far, and the state that a consumer would have built from it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.live: dict[str, str] = {}
        self.synced = 0

    def take(self, event) -> None:
        name = event.object.get("metadata", {}).get("name", "")
        self.events.append((event.type, name))
        if event.type == "present":
            self.live[name] = event.object["data"].get("k", "")
        elif event.type == "gone":
            self.live.pop(name, None)
        else:
            self.synced += 1


@asynccontextmanager
async def watching(events):
    seen = Seen()

    async def consume() -> None:
        async for event in events:
            seen.take(event)

    task = asyncio.create_task(consume())
    try:
        yield seen
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
def path(namespace):
    return lambda name: f"/api/v1/namespaces/{namespace}/configmaps/{name}"


async def test_the_list_comes_first_then_every_change(cluster, controlplane, namespace, path, eventually):
    for name in ("a", "b"):
        controlplane.apply(config_map(namespace, name))
    controlplane.apply(config_map(namespace, "foreign", label="other"))
    async with watching(cluster.watch(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) as seen:
        await eventually(lambda: seen.synced)
        assert seen.events == [("present", "a"), ("present", "b"), ("synced", "")]
        controlplane.merge(path("a"), {"data": {"k": "edited"}})
        await eventually(lambda: seen.live == {"a": "edited", "b": "v"})
        controlplane.delete(path("b"))
        controlplane.apply(config_map(namespace, "c"))
        await eventually(lambda: seen.live == {"a": "edited", "c": "v"})


async def test_an_object_that_loses_its_label_is_gone(cluster, controlplane, namespace, path, eventually):
    controlplane.apply(config_map(namespace, "a"))
    async with watching(cluster.watch(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) as seen:
        await eventually(lambda: seen.live)
        controlplane.merge(path("a"), {"metadata": {"labels": {LABEL: None}}})
        await eventually(lambda: not seen.live)
        assert await cluster.get(CONFIG_MAP, namespace, "a") is not None


async def test_a_list_of_several_pages(connect, controlplane, namespace, eventually):
    names = {f"p{number}" for number in range(7)}
    for name in names:
        controlplane.apply(config_map(namespace, name))
    async with (
        connect(pace=Pace(page=3)) as cluster,
        watching(cluster.watch(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) as seen,
    ):
        await eventually(lambda: seen.synced)
        assert set(seen.live) == names


async def test_a_page_of_large_objects_is_asked_for_in_smaller_ones(
    connect, controlplane, namespace, eventually, monkeypatch
):
    """A tenant may write many large objects with the label, and a page of them took more memory than the agent has."""
    sizes = []
    monkeypatch.setattr(objects, "_PAGE_BYTES", 100_000)
    read = wire.page
    monkeypatch.setattr(wire, "page", lambda body, *more: sizes.append(len(body)) or read(body, *more))
    names = {f"p{number}" for number in range(7)}
    for name in names:
        controlplane.apply(config_map(namespace, name, value="v" * 40_000))
    async with connect() as cluster:
        assert len(await cluster.list(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) == 7
        async with watching(cluster.watch(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) as seen:
            await eventually(lambda: seen.synced)
            assert set(seen.live) == names
    assert max(sizes) < 100_000


async def test_one_object_larger_than_a_page_is_listed_all_the_same(connect, controlplane, namespace, monkeypatch):
    monkeypatch.setattr(objects, "_PAGE_BYTES", 1000)
    for name in ("a", "b"):
        controlplane.apply(config_map(namespace, name, value="v" * 2000))
    async with connect() as cluster:
        found = await cluster.list(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")
    assert [item["metadata"]["name"] for item in found] == ["a", "b"]


async def test_a_cut_connection_goes_on_where_it_was(connect, relay, controlplane, namespace, path, eventually):
    controlplane.apply(config_map(namespace, "a"))
    controlplane.apply(config_map(namespace, "b"))
    async with (
        connect(port=relay.port, pace=QUICK) as cluster,
        watching(cluster.watch(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) as seen,
    ):
        await eventually(lambda: seen.synced)
        relay.refuse = True
        relay.cut()
        controlplane.merge(path("a"), {"data": {"k": "while away"}})
        controlplane.delete(path("b"))
        before = relay.accepted
        await eventually(lambda: relay.accepted > before)
        relay.refuse = False
        await eventually(lambda: seen.live == {"a": "while away"})
        assert seen.synced == 1, "no new list was needed"


async def test_a_version_that_is_no_longer_kept_makes_the_watch_list_again(
    connect, controlplane, namespace, path, eventually
):
    for name in ("a", "b"):
        controlplane.apply(config_map(namespace, name))
    troubles = []
    async with connect() as cluster:
        watch = Watch(
            cluster._session,
            CONFIG_MAP,
            lambda _: False,
            namespace=namespace,
            selector=f"{LABEL}=mine",
            pace=QUICK,
            report=lambda _, trouble: troubles.append(trouble),
        )
        async with watching(watch.events()) as seen:
            await eventually(lambda: seen.synced)
            with controlplane.apiserver_away():  # its memory of old versions is lost with it
                watch._version = "1"
            controlplane.delete(path("b"))
            await eventually(lambda: seen.synced == 2 and seen.live == {"a": "v"})
    assert any(isinstance(trouble, ExpiredError) for trouble in troubles)


async def test_an_apiserver_that_restarts_loses_no_change(connect, controlplane, namespace, path, eventually):
    for name in ("a", "b"):
        controlplane.apply(config_map(namespace, name))
    async with (
        connect(pace=QUICK) as cluster,
        watching(cluster.watch(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) as seen,
    ):
        await eventually(lambda: seen.synced)
        await asyncio.to_thread(controlplane.stop_apiserver)
        await asyncio.to_thread(controlplane.start_apiserver)
        controlplane.merge(path("a"), {"data": {"k": "after"}})
        controlplane.delete(path("b"))
        await eventually(lambda: seen.live == {"a": "after"})


async def test_a_server_that_stays_silent_is_left(connect, controlplane, namespace, path, eventually):
    controlplane.apply(config_map(namespace, "a"))
    troubles = []
    pace = Pace(silence=0.5, first=0.1, longest_unavailable=0.2)
    async with (
        connect(pace=pace, report=lambda _, trouble: troubles.append(trouble)) as cluster,
        watching(cluster.watch(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) as seen,
    ):
        await eventually(lambda: seen.synced)
        with controlplane.apiserver_paused():
            await eventually(lambda: troubles)
        assert isinstance(troubles[0], ClusterUnavailableError)
        controlplane.merge(path("a"), {"data": {"k": "after"}})
        await eventually(lambda: seen.live == {"a": "after"})


async def test_a_watch_says_when_it_hears_of_its_kind(connect, controlplane, namespace, path, eventually):
    controlplane.apply(config_map(namespace, "a"))
    heard, troubles = [], []
    async with (
        connect(
            pace=Pace(silence=0.5, first=0.1, longest_unavailable=0.2),
            report=lambda _, trouble: troubles.append(trouble),
            heard=lambda *said: heard.append(said),
        ) as cluster,
        watching(cluster.watch(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) as seen,
    ):
        await eventually(lambda: seen.synced)
        assert heard[0] == (CONFIG_MAP, True)
        with controlplane.apiserver_paused():
            await asyncio.sleep(0.2)  # what it sent before has arrived
            troubles.clear()
            before = len(heard)
            await eventually(lambda: troubles)
            assert len(heard) == before
        controlplane.merge(path("a"), {"data": {"k": "after"}})
        await eventually(lambda: len(heard) > before)
    assert set(heard) == {(CONFIG_MAP, True)}


async def test_a_refusal_backs_off_and_ends_when_it_is_granted(connect, controlplane, namespace, eventually):
    controlplane.apply(config_map(namespace, "a"))
    controlplane.create_service_account(namespace, "agent")
    token = controlplane.service_account_token(namespace, "agent")
    troubles, requests = [], []
    pace = Pace(first=0.2, longest=2)
    async with (
        connect(
            token=token,
            pace=pace,
            report=lambda _, trouble: troubles.append(trouble),
            observe=lambda verb, code, _: requests.append((verb, code)),
        ) as cluster,
        watching(cluster.watch(CONFIG_MAP, namespace=namespace)) as seen,
    ):
        await eventually(lambda: len(troubles) == 3)
        assert all(isinstance(trouble, ForbiddenError) for trouble in troubles)
        assert len(requests) <= 4
        assert {kind for kind, _ in seen.events} == {"refused"}
        controlplane.bind(namespace, account(namespace, "agent"), "ClusterRole", "view")
        await eventually(lambda: "a" in seen.live)


async def test_a_kind_that_is_not_served_is_not_reported_as_gone(connect, eventually):
    things = Resource("no.example", "v1", "Thing", "things", True)
    troubles, heard = [], []
    async with (
        connect(
            pace=QUICK,
            report=lambda resource, trouble: troubles.append((resource, trouble)),
            heard=lambda resource, served: heard.append((resource, served)),
        ) as cluster,
        watching(cluster.watch(things)) as seen,
    ):
        await eventually(lambda: len(troubles) >= 2)
        assert seen.events == []
    assert set(heard) == {(things, False)}
    assert troubles[0][0] is things
    assert isinstance(troubles[0][1], NotFoundError)


async def test_a_watch_is_renewed_when_its_time_is_over(connect, controlplane, namespace, path, eventually):
    controlplane.apply(config_map(namespace, "a"))
    watches = []
    async with (
        connect(
            pace=Pace(lifetime=1, first=0.1),
            observe=lambda verb, code, _: watches.append(code) if verb == "watch" else None,
        ) as cluster,
        watching(cluster.watch(CONFIG_MAP, namespace=namespace, selector=f"{LABEL}=mine")) as seen,
    ):
        await eventually(lambda: len(watches) >= 3)
        controlplane.merge(path("a"), {"data": {"k": "later"}})
        await eventually(lambda: seen.live == {"a": "later"})
        assert seen.synced == 1
