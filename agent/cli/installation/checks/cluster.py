"""Whether the cluster is fit, and what of an installation it has."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes import reviews
from agent.adapters.kubernetes.resources import APPLICATION, DEFINITION, SECRET, SERVICE_ACCOUNT
from agent.adapters.kubernetes.reviews import Access
from agent.api import crd, names
from agent.cli.cluster.liveness import Leases
from agent.cli.installation.checks import findings
from agent.cli.installation.checks.findings import Finding, Result
from agent.engine.ports import Identity
from agent.installation import objects
from agent.installation.choices import AGENT, OPERATOR, Choices
from agent.values.dataclass import dataclass
from agent.values.errors import AgentError
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.adapters.kubernetes.session import Session
    from agent.values.tree import Object, Tree

OLDEST: Final = (1, 29)
_SKEW_SECONDS: Final = 5.0
_INSTALL: Final = "run agent install --apply"


@dataclass(frozen=True, slots=True)
class Reached:
    """A cluster, and the session under it for what only that can ask. `namespace` is the agent's."""

    cluster: Cluster
    session: Session
    namespace: str


async def fitness(at: Reached) -> AsyncGenerator[Finding]:
    """What holds before anything is installed: version, clock, and the caller's rights to install."""
    major, minor = await reviews.version(at.session)
    old = (major, minor) < OLDEST
    yield Finding(
        "Kubernetes",
        f"{major}.{minor}",
        Result.FAILED if old else Result.OK,
        "older than the agent supports" if old else "new enough",
        "upgrade it to 1.29 or newer" if old else "",
    )
    yield await _clock(at)


async def _clock(at: Reached) -> Finding:
    """Clocks of the API server and of this machine, which is the agent's where this runs in its Pod."""
    try:
        before, there, after = time.time(), await reviews.time(at.session), time.time()
    except AgentError as error:
        return findings.of_error("clock", "API server", error)
    if there is None:
        return Finding("clock", "API server", Result.UNKNOWN, "the server does not say what time it is")
    skew = max(there - after, before - there - 1, 0.0)
    if skew <= _SKEW_SECONDS:
        return Finding("clock", "API server", Result.OK, "agrees with this machine's")
    return Finding(
        "clock",
        "API server",
        Result.WARNING,
        f"{skew:.0f} seconds from this machine's: certificates, tokens and signatures end by it",
        "synchronize both clocks",
    )


async def may_install(at: Reached) -> Finding:
    """Whether the caller may apply all that an installation consists of."""
    kinds = await at.cluster.kinds()
    missing: list[str] = []
    for manifest in objects.of(Choices(namespace=at.namespace)):
        resource = kinds.served(get_text(manifest, "apiVersion"), get_text(manifest, "kind"))
        if resource is None:
            continue
        place = get_text(manifest, "metadata", "namespace"), get_text(manifest, "metadata", "name")
        for verb in ("create", "patch"):
            access = Access(verb, resource.group, resource.plural, place[0], place[1] if verb == "patch" else "")
            if not await reviews.is_allowed(at.session, access):
                missing.append(access.text)
    if not missing:
        return Finding("rights", "you", Result.OK, "may install the agent")
    return Finding("rights", "you", Result.FAILED, f"may not: {_list(missing)}", "ask an administrator to install it")


async def definition(at: Reached) -> Finding:
    """Whether the CustomResourceDefinition is the one of this version."""
    try:
        live = await at.cluster.get(DEFINITION, "", names.CRD_NAME)
    except AgentError as error:
        return findings.of_error("definition", names.CRD_NAME, error)
    if live is None:
        return Finding("definition", names.CRD_NAME, Result.FAILED, "is not installed", _INSTALL)
    path = ("spec", "versions", 0, "schema")
    if get(live, *path) != get(crd.definition(), *path):
        return Finding("definition", names.CRD_NAME, Result.FAILED, "is of another version of the agent", _INSTALL)
    return Finding("definition", names.CRD_NAME, Result.OK, "is of this version")


async def rights(at: Reached) -> Finding:
    """Whether the agent's account has each right of the shipped roles."""
    account = Identity(at.namespace, AGENT)
    subject = f"ServiceAccount {AGENT}"
    try:
        needed = list(_needed(at.namespace))
        allowed = await asyncio.gather(*(reviews.is_allowed(at.session, each, account) for each in needed))
    except AgentError as error:
        return findings.of_error("rights", subject, error)
    missing = [each.text for each, good in zip(needed, allowed, strict=True) if not good]
    if not missing:
        return Finding("rights", subject, Result.OK, "has the rights of the shipped roles")
    return Finding("rights", subject, Result.FAILED, f"may not: {_list(missing)}", _INSTALL)


def _needed(namespace: str) -> Iterator[Access]:
    """The rights of the roles that are bound to the agent's account, one by one."""
    for manifest in objects.read("rbac.yaml"):
        kind, name = get_text(manifest, "kind"), get_text(manifest, "metadata", "name")
        if kind not in {"ClusterRole", "Role"} or name != AGENT:
            continue
        for rule in _maps(manifest.get("rules")):
            for group in _texts(rule.get("apiGroups")):
                for resource in _texts(rule.get("resources")):
                    for verb in _texts(rule.get("verbs")):
                        for named in _texts(rule.get("resourceNames")) or [""]:
                            yield Access(verb, group, resource, namespace if kind == "Role" else "", named)


async def operators_file(at: Reached) -> Finding:
    """The Secret that the Pods mount: whether it is there and can be read as the agent reads it."""
    subject = f"Secret {OPERATOR}"
    try:
        live = await at.cluster.get(SECRET, at.namespace, OPERATOR)
        if live is None:
            return Finding(
                "operator's file",
                subject,
                Result.FAILED,
                "does not exist: the Pods wait for it",
                "see deploy/operator.yaml",
            )
    except AgentError as error:
        return findings.of_error("operator's file", subject, error)
    return Finding("operator's file", subject, Result.OK, "exists")


async def agents(at: Reached) -> Finding:
    """By the Leases that are renewed while this looks."""
    leases = Leases(at.cluster)
    alive = await leases.settled()
    if alive or leases.recent:
        return Finding("agents", "Leases", Result.OK, "an agent is alive")
    if alive is None:
        return Finding("agents", "Leases", Result.UNKNOWN, "Leases cannot be read", "ask for the right to list them")
    return Finding("agents", "Leases", Result.FAILED, "no agent is alive", "look at the Pods and their logs")


async def tenants(at: Reached) -> AsyncGenerator[Finding]:
    """Each namespace with Applications: whether the account that they act as is there, and the agent may act as it."""
    try:
        found = await at.cluster.list(APPLICATION)
    except AgentError as error:
        yield findings.of_error("tenants", "Applications", error)
        return
    accounts = sorted({_account(each) for each in found})
    for finding in await asyncio.gather(*(_tenant(at, *each) for each in accounts)):
        yield finding


def _account(application: Object) -> tuple[str, str]:
    named = get_text(application, "spec", "destination", "serviceAccount")
    return get_text(application, "metadata", "namespace"), named or names.SERVICE_ACCOUNT


async def _tenant(at: Reached, namespace: str, name: str) -> Finding:
    subject = f"{namespace}/{name}"
    try:
        if await at.cluster.get_metadata(SERVICE_ACCOUNT, namespace, name) is None:
            return Finding(
                "tenant", subject, Result.FAILED, "the ServiceAccount does not exist", "see deploy/tenant.yaml"
            )
        access = Access("impersonate", "", "serviceaccounts", namespace, name)
        if not await reviews.is_allowed(at.session, access, Identity(at.namespace, AGENT)):
            cure = f"give {AGENT} the right to impersonate it"
            return Finding("tenant", subject, Result.FAILED, "the agent may not act as it", cure)
        access = Access("patch", "", "configmaps", namespace)
        if not await reviews.is_allowed(at.session, access, Identity(namespace, name)):
            return Finding(
                "tenant",
                subject,
                Result.WARNING,
                "may not apply ConfigMaps",
                "bind a role to it, see deploy/tenant.yaml",
            )
    except AgentError as error:
        return findings.of_error("tenant", subject, error)
    return Finding("tenant", subject, Result.OK, "exists, and the agent may act as it")


def _list(items: list[str]) -> str:
    more = len(items) - 5
    return ", ".join(items[:5]) + (f" and {more} more" if more > 0 else "")


def _texts(tree: Tree) -> list[str]:
    return [each for each in tree if isinstance(each, str)] if isinstance(tree, list) else []


def _maps(tree: Tree) -> list[Object]:
    return [each for each in tree if isinstance(each, dict)] if isinstance(tree, list) else []
