"""Live edits at a steady pace, and how long each stands before it is put right."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from bench import manifests
from bench.writers import session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.manifests import Object
    from testbed.cluster import Cluster

_PATIENCE = 60.0


def edits(objects: Sequence[Object], count: int) -> list[Object]:
    """Which objects are edited: of all kinds, the same in every run, none a second time before all others."""
    order = list(objects)
    random.Random(1).shuffle(order)
    return [order[number % len(order)] for number in range(count)]


def edit(obj: Object) -> tuple[Object, tuple[str, ...]]:
    """A merge patch of a field that the object's manifest sets, and the path of that field."""
    match obj["kind"]:
        case "Deployment":
            return {"spec": {"revisionHistoryLimit": 9}}, ("spec", "revisionHistoryLimit")
        case "Service":
            return {"spec": {"sessionAffinity": "ClientIP"}}, ("spec", "sessionAffinity")
        case "ServiceAccount":
            return {"automountServiceAccountToken": True}, ("automountServiceAccountToken",)
        case _:
            key = min(obj["data"])
            return {"data": {key: "ZWRpdGVk"}}, ("data", key)


class _Edited:
    """One edit that waits for its healing."""

    def __init__(self, path: tuple[str, ...], obj: Object) -> None:
        self.path = path
        self.wanted = _at(obj, path)
        self.seen = False
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def look(self, live: Object) -> None:
        value = _at(live, self.path)
        if value != self.wanted:
            self.seen = True
        elif self.seen and not self.done.done():
            self.done.set_result(time.monotonic())


def heal_times(
    cluster: Cluster, token: str, namespace: str, objects: Sequence[Object], *, per_second: float
) -> list[float]:
    """Seconds from sending each edit to the watch event that shows the object as committed.

    Edits are sent at a steady pace, whether or not earlier ones are healed. Raises TimeoutError for one that is not
    healed in a minute.
    """
    return asyncio.run(_heal_times(cluster, token, namespace, objects, per_second))


async def _heal_times(
    cluster: Cluster, token: str, namespace: str, objects: Sequence[Object], per_second: float
) -> list[float]:
    waiting: dict[tuple[str, str], _Edited] = {}
    async with session(cluster, token) as http:
        versions = {kind: await _version(http, cluster, kind, namespace) for kind in manifests.KINDS}
        watches = [
            asyncio.create_task(_watch(http, cluster, kind, namespace, versions[kind], waiting))
            for kind in manifests.KINDS
        ]
        began = asyncio.get_running_loop().time()
        tasks: list[asyncio.Task[float]] = []
        for number, obj in enumerate(objects):
            await asyncio.sleep(began + number / per_second - asyncio.get_running_loop().time())
            tasks.append(asyncio.create_task(_one(http, cluster, obj, waiting)))
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for watch in watches:
                _ = watch.cancel()
            _ = await asyncio.gather(*watches, return_exceptions=True)


async def _one(
    http: aiohttp.ClientSession, cluster: Cluster, obj: Object, waiting: dict[tuple[str, str], _Edited]
) -> float:
    body, path = edit(obj)
    key = (obj["kind"], obj["metadata"]["name"])
    edited = waiting[key] = _Edited(path, obj)
    began = time.monotonic()
    async with http.patch(
        f"{cluster.url}{manifests.path(obj)}?fieldManager=kubectl-edit",
        data=orjson.dumps(body),
        headers={"Content-Type": "application/merge-patch+json"},
    ) as answer:
        _ = await answer.read()
        answer.raise_for_status()
    async with asyncio.timeout(_PATIENCE):
        return await edited.done - began


async def _version(http: aiohttp.ClientSession, cluster: Cluster, kind: str, namespace: str) -> str:
    async with http.get(f"{cluster.url}{manifests.collection(kind, namespace)}?limit=1") as answer:
        return (await answer.json())["metadata"]["resourceVersion"]


async def _watch(  # noqa: PLR0917
    http: aiohttp.ClientSession,
    cluster: Cluster,
    kind: str,
    namespace: str,
    version: str,
    waiting: dict[tuple[str, str], _Edited],
) -> None:
    url = f"{cluster.url}{manifests.collection(kind, namespace)}?watch=true&resourceVersion={version}"
    async with http.get(url, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=2**20) as answer:
        async for line in answer.content:
            live = orjson.loads(line)["object"]
            edited = waiting.get((kind, live["metadata"].get("name", "")))
            if edited is not None:
                edited.look(live)


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        obj = obj.get(step) if isinstance(obj, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return obj  # pyright: ignore[reportUnknownVariableType]


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(percent / 100 * len(ordered) + 0.5) - 1))]
