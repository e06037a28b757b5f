"""Shards of a record in ConfigMaps: stored, replaced, removed, and never written over those of another agent."""

from __future__ import annotations

import asyncio

import pytest

from agent.adapters.kubernetes.records import SHARD_BYTES, Records
from agent.values.errors import ForbiddenError, LeaseLostError, LimitError, StaleObjectError
from agent.values.ids import ApplicationId

SHOP = ApplicationId("shop", "web", "5f1d9c1e-7a57-4c2f-9f6a-2f1f6a1f0001")
OTHER = ApplicationId("shop", "api", "5f1d9c1e-7a57-4c2f-9f6a-2f1f6a1f0002")


@pytest.fixture
def records(cluster, namespace):
    return lambda: Records(cluster._session, namespace)


async def test_what_was_stored_is_loaded(records):
    shards = {"0": "first ä\n\t\"'{}", "1": "x" * 100_000, "head": "counter 7"}
    await records().store(SHOP, shards)
    await records().store(OTHER, {"0": "other"})
    assert await records().load(SHOP) == shards
    assert await records().load(OTHER) == {"0": "other"}


async def test_nothing_stored_is_empty(records):
    assert await records().load(SHOP) == {}


async def test_only_the_shards_that_are_given_change_and_empty_ones_go(records):
    mine = records()
    await mine.store(SHOP, {"0": "a", "1": "b"})
    await mine.store(SHOP, {"0": "c"})
    assert await mine.load(SHOP) == {"0": "c", "1": "b"}
    await mine.store(SHOP, {"1": "", "2": ""})
    assert await mine.load(SHOP) == {"0": "c"}


async def test_an_application_that_is_gone_is_forgotten(records):
    mine = records()
    await mine.store(SHOP, {"0": "a", "1": "b"})
    await mine.store(OTHER, {"0": "other"})
    await mine.forget(SHOP)
    assert await mine.load(SHOP) == {}
    assert await mine.load(OTHER) == {"0": "other"}
    await mine.store(SHOP, {"0": "again"})


async def test_a_record_that_another_wrote_is_not_overwritten(records):
    mine, other = records(), records()
    await mine.store(SHOP, {"0": "mine"})
    await other.load(SHOP)
    await other.store(SHOP, {"0": "other"})
    with pytest.raises(StaleObjectError):
        await mine.store(SHOP, {"0": "mine again", "1": "new"})
    with pytest.raises(StaleObjectError):
        await mine.store(SHOP, {"0": "mine again"})
    assert await mine.load(SHOP) == {"0": "other", "1": "new"}
    await mine.store(SHOP, {"0": "mine again"})
    with pytest.raises(StaleObjectError):
        await other.store(SHOP, {"0": ""})


async def test_a_record_that_was_deleted_is_stale_and_not_made_again(records, controlplane, namespace):
    mine = records()
    await mine.store(SHOP, {"0": "mine"})
    controlplane.delete(f"/api/v1/namespaces/{namespace}/configmaps/signet-record-{SHOP.uid}-0")
    with pytest.raises(StaleObjectError):
        await mine.store(SHOP, {"0": "changed"})
    await mine.store(SHOP, {"0": "changed"})


async def test_of_two_agents_that_begin_a_record_at_once_one_does(records):
    outcomes = await asyncio.gather(
        *(records().store(SHOP, {"head": name}) for name in ("mine", "other")), return_exceptions=True
    )
    assert sorted(type(each) for each in outcomes if each is not None) == [StaleObjectError]


async def test_a_shard_stands_until_another_text_is_written(records, controlplane, namespace):
    mine, other = records(), records()
    head = f"/api/v1/namespaces/{namespace}/configmaps/signet-record-{SHOP.uid}-head"
    assert not await mine.stands(SHOP, "head", "mine")
    await mine.store(SHOP, {"head": "mine"})
    assert await mine.stands(SHOP, "head", "mine")
    controlplane.merge(head, {"metadata": {"annotations": {"note": "by hand"}}})
    assert await mine.stands(SHOP, "head", "mine"), "an annotation is no other epoch"
    await mine.store(SHOP, {"head": "mine 2"})
    await other.load(SHOP)
    await other.store(SHOP, {"head": "other"})
    assert not await mine.stands(SHOP, "head", "mine 2")
    controlplane.delete(head)
    assert not await other.stands(SHOP, "head", "other")


@pytest.mark.parametrize("shard", ["head", "objects-0"])
async def test_an_annotation_is_no_other_writer(records, controlplane, namespace, shard):
    mine = records()
    await mine.store(SHOP, {"head": "1", "objects-0": "a"})
    path = f"/api/v1/namespaces/{namespace}/configmaps/signet-record-{SHOP.uid}-{shard}"
    controlplane.merge(path, {"metadata": {"annotations": {"backup": "done"}}})
    await mine.store(SHOP, {"head": "2", "objects-0": "b"})
    assert await mine.load(SHOP) == {"head": "2", "objects-0": "b"}


async def test_an_answer_that_was_lost_is_no_other_writer(records, cluster, monkeypatch):
    mine, attempt, lost = records(), cluster._session._attempt, []

    async def lossy(request, *, refresh):
        answer = await attempt(request, refresh=refresh)
        if request.guarded and not lost:
            lost.append(request.path)
            return None, 0.0
        return answer

    monkeypatch.setattr(cluster._session, "_attempt", lossy)
    await mine.store(SHOP, {"head": "1"})
    await mine.store(SHOP, {"head": "2"})
    assert lost
    assert await mine.load(SHOP) == {"head": "2"}


async def test_an_ended_hold_writes_nothing(records):
    mine = records()
    await mine.store(SHOP, {"head": "mine"})

    def ended() -> None:
        raise LeaseLostError("ended")

    with pytest.raises(LeaseLostError):
        await mine.fenced(ended).store(SHOP, {"head": "late"})
    assert await mine.load(SHOP) == {"head": "mine"}


async def test_the_head_is_written_after_what_it_names(connect, controlplane, namespace):
    sent: list[str] = []

    async with connect(observe=lambda verb, code, _: sent.append(verb)) as cluster:
        mine = Records(cluster._session, namespace)
        await mine.store(SHOP, {"head": "1", "objects-0": "a", "objects-1": "b"})
        await mine.store(SHOP, {"head": "2", "objects-0": "c", "objects-1": ""})
    assert sent == ["apply"] * 5 + ["delete"]
    versions = {
        item["metadata"]["name"].rpartition("-")[2]: int(item["metadata"]["resourceVersion"])
        for item in controlplane.get(
            f"/api/v1/namespaces/{namespace}/configmaps?labelSelector=signet-gitops.dev/record-of"
        )["items"]
    }
    assert versions["head"] > versions["0"]


async def test_a_shard_too_large_is_refused_before_anything_is_sent(records):
    mine = records()
    with pytest.raises(LimitError):
        await mine.store(SHOP, {"0": "small", "1": "x" * (SHARD_BYTES + 1)})
    assert await mine.load(SHOP) == {}
    await mine.store(SHOP, {"0": "x" * SHARD_BYTES})


async def test_a_refusal_of_one_shard_comes_as_itself(connect, controlplane, namespace):
    controlplane.create_service_account(namespace, "weak")
    token = controlplane.service_account_token(namespace, "weak")
    async with connect(token=token) as cluster:
        with pytest.raises(ForbiddenError):
            await Records(cluster._session, namespace).store(SHOP, {str(number): "x" for number in range(8)})


async def test_a_uid_that_is_none_is_refused(records):
    with pytest.raises(ValueError, match="part of a name"):
        await records().load(ApplicationId("shop", "web", "a,b=c"))


async def test_many_shards_at_once(records):
    mine = records()
    shards = {str(number): "x" * 1000 for number in range(100)}
    await asyncio.gather(mine.store(SHOP, shards), mine.store(OTHER, shards))
    assert len(await mine.load(SHOP)) == 100
