"""Settings and the operator's file → a wired engine. The only place that knows every room."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.adapters.audit import anchor as anchors
from agent.adapters.audit.credential import Signer
from agent.adapters.audit.trail import open_trail
from agent.adapters.git.mirrors import Mirrors
from agent.adapters.kubernetes.cluster import Cluster
from agent.adapters.kubernetes.records import Records
from agent.adapters.kubernetes.resources import CONFIG_MAP
from agent.adapters.kubernetes.secrets import Secrets
from agent.adapters.vault.stores import Stores
from agent.adapters.vault.transit import TransitMasterKeys
from agent.daemon import policy
from agent.daemon.key_ring import KeyRing
from agent.reconcile.context import Fingerprints
from agent.reconcile.driver.loop import Driver
from agent.reconcile.driver.loop import Settings as DriverSettings
from agent.reconcile.driver.tasks import AsyncTasks
from agent.reconcile.driver.watching import Watching
from agent.reconcile.live import Observer
from agent.reconcile.ports import Ports
from agent.values.errors import AuditError
from agent.values.fingerprint import Fingerprinter
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from agent.adapters.audit.anchor import Anchor
    from agent.adapters.audit.trail import AuditTrail
    from agent.adapters.kubernetes.lease import Membership
    from agent.adapters.kubernetes.session import Session
    from agent.adapters.metrics.prometheus import Metrics
    from agent.api.operator import OperatorSettings
    from agent.daemon.settings import Settings
    from agent.manifests.kinds import Resource
    from agent.reconcile.context import Memory
    from agent.reconcile.ports import AuditEntry
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId

LOG = logging.getLogger("signet")
INSTALLATION_SECRET = "signet-installation"
AUDIT_SECRET = "signet-audit-key"
_STANDARD_OUTPUT = 1


class SystemClock:
    """ClockPort."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Lenient:
    """AuditPort for operators who would rather go on without a record than stop: what cannot be written is logged."""

    trail: AuditTrail

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """Never raises AuditError."""
        try:
            await self.trail.write(entries)
        except AuditError as error:
            LOG.error("the audit trail cannot be written", extra={"cause": error.message})  # noqa: TRY400

    async def checkpoint(self, run: str) -> None:
        """Never raises AuditError."""
        try:
            await self.trail.checkpoint(run)
        except AuditError as error:
            LOG.error("the audit trail cannot be signed", extra={"cause": error.message})  # noqa: TRY400


@dataclass(frozen=True, slots=True)
class Installation:
    """What is made once per installation: an id that is safe to show, the fingerprint keys, and the audit signer."""

    id: str
    key: Secret
    signer: Signer


async def installation(secrets: Secrets, namespace: str) -> Installation:
    """Read the installation's keys from the agent's namespace; the first agent makes them."""

    def random_key() -> dict[str, Secret]:
        return {"key": Secret(os.urandom(32), "random")}

    key = (await secrets.ensure(namespace, INSTALLATION_SECRET, random_key))["key"]
    seed = (await secrets.ensure(namespace, AUDIT_SECRET, random_key))["key"]
    return Installation(Fingerprinter.derive(key, "installation").text(namespace)[:16], key, Signer(seed))


@asynccontextmanager
async def engine(
    settings: Settings,
    operator: OperatorSettings,
    *,
    session: Session,
    namespace: str,
    made: Installation,
    membership: Membership,
    metrics: Metrics,
    report: Callable[[Resource, AgentError], None],
) -> AsyncGenerator[Driver]:
    """A driver with everything that it needs, under one version of the operator's file."""
    clock = SystemClock()
    memories: dict[str, Memory] = {}

    def seals(key: ObjectId) -> bool:
        return any(key in each.record.objects and each.record.objects[key].holds_secret for each in memories.values())

    async with AsyncExitStack() as stack:
        cluster = Cluster(session, seals=seals, instance=settings.identity, now=clock.now, report=report)
        stores = Stores(
            operator.stores,
            monotonic=clock.monotonic,
            jitter=random.random,
            seconds=operator.limits.request_seconds,
        )
        stack.push_async_callback(stores.close)
        secrets = Secrets(session)
        ring = KeyRing(
            secrets, operator, settings.memory, lambda application: TransitMasterKeys(stores, application.id)
        )
        stack.push_async_callback(ring.close)
        mirrors = Mirrors(settings.mirrors, operator.git, operator.limits, Fingerprinter.derive(made.key, "mirror"))
        stack.push_async_callback(mirrors.close)
        trail = await _trail(settings, operator, cluster, namespace, made=made, clock=clock)
        stack.push_async_callback(trail.close)
        fingerprints = Fingerprints.derive(made.key)
        observer = Observer(made.id, fingerprints.owners, fingerprints.projections)

        watching = Watching(cluster, observer, memories)
        ports = Ports(
            git=mirrors,
            credentials=ring,
            data_keys=ring,
            stores=stores,
            cluster=cluster,
            live=watching,
            records=Records(session, namespace),
            audit=trail if operator.audit.required else Lenient(trail),
            metrics=metrics,
            clock=clock,
            tasks=AsyncTasks(),
        )
        yield Driver(
            ports,
            DriverSettings(
                observer=observer,
                fingerprints=fingerprints,
                grants=lambda application: policy.grants(operator, application),
                mine=lambda uid: is_mine(uid, settings.identity, membership.members),
                limits=operator.limits,
                random_bytes=os.urandom,
                probe_interval=float(operator.probe_interval_seconds),
            ),
            watching,
        )


def is_mine(uid: str, identity: str, members: tuple[str, ...]) -> bool:
    """Rendezvous hashing: of all live agents, the one with the highest hash runs the Application."""

    def weight(member: str) -> bytes:
        return hashlib.sha256(f"{member}/{uid}".encode()).digest()

    return identity in members and max(members, key=weight) == identity


async def _trail(
    settings: Settings,
    operator: OperatorSettings,
    cluster: Cluster,
    namespace: str,
    *,
    made: Installation,
    clock: SystemClock,
) -> AuditTrail:
    async def keep(anchor: Anchor) -> None:
        await cluster.apply(CONFIG_MAP, anchor.config_map(namespace))

    stored = await cluster.get(CONFIG_MAP, namespace, anchors.name(settings.identity))
    return await open_trail(
        agent=settings.identity,
        signer=made.signer,
        clock=clock.now,
        keep=keep,
        file=Path(operator.audit.file) if operator.audit.file else None,
        stream=_STANDARD_OUTPUT if operator.audit.stdout else None,
        anchor=anchors.parse(stored) if stored is not None else None,
    )
