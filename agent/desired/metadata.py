"""Labels and annotations that an Application gives to all of its objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.values.tree import get_object

if TYPE_CHECKING:
    from agent.api.metadata import CommonMetadata
    from agent.desired.compiler import DesiredState
    from agent.values.tree import Object


def stamp(desired: DesiredState, common: CommonMetadata) -> DesiredState:
    """The desired state whose every object has them. What an object says otherwise itself gives way."""
    if not common.labels and not common.annotations:
        return desired
    objects = {
        key: replace(item, tree=_stamped(item.tree, common), own=get_object(item.tree, "metadata"))
        for key, item in desired.objects.items()
    }
    return replace(desired, objects=objects)


def _stamped(tree: Object, common: CommonMetadata) -> Object:
    metadata = dict(get_object(tree, "metadata"))
    for field, given in (("labels", common.labels), ("annotations", common.annotations)):
        if given:
            metadata[field] = {**get_object(metadata, field), **given}
    return {**tree, "metadata": metadata}
