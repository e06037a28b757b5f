"""The running process: signals, the Lease, probes, and a fresh engine whenever the operator's file changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource as limits
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import TYPE_CHECKING, TypeVar

from watchfiles import watch  # pyright: ignore[reportUnknownVariableType]

from agent.adapters.http import server
from agent.adapters.kubernetes import config
from agent.adapters.kubernetes.leases import Leases
from agent.adapters.kubernetes.membership import Membership
from agent.adapters.kubernetes.secrets import Secrets
from agent.adapters.kubernetes.session import Session
from agent.adapters.metrics import prometheus as counters
from agent.controllers.deletion import APPLICATIONS
from agent.daemon import logs, readiness, wiring
from agent.daemon.settings import read_operator_file
from agent.values import system
from agent.values.errors import AgentError, ConfigError, DefectError, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from agent.adapters.kubernetes.config import ClusterConfig
    from agent.controllers.loop import Driver
    from agent.daemon.settings import OperatorFile, Settings
    from agent.manifests.kinds import Resource

T = TypeVar("T")

LOG = logging.getLogger("signet")
VERSION = metadata.version("signet")
_GRACE_SECONDS = 25.0
_AGAIN_SECONDS = 5.0
"""Between two attempts to start, where the cluster is away or refuses."""
_STEP_MILLISECONDS = 200
"""Between two looks for a change of the operator's file, and at whether the agent stops."""
_HANDOVER_SECONDS = 1.0
"""What a run may still take where another agent waits for the Application."""


class Process:
    """One agent, from start to SIGTERM."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._driver: Driver | None = None
        self._metrics = counters.Metrics(version=VERSION)
        self._failure: AgentError | None = None
        self._met: AgentError | None = None
        self._membership: Membership | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._operator = read_operator_file(settings.operator_file)
        self._metrics.operator_file(valid=True)

    async def run(self) -> None:
        """Run until a signal says to stop. Raises the AgentError that ended it otherwise."""
        _harden()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_on_loop_error)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        cluster = self._cluster_config()
        namespace = self._settings.namespace or cluster.namespace
        _fresh_folder(self._settings.memory)
        probes = await server.serve(
            host=self._settings.host,
            port=self._settings.port,
            ready=self._readiness,
            metrics=self._metrics.exposition,
            content_type=counters.CONTENT_TYPE,
        )
        try:
            async with Session(
                cluster,
                agent=f"signet/{VERSION}",
                observe=lambda verb, code, _: self._metrics.api_request(verb, code),
            ) as session:
                await self._serve(session, namespace)
        finally:
            await probes.close()
        if self._failure is not None:
            raise self._failure

    def _readiness(self) -> str:
        member = self._membership
        joined = member is not None and member.held and self._renewing is not None
        trouble = member.trouble if member is not None else None
        return readiness.of(works=joined and self._driver is not None and self._driver.synced, met=self._met or trouble)

    def _cluster_config(self) -> ClusterConfig:
        settings = self._settings
        if settings.kubeconfig is None and settings.context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            return config.in_cluster()
        return config.kubeconfig(settings.kubeconfig, settings.context)

    async def _serve(self, session: Session, namespace: str) -> None:
        membership = Membership(
            Leases(session, namespace), self._settings.identity, token=os.urandom(8).hex(), now=time.time
        )
        self._membership = membership
        installation = await self._outlasting(lambda: wiring.installation(Secrets(session), namespace))
        if installation is None:
            return
        session.guard = membership.check
        base = wiring.Runtime(
            self._settings, namespace, session, installation, membership, self._metrics, self._report_watch
        )
        watching = asyncio.create_task(self._watch_operator_file(), name="operator file")
        try:
            while not self._stop.is_set():
                self._reload.clear()
                _ = await self._outlasting(lambda: self._one_engine(base))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._give_back(membership)
            LOG.info("stopped", extra={"identity": self._settings.identity})

    async def _outlasting(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """What a start needs of the cluster, asked again while that is away or refuses; None where the agent is stopped meanwhile."""
        while not self._stop.is_set():
            try:
                done = await work()
            except readiness.FOR_A_WHILE as error:
                if self._renewing is not None:
                    raise
                self._met = error
                extra = {"reason": error.reason, "cause": error.message, **_texts(error)}
                LOG.warning("the agent cannot start yet", extra=extra)
            else:
                self._met = None
                return done
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _AGAIN_SECONDS)
        return None

    async def _one_engine(self, base: wiring.Runtime) -> None:
        """Run one engine until the process stops or the operator's file changes."""
        operator = self._operator
        async with wiring.engine(base, operator.settings) as driver:
            self._driver = driver
            _say_in_force(operator)
            running = asyncio.create_task(driver.run(), name="driver")
            ends = [asyncio.create_task(event.wait()) for event in (self._stop, self._reload)]
            balancing = asyncio.create_task(self._share(base.membership, driver), name="rebalance")
            try:
                await asyncio.wait([running, balancing, *ends], return_when=asyncio.FIRST_COMPLETED)
                driver.stop()
                await self._finish(running, base.membership)
                for task in (running, balancing):
                    if task.done():
                        await task
            finally:
                self._driver = None
                for task in (running, balancing, *ends):
                    task.cancel()
                await asyncio.gather(running, balancing, *ends, return_exceptions=True)

    async def _finish(self, running: asyncio.Task[None], membership: Membership) -> None:
        """Let runs that are under way end; those that take long are left to another agent where there is one."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while not running.done() and clock() - began < _GRACE_SECONDS:
            await asyncio.wait([running], timeout=0.2)
            if self._stop.is_set() and len(membership.members) > 1 and clock() - began >= _HANDOVER_SECONDS:
                await self._give_back(membership)

    async def _share(self, membership: Membership, driver: Driver) -> None:
        """Join the other agents, once every Application is known; then take and leave Applications as agents come and go."""
        await driver.listed()
        self._met = None
        if self._renewing is None:
            await membership.acquire()
            self._renewing = asyncio.create_task(self._renew(membership), name="lease")
            LOG.info("started", extra={"identity": self._settings.identity, "version": VERSION})
        while True:
            await membership.changed.wait()
            membership.changed.clear()
            driver.rebalance()

    async def _give_back(self, membership: Membership) -> None:
        """End renewing and delete the Lease. What a run still writes is refused from then on."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        with contextlib.suppress(AgentError):  # the Lease then runs out by itself
            await membership.release()

    async def _renew(self, membership: Membership) -> None:
        try:
            await membership.run()
        except LeaseLostError as error:
            self._failure = error
            self._stop.set()
        except Exception as error:
            LOG.exception("the Lease is no longer renewed because of a bug in the agent")
            self._failure = DefectError("a bug in the agent ended it", exception=type(error).__name__)
            self._stop.set()

    def _report_watch(self, resource: Resource, error: AgentError) -> None:
        if resource == APPLICATIONS and (self._driver is None or not self._driver.synced):
            self._met = error
        LOG.warning("a watch was interrupted", extra={"resource": resource.plural, "reason": error.reason})

    async def _watch_operator_file(self) -> None:
        path = self._settings.operator_file
        if path is None:
            return
        ended = threading.Event()
        # a mounted Secret is replaced by renaming a folder beside the file
        changes = watch(
            path.parent,
            stop_event=ended,
            step=_STEP_MILLISECONDS,
            yield_on_timeout=True,
            recursive=True,
            ignore_permission_denied=True,
        )
        # `awatch` would load an event loop of another library for it, which takes 1.4 MiB
        thread = ThreadPoolExecutor(1, "operator-file")
        try:
            watched = False
            while (
                changed := await asyncio.get_running_loop().run_in_executor(thread, next, changes, None)
            ) is not None:
                if watched and not changed:
                    continue
                # the first time without a change is after the watch began, and long after the file was read
                watched = True
                earlier, self._operator = self._operator, self._reread()
                if self._operator.settings != earlier.settings:
                    self._reload.set()
                elif self._operator != earlier and not self._reload.is_set():
                    _say_in_force(self._operator)
        finally:
            ended.set()
            thread.shutdown(wait=False)

    def _reread(self) -> OperatorFile:
        try:
            read = read_operator_file(self._settings.operator_file)
        except ConfigError as error:
            LOG.error(  # noqa: TRY400  # the traceback adds nothing
                "the operator's file is invalid; the previous one stays in force",
                extra={"cause": error.message, **_texts(error)},
            )
            self._metrics.operator_file(valid=False)
            return self._operator
        self._metrics.operator_file(valid=True)
        return read


def _say_in_force(operator: OperatorFile) -> None:
    if operator.digest:
        LOG.info("the operator's file is in force", extra={"digest": operator.digest})


def _texts(error: AgentError) -> dict[str, object]:
    return {"facts": {name: str(fact) for name, fact in error.facts.items()}}


def _on_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What no task awaited: its type and place, and no text of its own."""
    error = context.get("exception")
    extra = {"exception": logs.trace(error)} if isinstance(error, BaseException) else {}
    LOG.error("unexpected error in the event loop", extra=extra)


def _harden() -> None:
    """No core dumps, no file that others may read, and live objects of any depth that the API server takes."""
    sys.setrecursionlimit(10_000)
    limits.setrlimit(limits.RLIMIT_CORE, (0, 0))
    os.umask(0o077)


def _fresh_folder(path: Path) -> None:
    """The folder for keys begins empty, whatever an earlier process left."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in path.glob("gpg-*"):
            shutil.rmtree(left)
    except OSError as error:
        raise ConfigError(
            "the folder for keys cannot be used",
            hint="mount a memory-backed volume there, or name one with --memory-dir",
            file=str(path),
            cause=system.cause(error),
        ) from None
