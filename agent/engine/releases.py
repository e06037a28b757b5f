"""Whether anything of a chart's release stands: what distinguishes an installation from an upgrade. No record is asked, since one may be lost.

And whether Helm's own record of a release stands, which `helm uninstall` goes by.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.engine import charts, polling
from agent.manifests import hooks
from agent.values.errors import ForbiddenError, HelmReleaseLeftError
from agent.values.ids import ObjectId
from agent.values.problems import Problem
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.renderers import Rendered
    from agent.engine.state import State
    from agent.manifests.kinds import Kinds, Resource
    from agent.manifests.places import Places
    from agent.values.tree import Object

_BESIDE: Final = frozenset({("apiextensions.k8s.io", "CustomResourceDefinition"), ("", "Namespace")})
"""What stands of a chart whether or not a release of it does."""


def stands(
    live: Mapping[ObjectId, LiveFact], application: str, *, but: Collection[ObjectId], met: Iterable[ObjectId] = ()
) -> bool:
    """Whether an object stands that is proven to be the Application's, or was `met`; hooks are not looked at, which are `but`."""
    ours = (key for key, fact in live.items() if fact.owner == application and not fact.terminating)
    return any((key.group, key.kind) not in _BESIDE and key not in but for key in (*ours, *met))


def named(result: Rendered, kinds: Kinds, places: Places) -> dict[ObjectId, Resource]:
    """What a chart gave that is there exactly where a release of it is, except for hooks and for what is not served, has no name or may not go there."""
    found: dict[ObjectId, Resource] = {}
    for each in result.objects:
        tree = each.tree
        resource = kinds.served(get_text(tree, "apiVersion"), get_text(tree, "kind"))
        name = get_text(tree, "metadata", "name")
        if (
            resource is not None
            and name
            and (resource.group, resource.kind) not in _BESIDE
            and not hooks.is_marked(tree)
        ):
            within = places.of(get_text(tree, "metadata", "namespace")) if resource.namespaced else ""
            if not within or places.allows(within):
                found[ObjectId(resource.group, resource.kind, within, name)] = resource
    return found


async def rendered_stands(run: Run, kinds: Kinds, result: Rendered) -> bool:
    """The same of a chart that was only just rendered: where nothing is proven ours, the cluster is asked, a list a kind."""
    rendered = named(result, kinds, run.places)
    live, application = run.ports.live.snapshot(run.application_id.uid), run.application_id.uid
    apart = {_name(each.tree) for each in result.objects if hooks.is_marked(each.tree)}
    if stands(live, application, but=[key for key in live if (key.kind, key.name) in apart]):
        return True
    groups: dict[tuple[Resource, str], set[str]] = {}
    for key, resource in rendered.items():
        groups.setdefault((resource, key.namespace), set()).add(key.name)
    for (resource, namespace), names in groups.items():
        if await _any(run, resource, namespace, names):
            return True
    return False


def _name(tree: Object) -> tuple[str, str]:
    return get_text(tree, "kind"), get_text(tree, "metadata", "name")


async def note(run: Run, state: State, kinds: Kinds) -> State:
    """The state with a warning where Helm has a release of this name: its command would delete what is the Application's now.

    A run that asks Git looks; what may not be read is not said.
    """
    asked = run.application.spec.render
    if asked is None or asked.helm is None:
        return replace(state, release=None)
    resource = kinds.served("v1", "Secret")
    if not run.checks_source or resource is None:
        return state
    name, namespace = charts.release_name(asked.helm, run.application.id.name), run.application.namespace
    try:
        found = await run.ports.target.list_metadata(resource, namespace=namespace, selector=f"name={name}")
    except ForbiddenError:
        return replace(state, release=None)
    if all(get_text(each, "metadata", "labels", "owner") != "helm" for each in found):
        return replace(state, release=None)
    error = HelmReleaseLeftError(
        "Helm still has this release: helm uninstall would delete objects that are the Application's now",
        hint="kubectl delete secret -l owner=helm,name=<release> in its namespace removes the release, and none of its objects",
        release=name,
        namespace=namespace,
    )
    return replace(state, release=Problem(error))


async def _any(run: Run, resource: Resource, namespace: str, names: Collection[str]) -> bool:
    try:
        if len(names) == 1:
            return await polling.get(run, resource, namespace, *names) is not None
        found = await polling.list_metadata(run, resource, namespace, sorted(names))
    except ForbiddenError:
        return False  # what may not be read is not ours
    return any(get_text(each, "metadata", "name") in names for each in found)
