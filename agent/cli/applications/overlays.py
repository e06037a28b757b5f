"""What a work tree renders, by the engine's own steps: the same files, the same renderer, the same documents. No key is needed for it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeAlias

from agent.cli.applications import worktree
from agent.cli.keys import key_sources
from agent.controllers.tasks import AsyncTasks
from agent.desired import disclosing, hooks
from agent.desired import live_variables as desired_variables
from agent.desired.compiler import UnknownChangeError
from agent.engine import charts, live_variables, releases, rendering, suffixes
from agent.engine.charts import Release
from agent.engine.renderers import Cluster as ChartCluster
from agent.manifests import contents, generated, known_kinds, references
from agent.sops.files import presented
from agent.sops.format.groups import unwrap_data_key
from agent.values.dataclass import replace
from agent.values.errors import AgentError, ForbiddenError, InputError
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import ApplicationId
from agent.values.problems import Problem
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.api.render import Render
    from agent.cli.applications.worktree import Target
    from agent.desired.compiler import DesiredState
    from agent.desired.live_variables import Answer, LiveVariables
    from agent.desired.rendering import Made
    from agent.engine.renderers import Rendered
    from agent.engine.rendering import Files, Inputs
    from agent.engine.suffixes import Settled
    from agent.manifests.documents import Parsed
    from agent.manifests.places import Places
    from agent.sops.format.keys import MasterKeys, WrappedKey
    from agent.values.ids import ObjectId

    Settle: TypeAlias = Callable[[Rendered, Inputs], Awaitable[Settled]]

_USER = ApplicationId("", "work tree", "")
_RELEASE = "release-name"
"""What `helm template` calls a release that has no name."""
_OFFLINE = ChartCluster(known_kinds.VERSION, known_kinds.offline().served_names())
_SECONDS = 5.0
"""For the expressions of one object."""


async def variables(target: Target, cluster: Cluster | None) -> LiveVariables:
    """What Secrets and ConfigMaps of the cluster set, read by the user; None: there is none. What may not be read is not known.

    Raises UnknownChangeError, also for one that does not exist.
    """
    application = target.application
    if application is None or not application.spec.reads:
        return desired_variables.NONE
    prints = Fingerprinter.derive(Secret(os.urandom(32), "key of this run"), "leaf")
    if cluster is not None:
        reading = live_variables.Reader(
            cluster, None, lambda live, _: contents.claims_clear(live), AsyncTasks(), lenient=True
        )
        return await live_variables.read_by(reading, application, prints)
    namespace = application.id.namespace
    keys = {desired_variables.object_of(each, namespace) for each in application.spec.reads}
    nothing: dict[ObjectId, Answer] = dict.fromkeys(keys, "unread")
    try:
        return live_variables.of(application.spec, nothing, namespace, prints, "")
    except AgentError as error:
        raise UnknownChangeError((Problem(error),)) from None


async def collect(target: Target, live: LiveVariables, files: Files | None = None) -> Inputs | None:
    """What is rendered of these files, by default those of the work tree; None where nothing is.

    Raises UnknownChangeError, SourceError, ReadError.
    """
    if target.spec is None or not worktree.renders(target.spec):
        return None
    files = files if files is not None else worktree.rendered_files(target)
    return await rendering.collect(target.spec, files, live, target.limits, AsyncTasks())


async def make(
    target: Target, parsed: Parsed, given: Inputs, cluster: Cluster | None, settle: Settle | None = None
) -> tuple[Made, Settled]:
    """The documents of the work tree, rendered, by the names that `settle` gives. Charts are rendered for the `cluster`, or for a usual one.

    Raises UnknownChangeError, ConfigError where there is no renderer, and what the cluster raises.
    """
    spec, result, settled = target.spec, None, suffixes.NOTHING
    assert spec is not None
    if spec.render is not None:
        result = await _rendered(target, spec.render, given, cluster)
        if settle is not None and spec.render.kustomize is not None:
            settled = await settle(result, given)
            result, parsed = settled.result(result), settled.layers(parsed)
    return rendering.make(spec, result, parsed, given, target.namespace or "default"), settled


async def _rendered(target: Target, asked: Render, given: Inputs, cluster: Cluster | None) -> Rendered:
    # Only here, since manifests alone need no renderer.
    from agent.adapters.render.pool import Renderers

    served = await _cluster_of(asked, cluster)
    renderers = Renderers(limits=target.limits.render, values=target.limits.values)
    try:
        if asked.helm is None or given.values is None:
            assert asked.kustomize is not None
            return await renderers.kustomize(_USER, rendering.kustomize(asked.kustomize, given))
        name = target.application.id.name if target.application is not None else _RELEASE
        release = Release(name, target.namespace or "default", int(time.time()))
        chart = charts.chart(asked.helm, given.folder, given.given, given.values, release=release, cluster=served)
        result = await renderers.helm(_USER, chart)
        if cluster is None or not result.of_release or not await _stands(cluster, result, target.places):
            return result
        return await renderers.helm(_USER, replace(chart, upgrades=True))
    except InputError as error:
        raise UnknownChangeError((Problem(error, file=asked.path),)) from None
    finally:
        await renderers.close()


async def _stands(cluster: Cluster, result: Rendered, places: Places) -> bool:
    """Whether anything of the release is there, as far as the user may read it."""
    for key, resource in releases.named(result, await cluster.kinds(), places).items():
        try:
            if await cluster.get(resource, key.namespace, key.name) is not None:
                return True
        except ForbiddenError:
            continue
    return False


async def _cluster_of(asked: Render, cluster: Cluster | None) -> ChartCluster:
    if cluster is None or asked.helm is None:
        return _OFFLINE
    return await charts.cluster_of(cluster, await cluster.kinds())


def trusted(
    target: Target, given: Inputs, untrusted: Mapping[str, AgentError], secrets: Mapping[str, Secret]
) -> Inputs:
    """The inputs with disclosed variables in the clear, unless one of their files cannot be trusted. Raises UnknownChangeError."""
    rendering.trusted(given, untrusted, target.strict)
    return _disclosed(target, given, secrets)


def _disclosed(target: Target, given: Inputs, secrets: Mapping[str, Secret]) -> Inputs:
    """The inputs with disclosed variables in the clear. One that is not opened here is not known.

    Without the operator's file all that the Application asks for is disclosed. Raises UnknownChangeError.
    """
    if given.variables is None:
        return given
    texts: dict[str, str] = {}
    unknown: list[str] = []
    known = {**secrets, **given.live.values}
    until = time.monotonic() + _SECONDS
    for each in disclosing.wanted(given.variables, given.given.sources, target.disclosed):
        pending = each.pending(known)
        if references.find(pending.inputs) or not all(leaf.id in known for leaf in each.sealed):
            unknown.append(each.name)
            continue
        try:
            texts[each.name] = each.text(known, {}, time.monotonic, until)
        except AgentError as error:
            raise UnknownChangeError((Problem(error),)) from None
    variables = disclosing.put_in(given.variables, texts)
    return replace(given, variables=replace(variables, unopened=frozenset(unknown)))


def stated(target: Target, state: DesiredState, made: tuple[Made, Settled], given: Inputs) -> DesiredState:
    """The desired state with what its leaves are made of, and with the names that stand."""
    found, settled = made
    disclosed = given.variables.sealed if given.variables is not None else ()
    warnings = (*state.warnings, *rendering.warnings(found, given, disclosed))
    named = hooks.apart(settled.stated(state), found.documents)
    return replace(
        named,
        expressions=found.expressions,
        questions=found.questions,
        generated=generated.kept(found.generated, named.objects, found.expressions, target.namespace or "default"),
        variables=given.labels(),
        warnings=warnings,
    )


def printed(
    given: Inputs, keys: MasterKeys, but: Collection[str], opened: MutableMapping[WrappedKey, Secret]
) -> dict[str, Secret]:
    """The SOPS files that stand as one value except some, as sops prints them. `opened` are data keys that were opened before.

    Raises UnknownChangeError.
    """
    found: dict[str, Secret] = {}
    order = key_sources.order("")
    for name, file in given.given.whole.items():
        if file.file in but:
            continue
        try:
            data_keys = [
                unwrap_data_key(part.metadata.data_key, keys, file=file.file, order=order, opened=opened)
                for part in file.sealed.parts
            ]
            found[name] = presented.printed(file, data_keys)
        except AgentError as error:
            raise UnknownChangeError((Problem(error, file=file.file),)) from None
    return found
