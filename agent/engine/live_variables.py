"""Variables of Secrets and ConfigMaps in the cluster, read as the Application's ServiceAccount: what that may not read sets no variable.

A ConfigMap that an agent wrote is wrapped whole, unless it is proven that it holds no secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent.api.render import VariablesFrom
from agent.desired import live_values, live_variables
from agent.desired.compiler import UnknownChangeError
from agent.engine.ports import Identity
from agent.manifests import contents
from agent.manifests.live import wrap
from agent.values.errors import AgentError, ForbiddenError, StaleObjectError
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.api.application import Application, ApplicationSpec
    from agent.api.helm import HelmValuesFrom
    from agent.desired.live_variables import Answer, LiveKey, LiveVariables
    from agent.engine.context import Run
    from agent.engine.live import Observer
    from agent.engine.ports import TasksPort
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


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads sources of variables: `identity` None is the one that the cluster knows already. `is_clear` judges a ConfigMap that an agent wrote.

    `lenient`: what may not be read is not known.
    """

    cluster: Cluster
    identity: Identity | None
    is_clear: Callable[[Object, ObjectId], bool]
    tasks: TasksPort
    lenient: bool = False

    async def get(self, key: ObjectId) -> Object | None:
        """An object with its secrets wrapped. Raises what reading raises, with the object."""
        try:
            resource = live_variables.RESOURCES[key.kind]
            found = await self.cluster.get(resource, key.namespace, key.name, identity=self.identity)
        except AgentError as error:
            raise error.with_facts(object=key) from None
        if found is None or not contents.is_marked(key) or self.is_clear(found, key):
            return found
        return wrap(found, whole=True)

    async def answer(self, key: ObjectId) -> Answer:
        try:
            return await self.get(key)
        except ForbiddenError:
            if self.lenient:
                return "unread"
            raise


def reader(run: Run) -> Reader:
    """How a run reads."""
    return reader_of(run.ports.target, run.application, run.observer, run.ports.tasks)


def reader_of(cluster: Cluster, application: Application, observer: Observer, tasks: TasksPort) -> Reader:
    """How the agent reads for an Application: never as itself, whatever the Application's objects are applied as."""
    identity = Identity(application.id.namespace, application.spec.destination.service_account)
    return Reader(cluster, identity, observer.is_clear, tasks)


async def read(run: Run) -> LiveVariables:
    """What the Application's sources hold now. Raises UnknownChangeError."""
    application = run.application
    if not application.spec.reads:
        return live_variables.NONE
    return await read_by(reader(run), application, run.fingerprints.desired)


async def read_by(reading: Reader, application: Application, fingerprinter: Fingerprinter) -> LiveVariables:
    """As `read`, in any cluster and as anyone."""
    spec, namespace, uid = application.spec, application.id.namespace, application.id.uid
    distinct = list(dict.fromkeys(live_variables.object_of(each, namespace) for each in spec.reads))
    try:
        answers = await reading.tasks.all([reading.answer(key) for key in distinct])
        found = dict(zip(distinct, answers, strict=True))
        return await reading.tasks.in_thread(lambda: of(spec, found, namespace, fingerprinter, uid))
    except AgentError as error:
        raise UnknownChangeError((Problem(error),)) from None


def of(
    spec: ApplicationSpec, found: Mapping[ObjectId, Answer], namespace: str, fingerprinter: Fingerprinter, uid: str
) -> LiveVariables:
    """What objects of the cluster hold for an Application. Raises as `live_variables.of` and `live_values.of`."""
    variables: list[tuple[VariablesFrom, Answer]] = []
    values: list[tuple[HelmValuesFrom, Answer]] = []
    for each in spec.reads:
        answer: Answer = found[live_variables.object_of(each, namespace)]
        if isinstance(each, VariablesFrom):
            variables.append((each, answer))
        else:
            values.append((each, answer))
    made = live_variables.of(variables, namespace, fingerprinter, uid) if variables else live_variables.NONE
    return live_values.joined(made, live_values.of(values, namespace, fingerprinter, uid)) if values else made


async def reopened(
    run: Run, keys: Mapping[str, LiveKey], ids: Collection[str]
) -> tuple[dict[str, Secret], dict[str, AgentError]]:
    """Of these leaves, the values by id, and why others are not known: each object is read once more, and has to say the same."""
    secrets: dict[str, Secret] = {}
    errors: dict[str, AgentError] = {}
    reading = reader(run)
    wanted = {name: at for name, at in keys.items() if name in ids}
    for key in sorted({at.object for at in wanted.values()}):
        of_key = {name: at for name, at in wanted.items() if at.object == key}
        try:
            tree = await reading.get(key)
        except AgentError as error:
            errors.update(dict.fromkeys(of_key, error))
            continue
        for name, at in of_key.items():
            of_chart, uid = at.path is not None, run.application_id.uid
            value = live_values.opened(tree, at) if of_chart else live_variables.opened(tree, at)
            if value is None or live_variables.placeholder_of(at, value, run.fingerprints.desired, uid) != name:
                errors[name] = StaleObjectError("a variable changed after it was read", object=key, variable=at.key)
            else:
                secrets[name] = value
    return secrets, errors
