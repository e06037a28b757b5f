"""An Application that is deleted: its objects go or stay as its policy says, and no finalizer is left hanging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.manifests.kinds import Resource
from agent.reconcile import pipeline
from agent.reconcile.driver.reporting import log_error

if TYPE_CHECKING:
    from agent.api.application import Application
    from agent.reconcile.context import Memory, Run
    from agent.reconcile.ports import ClusterPort
    from agent.values.tree import Object

APPLICATIONS: Final = Resource(names.GROUP, names.VERSION, names.KIND, names.PLURAL, namespaced=True)
FINALIZER: Final = f"{names.GROUP}/prune"


async def keep_finalizer(cluster: ClusterPort, application: Application) -> None:
    """Hold the finalizer exactly where the policy is to prune, so that the Application is not gone before its objects are."""
    wanted = application.spec.deletion_policy == "prune"
    if wanted != (FINALIZER in application.finalizers):
        await _set_finalizer(cluster, application, wanted)


async def retire(run: Run, memory: Memory) -> bool:
    """Do what the policy says; whether it is done. What is refused for good stays behind and is logged, what may pass is tried again."""
    application = run.application
    if FINALIZER not in application.finalizers:
        return True
    if application.spec.deletion_policy == "prune":
        kinds = await run.ports.cluster.kinds()
        resources = (kinds.of(key) for key in memory.record.objects)
        await run.ports.live.follow(frozenset(resource for resource in resources if resource is not None))
        errors = await pipeline.retire(run, memory)
        if any(error.transient for error in errors):
            return False
        for error in errors:
            log_error("an object stays behind", error, application.id)
            await run.ports.cluster.event(
                application.id,
                kind="Warning",
                reason="Orphaned",
                message="an object could not be deleted and stays behind",
            )
    await _set_finalizer(run.ports.cluster, application, False)
    return True


async def _set_finalizer(cluster: ClusterPort, application: Application, present: bool) -> None:
    others = [name for name in application.finalizers if name != FINALIZER]
    patch: list[Object] = [
        {"op": "add", "path": "/metadata/finalizers", "value": [*others, *([FINALIZER] if present else [])]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": application.resource_version},
    ]
    await cluster.json_patch(APPLICATIONS, application.id.namespace, application.id.name, patch)
