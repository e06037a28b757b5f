"""What registries say of a push: CNCF distribution's envelope, Harbor, Docker Hub, and GitHub of its packages. Tags are given as refs, as those of Git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from agent.adapters.http import fields
from agent.api import registries

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES: Final = ("package", "registry_package")


def pushed(payload: dict[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Repositories, as `host/path`, and `refs/tags/…` of tags that were pushed to them."""
    found = [(str(repository), tag) for repository, tag in _pushed(payload) if _is_text(repository)]
    named = {registries.plain(f"oci://{repository.lower()}") for repository, _ in found}
    tags = fields.texts(tag for _, tag in found)
    return frozenset(named), frozenset(f"refs/tags/{tag}" for tag in tags if tag)


def _is_text(repository: object) -> bool:
    return any(fields.texts(iter([repository])))


def _pushed(payload: dict[str, Any]) -> Iterator[tuple[object, object]]:
    for event in fields.parts(payload, "events"):
        if event.get("action") == "push":
            target = fields.part(event, "target")
            for host in (fields.part(event, "request").get("host"), _host(target.get("url"))):
                yield f"{host}/{target.get('repository')}", target.get("tag")
    if "push" in str(payload.get("type", "")).lower():
        for place in (fields.part(payload, "event_data"), fields.part(payload, "data")):
            for resource in fields.parts(place, "resources"):
                yield _repository(resource.get("resource_url")), resource.get("tag")
    tag = fields.part(payload, "push_data").get("tag")
    if tag is not None:
        yield f"docker.io/{fields.part(payload, 'repository').get('repo_name')}", tag
    for name in _PACKAGES:
        version = fields.part(fields.part(payload, name), "package_version")
        tagged = fields.part(fields.part(version, "container_metadata"), "tag")
        if tagged:
            yield _repository(version.get("package_url")), tagged.get("name")


def _host(url: object) -> str:
    try:
        return urlsplit(url).netloc if isinstance(url, str) else ""
    except ValueError:
        return ""


def _repository(reference: object) -> object:
    """`host/path` of `host/path:tag` or `host/path@digest`."""
    if not isinstance(reference, str):
        return None
    path, slash, name = reference.partition("@")[0].rpartition("/")
    return f"{path}{slash}{name.partition(':')[0]}"
