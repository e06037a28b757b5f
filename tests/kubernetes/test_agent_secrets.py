"""Secrets that the agent keeps for itself: made once, read by all."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from agent.adapters.kubernetes.secrets import Secrets
from agent.engine.ports import Identity
from agent.values import derive
from agent.values.errors import ForbiddenError, NotFoundError
from agent.values.secret import Secret


def make():
    return {"key-1": Secret(secrets.token_bytes(32), "generated")}


async def test_several_agents_that_start_at_once_get_the_same_key(connect, namespace):
    async with connect() as first, connect() as second:
        ports = [Secrets(first._session), Secrets(second._session)] * 4
        found = await asyncio.gather(*(port.ensure(namespace, "signet-installation", make) for port in ports))
    assert all(answer == found[0] for answer in found)
    assert list(found[0]) == ["key-1"]


async def test_values_are_bytes_with_a_label_that_names_the_place(cluster, controlplane, namespace):
    metadata = {"name": "git", "namespace": namespace}
    controlplane.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"username": "u", "empty": ""}}
    )
    found = await Secrets(cluster._session).read(namespace, "git")
    assert found == {"username": Secret(b"u", "x"), "empty": Secret(b"", "x")}
    assert found["username"].label == f"live:v1/Secret/{namespace}/git#data.username"
    assert derive.text(found["username"]) == Secret("u", "x")


async def test_no_secret_is_none_and_an_empty_one_is_empty(cluster, controlplane, namespace):
    port = Secrets(cluster._session)
    assert await port.read(namespace, "missing") is None
    controlplane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bare", "namespace": namespace}})
    assert await port.read(namespace, "bare") == {}


async def test_a_missing_namespace_is_an_error_when_one_is_made(cluster):
    with pytest.raises(NotFoundError):
        await Secrets(cluster._session).ensure("no-such-namespace", "a", make)


async def test_what_an_identity_may_not_read_is_refused(cluster, namespace):
    with pytest.raises(ForbiddenError):
        await Secrets(cluster._session).read(namespace, "any", identity=Identity(namespace, "default"))
