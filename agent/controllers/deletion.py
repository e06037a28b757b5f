"""An Application that is deleted: its objects go or stay as its policy says, and no finalizer is left hanging."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from agent.api import application as applications
from agent.api import names
from agent.controllers.reporting import log_error, log_errors
from agent.manifests.kinds import Resource
from agent.values.errors import AgentError, ClusterError
from agent.values.text import counted, few
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.api.application import Application
    from agent.engine.context import Run
    from agent.engine.ports import HomePort
    from agent.values.ids import ApplicationId
    from agent.values.tree import Object

APPLICATIONS: Final = Resource(names.GROUP, names.VERSION, names.KIND, names.PLURAL, namespaced=True)
_NAMESPACES: Final = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
_DEFINITIONS: Final = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)


async def keep_finalizer(home: HomePort, application: Application) -> None:
    """Hold the finalizer exactly where the policy is to prune, so that the Application is not gone before its objects are."""
    wanted = application.spec.deletion_policy == "prune"
    if wanted != (names.FINALIZER in application.finalizers):
        await _set_finalizer(home, application.id, application.finalizers, application.resource_version, present=wanted)


async def retire(run: Run) -> bool:
    """Do what the policy says; whether it is done. What is refused for good stays behind and is logged, what may pass is tried again."""
    from agent.engine import pipeline  # noqa: PLC0415  # loaded with the first run that was made

    application = run.application
    if names.FINALIZER not in application.finalizers:
        return True
    if application.spec.deletion_policy == "prune" and await _is_uprooted(run.ports.home, application):
        found = await run.ports.home.get(APPLICATIONS, application.id.namespace, application.id.name)
        if found is not None:
            await orphan(run.ports.home, found)
        return True
    if application.spec.deletion_policy == "prune":
        kinds = await run.ports.target.kinds()
        if run.ledger.unrecorded or run.ledger.loss:
            await run.ports.home.event(
                application.id,
                kind="Warning",
                reason="Orphaned",
                message="there is no record of what was applied, so objects may stay behind",
            )
        errors = await pipeline.retire(run, kinds)
        if any(error.transient for error in errors):
            return False
        log_errors("an object stays behind", errors, application.id)
        if errors:
            message = (
                f"{counted(len(errors), 'object')} could not be deleted: {few([_object(each) for each in errors])}"
            )
            await run.ports.home.event(application.id, kind="Warning", reason="Orphaned", message=message)
    await run.fence.show()
    await _set_finalizer(
        run.ports.home, application.id, application.finalizers, application.resource_version, present=False
    )
    return True


def _object(error: AgentError) -> str:
    return str(error.facts.get("object", error.message))


async def let_go(home: HomePort, application: ApplicationId) -> None:
    """Keep no Application from going that can no longer be run."""
    try:
        found = await home.get(APPLICATIONS, application.namespace, application.name)
        if found is not None and get_text(found, "metadata", "uid") == application.uid:
            await orphan(home, found)
    except AgentError as error:
        log_error("the finalizer of a deleted Application could not be removed", error, application)


async def orphan(home: HomePort, tree: Object) -> None:
    """Let an Application go and leave its objects, with an event: their deletion was not intended, or is not allowed.

    `tree` is the Application as the API server gave it, whatever its spec looks like.
    """
    finalizers = get(tree, "metadata", "finalizers")
    if (
        get(tree, "metadata", "deletionTimestamp") is None
        or not isinstance(finalizers, list)
        or names.FINALIZER not in finalizers
    ):
        return
    application = applications.identify(tree)
    # no event can be made any more in a namespace that is being deleted
    with contextlib.suppress(ClusterError):
        await home.event(
            application, kind="Warning", reason="Orphaned", message="the objects of the application stay behind"
        )
    others = [name for name in finalizers if isinstance(name, str)]
    await _set_finalizer(home, application, others, get_text(tree, "metadata", "resourceVersion"), present=False)


async def _is_uprooted(home: HomePort, application: Application) -> bool:
    """Whether an Application goes because its namespace or definition does: then its objects elsewhere were not meant to go."""
    namespace = await home.get(_NAMESPACES, "", application.id.namespace)
    definition = await home.get(_DEFINITIONS, "", f"{names.PLURAL}.{names.GROUP}")
    return any(
        found is None or get(found, "metadata", "deletionTimestamp") is not None for found in (namespace, definition)
    )


async def _set_finalizer(
    home: HomePort, application: ApplicationId, finalizers: Sequence[str], version: str, *, present: bool
) -> None:
    others = [name for name in finalizers if name != names.FINALIZER]
    patch: list[Object] = [
        {"op": "add", "path": "/metadata/finalizers", "value": [*others, *([names.FINALIZER] if present else [])]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]
    await home.json_patch(APPLICATIONS, application.namespace, application.name, patch)
