"""What the agent reaches from where it runs: stores, Git servers, memory. For its Pod, or whatever has its operator's file."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.adapters import proxies
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
    from agent.api.proxies import Proxy

_SECONDS: Final = 10.0
_MOST_POLICIES: Final = 16
_HTTPS, _HTTP, _SSH = 443, 80, 22
_OPENED: Final = 200
_STATUS_LINE: Final = 256
"""Bytes of a proxy's answer that are looked at."""


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
    for finding in await asyncio.gather(*asked, *(_host(host, settings.git.proxy) for host in _hosts(settings))):
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


async def _host(at: tuple[str, tuple[int, ...]], proxy: Proxy | None) -> Finding:
    host, ports = at
    causes: list[str] = []
    for port in ports:
        through = proxy.of(host) if proxy is not None and port != _SSH else ""
        try:
            async with asyncio.timeout(_SECONDS):
                if proxy is not None and through:
                    await _connect_by(proxy, host, port)
                else:
                    _, writer = await asyncio.open_connection(host.strip("[]"), port)
                    writer.close()
        except AgentError as error:
            return findings.of_error("Git server", host, error)
        except TimeoutError:
            causes.append(f"port {port}: no answer")
        except OSError as error:
            causes.append(f"port {port}: {system.cause(error)}")
        else:
            by = f" by {through}" if through else ""
            return Finding("Git server", host, Result.OK, f"accepts connections on port {port}{by}")
    cure = "check the name, DNS, and policies for traffic that leaves the cluster"
    return Finding("Git server", host, Result.FAILED, "; ".join(causes), cure)


async def _connect_by(proxy: Proxy, host: str, port: int) -> None:
    """Have the operator's proxy open a connection. Raises SourceUnavailableError where it refuses, and OSError where it is away."""
    url, shown = proxies.request(proxy, host)
    at = urlsplit(url or "")
    reader, writer = await asyncio.open_connection(at.hostname, at.port or _HTTP)
    try:
        headers = {"Host": f"{host}:{port}", **(shown or {})}
        lines = [f"CONNECT {host}:{port} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        words = (await reader.read(_STATUS_LINE)).split(maxsplit=2)
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    finally:
        writer.close()
    if status != _OPENED:
        raise proxies.refusal(status)
