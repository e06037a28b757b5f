"""The API server's URL paths. Names come from Git: each becomes exactly one segment or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from agent.values.errors import ObjectInvalidError

if TYPE_CHECKING:
    from agent.manifests.kinds import Resource


def collection(resource: Resource, namespace: str = "") -> str:
    """`/apis/apps/v1/namespaces/shop/deployments`; without a namespace, all of them."""
    root = f"/apis/{_segment(resource.group)}" if resource.group else "/api"
    inside = f"/namespaces/{_segment(namespace)}" if namespace and resource.namespaced else ""
    return f"{root}/{_segment(resource.version)}{inside}/{_segment(resource.plural)}"


def item(resource: Resource, namespace: str, name: str, subresource: str = "") -> str:
    """The path of one object, or of its subresource. Raises ObjectInvalidError for a name that is not a path segment."""
    if resource.namespaced and not namespace:
        raise ObjectInvalidError("object of a namespaced kind has no namespace", kind=resource.kind, name=name)
    tail = f"/{_segment(subresource)}" if subresource else ""
    return f"{collection(resource, namespace)}/{_segment(name)}{tail}"


def _segment(text: str) -> str:
    # what apimachinery's ValidatePathSegmentName refuses
    if text in ("", ".", "..") or "/" in text or "%" in text:
        raise ObjectInvalidError(
            "name cannot be used in the path of a request", name=text, hint='"/", "%", "." and ".." are not names'
        )
    return quote(text, safe="", errors="replace")
