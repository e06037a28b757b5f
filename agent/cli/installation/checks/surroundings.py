"""What the agent reaches from where it runs: stores, Git servers, memory. For its Pod, or whatever has its operator's file."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

from agent.adapters.vault.store import Store
from agent.cli.files import memory
from agent.cli.installation.checks import findings
from agent.cli.installation.checks.findings import Finding, Result
from agent.daemon.settings import read_operator_file
from agent.values import system
from agent.values.errors import AgentError
from agent.values.text import LONGEST, cut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from agent.api.operator import OperatorSettings
    from agent.api.operator import Store as StoreSettings

_SECONDS: Final = 10.0
_MOST_POLICIES: Final = 16
_HTTPS, _SSH = 443, 22


async def of(operator_file: Path, memory_dir: Path, namespace: str) -> AsyncGenerator[Finding]:
    """A line for each thing that the operator's file names."""
    try:
        settings = read_operator_file(operator_file).settings
    except AgentError as error:
        yield findings.of_error("operator's file", str(operator_file), error)
        return
    yield Finding("operator's file", str(operator_file), Result.OK, "is valid")
    yield _memory(memory_dir)
    asked = [_store(name, store, namespace) for name, store in settings.stores.items()]
    for finding in await asyncio.gather(*asked, *(_host(host) for host in _hosts(settings))):
        yield finding


def _memory(folder: Path) -> Finding:
    if memory.is_memory(folder):
        return Finding("memory", str(folder), Result.OK, "is memory-backed")
    cure = "mount an emptyDir with medium Memory there, or name another folder with --memory-dir"
    return Finding("memory", str(folder), Result.FAILED, "is on a disk, where keys would be written", cure)


async def _store(name: str, settings: StoreSettings, namespace: str) -> Finding:
    """By the agent's own login."""

    def ask() -> Finding:
        store = Store(name, settings, seconds=_SECONDS, monotonic=time.monotonic, jitter=random.random, now=time.time)
        try:
            answer = store.call(namespace, "get", "auth/token/lookup-self")
        except AgentError as error:
            return findings.of_error("store", name, error)
        finally:
            store.close()
        if answer.status != 200:
            cure = "let the token look itself up: attach the policy default to its role"
            return Finding("store", name, Result.WARNING, "answers, and says nothing of the token", cure)
        policies = answer.data.get("policies")
        shown = ", ".join(str(each) for each in policies[:_MOST_POLICIES]) if isinstance(policies, list) else ""
        return Finding("store", name, Result.OK, f"answers; policies of the agent: {cut(shown, LONGEST)}")

    return await asyncio.to_thread(ask)


def _hosts(settings: OperatorSettings) -> list[tuple[str, tuple[int, ...]]]:
    """Each allowed host, and the ports that are meant."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for entry in settings.git.allowed_hosts:
        host, colon, port = entry.rpartition(":")
        given = colon and port.isdecimal()
        found.append((host if given else entry, (int(port),) if given else (_HTTPS, _SSH)))
    return found


async def _host(at: tuple[str, tuple[int, ...]]) -> Finding:
    host, ports = at
    causes: list[str] = []
    for port in ports:
        try:
            async with asyncio.timeout(_SECONDS):
                _, writer = await asyncio.open_connection(host.strip("[]"), port)
            writer.close()
        except TimeoutError:
            causes.append(f"port {port}: no answer")
        except OSError as error:
            causes.append(f"port {port}: {system.cause(error)}")
        else:
            return Finding("Git server", host, Result.OK, f"accepts connections on port {port}")
    cure = "check the name, DNS, and policies for traffic that leaves the cluster"
    return Finding("Git server", host, Result.FAILED, "; ".join(causes), cure)
