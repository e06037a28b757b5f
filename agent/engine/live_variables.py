"""Variables of Secrets and ConfigMaps in the cluster, read as the Application's ServiceAccount: what that may not read sets no variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agent.desired import live_variables
from agent.desired.compiler import UnknownChangeError
from agent.engine.ports import Identity
from agent.values.errors import AgentError, ForbiddenError, StaleObjectError
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.api.application import Application
    from agent.api.render import VariablesFrom
    from agent.desired.live_variables import Answer, LiveKey, LiveVariables
    from agent.engine.context import Run
    from agent.manifests.kinds import Resource
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId
    from agent.values.secret import Secret
    from agent.values.tree import Object


class Cluster(Protocol):
    """Where the objects are read."""

    async def get(
        self, resource: Resource, namespace: str, name: str, *, identity: Identity | None = None
    ) -> Object | None:
        """The live object, wrapped, or None where there is none."""
        ...


def identity_of(application: Application) -> Identity:
    """Who reads: never the agent itself, whatever the Application's objects are applied as."""
    return Identity(application.id.namespace, application.spec.destination.service_account)


async def read(run: Run) -> LiveVariables:
    """What the Application's sources hold now. Raises UnknownChangeError."""
    application = run.application
    asked = application.spec.substitute
    if asked is None or not asked.from_:
        return live_variables.NONE
    return await read_as(run.ports.target, application, run.fingerprints.desired, identity_of(application))


async def read_as(
    cluster: Cluster,
    application: Application,
    fingerprinter: Fingerprinter,
    identity: Identity | None,
    *,
    lenient: bool = False,
) -> LiveVariables:
    """As `read`, in any cluster and as anyone; None is the one that the cluster knows already. `lenient`: what may not be read is not known."""
    asked, namespace = application.spec.substitute, application.id.namespace
    assert asked is not None
    keys = [live_variables.object_of(each, namespace) for each in asked.from_]
    try:
        found: dict[ObjectId, Answer] = {
            key: await _or_unread(cluster, key, identity, lenient=lenient) for key in dict.fromkeys(keys)
        }
        given: list[tuple[VariablesFrom, Answer]] = [
            (each, found[key]) for each, key in zip(asked.from_, keys, strict=True)
        ]
        return live_variables.of(given, namespace, fingerprinter, application.id.uid)
    except AgentError as error:
        raise UnknownChangeError((Problem(error),)) from None


async def _or_unread(cluster: Cluster, key: ObjectId, identity: Identity | None, *, lenient: bool) -> Answer:
    try:
        return await _get(cluster, key, identity)
    except ForbiddenError:
        if lenient:
            return "unread"
        raise


async def reopened(
    run: Run, keys: Mapping[str, LiveKey], ids: Collection[str]
) -> tuple[dict[str, Secret], dict[str, AgentError]]:
    """Of these leaves, the values by id, and why others are not known: each object is read once more, and has to say the same."""
    secrets: dict[str, Secret] = {}
    errors: dict[str, AgentError] = {}
    wanted = {name: at for name, at in keys.items() if name in ids}
    for key in sorted({at.object for at in wanted.values()}):
        of_key = {name: at for name, at in wanted.items() if at.object == key}
        try:
            tree = await _get(run.ports.target, key, identity_of(run.application))
        except AgentError as error:
            errors.update(dict.fromkeys(of_key, error))
            continue
        for name, at in of_key.items():
            value, uid = live_variables.opened(tree, at), run.application_id.uid
            if value is None or live_variables.placeholder_of(at, value, run.fingerprints.desired, uid) != name:
                errors[name] = StaleObjectError("a variable changed after it was read", object=key, variable=at.key)
            else:
                secrets[name] = value
    return secrets, errors


async def _get(cluster: Cluster, key: ObjectId, identity: Identity | None) -> Object | None:
    try:
        return await cluster.get(live_variables.RESOURCES[key.kind], key.namespace, key.name, identity=identity)
    except AgentError as error:
        raise error.with_facts(object=key) from None
