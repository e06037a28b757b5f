"""Settings and the operator's file → a wired engine. The only place that knows every room."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.adapters.audit.credential import Signer
from agent.adapters.generators import Generators
from agent.adapters.git.mirrors import Mirrors
from agent.adapters.kubernetes.cluster import Access, Cluster, Home
from agent.adapters.kubernetes.membership import boot_time
from agent.adapters.kubernetes.records import Records
from agent.adapters.kubernetes.secrets import Secrets
from agent.adapters.oci.artifacts import Artifacts
from agent.adapters.oci.charts import Charts
from agent.adapters.oci.keeping import Kept
from agent.adapters.render.pool import Renderers
from agent.adapters.vault.stores import Stores
from agent.controllers.live_facts import LiveFacts
from agent.controllers.loop import Driver
from agent.controllers.settings import Settings as DriverSettings
from agent.controllers.tasks import AsyncTasks
from agent.controllers.watching import Watching
from agent.daemon import audit, grants, housekeeping, memory
from agent.daemon.key_ring import KeyRing
from agent.daemon.key_work import Workers
from agent.daemon.sealing_keys import SealingKeyRing
from agent.daemon.sources import Sources
from agent.engine.context import Fingerprints
from agent.engine.live import Observer
from agent.engine.ports import Ports
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import IN_CLUSTER
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from agent.adapters.kubernetes.membership import Membership
    from agent.adapters.kubernetes.session import Session
    from agent.adapters.metrics.prometheus import Metrics
    from agent.api.operator import OperatorSettings
    from agent.daemon.settings import Settings
    from agent.manifests.kinds import Resource
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId

INSTALLATION_SECRET = "signet-installation"
AUDIT_SECRET = "signet-audit-key"


class SystemClock:
    """ClockPort."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since boot, as the Lease counts them."""
        return boot_time()


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


@dataclass(frozen=True, slots=True)
class Runtime:
    """What outlives a change of the operator's file. `namespace` is the agent's; `report` is called for interrupted watches."""

    settings: Settings
    namespace: str
    session: Session
    installation: Installation
    membership: Membership
    metrics: Metrics
    report: Callable[[Resource, AgentError], None]
    clock: SystemClock = SystemClock()  # noqa: RUF009  # stateless

    def is_mine(self, uid: str) -> bool:
        """Whether this agent is the one to run an Application."""
        return is_mine(uid, self.settings.identity, self.membership.members)

    def heard(self, resource: Resource, served: bool) -> None:
        """The watch of a kind brought something, or the kind is gone."""
        name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        self.metrics.watched(name, self.clock.now() if served else None)


@asynccontextmanager
async def engine(base: Runtime, operator: OperatorSettings) -> AsyncGenerator[Driver]:
    """A driver with everything that it needs, under one version of the operator's file."""
    facts = LiveFacts()

    def seals(key: ObjectId) -> bool:
        return facts.holds_secret((IN_CLUSTER, key))

    async with AsyncExitStack() as stack:
        access = Access(base.session, seals, report=base.report, heard=base.heard)
        stack.callback(base.metrics.watches_ended)
        target = Cluster(access)
        home = Home(access, instance=base.settings.identity, now=base.clock.now)
        fingerprints = Fingerprints.derive(base.installation.key)
        observer = Observer(
            base.installation.id, fingerprints.owners, fingerprints.owned, operator.field_managers.people
        )
        watching = Watching(target, observer, facts)
        settings = DriverSettings(
            agent=base.settings.identity,
            observer=observer,
            fingerprints=fingerprints,
            grants=lambda application: grants.of(operator, application),
            mine=base.is_mine,
            term=lambda: base.membership.term,
            recheck=base.membership.recheck,
            limits=operator.limits,
            random_bytes=os.urandom,
            probe_interval=float(operator.probe_interval_seconds),
            memory=memory.budget(operator.limits, memory.container_limit(memory.read)),
        )
        driver = Driver(await _ports(base, operator, home, target, watching, stack=stack), settings, watching)
        base.metrics.manifests(lambda: driver.rooms.sizes)
        if operator.webhooks:
            from agent.adapters.http import hooks  # noqa: PLC0415  # loaded with the first webhook

            listener = await hooks.serve(
                operator.webhooks, driver.pushed, host=base.settings.hook_host, port=base.settings.hook_port
            )
            stack.push_async_callback(listener.close)
        yield driver


async def _ports(
    base: Runtime,
    operator: OperatorSettings,
    home: Home,
    target: Cluster,
    watching: Watching,
    *,
    stack: AsyncExitStack,
) -> Ports:
    """The adapters, each closed by `stack` in its turn."""
    stores = Stores(
        operator.stores,
        monotonic=base.clock.monotonic,
        jitter=random.random,
        now=base.clock.now,
        seconds=operator.limits.request_seconds,
        observe=base.metrics.store_request,
    )
    stack.push_async_callback(stores.close)
    workers = Workers()
    ring = KeyRing(Secrets(base.session), operator, base.settings.memory, stores, workers)
    stack.push_async_callback(ring.close)
    sources, charts = _sources(base, operator, stack)
    trail = await audit.trail(
        operator.audit,
        home,
        agent=base.settings.identity,
        namespace=base.namespace,
        signer=base.installation.signer,
        clock=base.clock.now,
    )
    stack.push_async_callback(trail.close)
    trail.observe = base.metrics.audit_written
    base.metrics.audit_backlog(lambda: trail.backlog)
    renderers = Renderers(base.settings.renderer, operator.limits.render, values=operator.limits.values)
    stack.push_async_callback(renderers.close)
    return Ports(
        git=sources,
        charts=charts,
        renderers=renderers,
        credentials=ring,
        data_keys=ring,
        sealing_keys=SealingKeyRing(
            Secrets(base.session), base.namespace, [key.secret_name for key in operator.sealed_secrets.keys], workers
        ),
        stores=stores,
        home=home,
        target=target,
        live=watching,
        records=Records(base.session, base.namespace),
        audit=trail if operator.audit.required else audit.Lenient(trail),
        metrics=base.metrics,
        clock=base.clock,
        tasks=AsyncTasks(),
        generators=Generators(),
    )


def _sources(base: Runtime, operator: OperatorSettings, stack: AsyncExitStack) -> tuple[Sources, Charts]:
    names, limits = Fingerprinter.derive(base.installation.key, "mirror"), operator.limits
    mirrors = Mirrors(
        base.settings.mirrors,
        operator.git,
        limits,
        names,
        monotonic=base.clock.monotonic,
        observe=base.metrics.git_exchange,
    )
    stack.push_async_callback(mirrors.close)
    kept = Kept(base.settings.artifacts, limits, names)
    stack.push_async_callback(kept.close)
    for work in (housekeeping.sweep(mirrors, kept), housekeeping.measure(mirrors, kept, base.metrics.kept)):
        stack.callback(asyncio.create_task(work, name="housekeeping").cancel)
    artifacts = Artifacts(kept, operator.oci, limits)
    return Sources(mirrors, artifacts), Charts(kept, artifacts, operator.oci, operator.charts, limits)


def is_mine(uid: str, identity: str, members: tuple[str, ...]) -> bool:
    """Rendezvous hashing: of all live agents, the one with the highest hash runs the Application."""

    def weight(member: str) -> bytes:
        return hashlib.sha256(f"{member}/{uid}".encode()).digest()

    return identity in members and max(members, key=weight) == identity
