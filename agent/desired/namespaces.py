"""`spec.destination.createNamespace`: the namespaces that objects go to, as objects of the Application that never go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.manifests import ownership
from agent.manifests.layers import Desired
from agent.values.errors import LimitError
from agent.values.ids import ObjectId

if TYPE_CHECKING:
    from agent.api.application import Application
    from agent.desired.compiler import DesiredState
    from agent.values.tree import Object

MOST: Final = 256
"""Namespaces that are created for one Application."""


def created(desired: DesiredState, application: Application) -> DesiredState:
    """The desired state with a Namespace for each one that its objects go to, but the Application's own and those that it has itself.

    Raises LimitError.
    """
    asked = application.spec.destination.create_namespace
    if asked is None:
        return desired
    wanted = {key.namespace for key in desired.objects if key not in desired.held} - {"", application.id.namespace}
    keys = {ObjectId("", "Namespace", "", name) for name in wanted} - desired.objects.keys() - desired.held.keys()
    if len(keys) > MOST:
        raise LimitError(
            "the objects go to more namespaces than are created for one Application",
            hint="split the Application, or commit the namespaces",
            limit=MOST,
            found=len(keys),
        )
    annotations = {**asked.annotations, **ownership.SHARED}

    def tree(name: str) -> Object:
        metadata: Object = {"name": name, "labels": dict(asked.labels), "annotations": dict(annotations)}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}

    made = {key: Desired(key, "v1", tree(key.name), ()) for key in sorted(keys)}
    return replace(desired, objects={**desired.objects, **made})
