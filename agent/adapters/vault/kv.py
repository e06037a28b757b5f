"""The key-value engines, version 1 and 2: mounts, values, versions. See vaultproject.io/api-docs/secret/kv."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from agent.adapters.vault import client
from agent.values import derive
from agent.values.errors import AgentError, LimitError, StoreDeniedError, StoreNotFoundError
from agent.values.secret import Sealed, Secret
from agent.values.tree import Tree, get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.adapters.vault.answer import Answer, Method
    from agent.values.tree import Object

_MOUNT_SECONDS: Final = 300.0
"""How long a mount is believed to be what it was."""


class Caller(Protocol):
    """What of a `Store` is needed here."""

    @property
    def name(self) -> str: ...
    @property
    def mounts(self) -> Mounts: ...
    def call(
        self, method: Method, path: str, *, body: Mapping[str, Any] | None = None, version: int | None = None
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Mount:
    """`path` is without the final slash, `version` 1 or 2."""

    path: str
    version: int


@dataclass(frozen=True, slots=True)
class Values:
    """What is stored at a path: every value a Secret from the start, a list or map as its JSON text, null as None."""

    values: Mapping[str, Secret | None]
    version: int


class Mounts:
    """Mounts that were asked for. None lies within another, so a prefix is enough to know a path's mount. Thread-safe."""

    def __init__(self, store: str, monotonic: Callable[[], float]) -> None:
        self._store: Final = store
        self._monotonic: Final = monotonic
        self._known: Final[dict[str, tuple[Mount, float]]] = {}
        self._lock: Final = threading.Lock()

    def find(self, path: str) -> Mount | None:
        """The mount of a path, if it is known."""
        steps = path.split("/")
        for count in range(len(steps) - 1, 0, -1):
            found = self._known.get("/".join(steps[:count]))
            if found is not None and found[1] > self._monotonic():
                return found[0]
        return None

    def learn(self, mount: Mount) -> None:
        with self._lock:
            self._known[mount.path] = (mount, self._monotonic() + _MOUNT_SECONDS)

    def forget(self, mount: Mount) -> None:
        """Ask for it again: what was known of it may be wrong."""
        with self._lock:
            self._known.pop(mount.path, None)


def preflight(store: Caller, path: str) -> Mount:
    """The mount of a path, by asking. Raises StoreDeniedError, StoreNotFoundError, StoreUnavailableError."""
    answer = store.call("get", f"sys/internal/ui/mounts/{client.address(path)}")
    if answer.status == 403:
        raise StoreDeniedError(
            "no such mount, or the agent has no access to it",
            hint="check the first segments of the path, and the agent's policy in the store",
            store=store.name,
            path=path,
        )
    if answer.status != 200:
        raise client.refused(answer, store=store.name, path=path)
    text, kind = answer.data.get("path"), answer.data.get("type")
    if kind not in {"kv", "generic"} or not isinstance(text, str) or not f"{path}/".startswith(text):
        raise StoreNotFoundError(
            "the mount is not a key-value engine",
            hint="references read KV version 1 and 2",
            store=store.name,
            path=path,
        )
    second = get(answer.data, "options", "version") == "2"
    mount = Mount(text.strip("/"), 2 if second else 1)
    store.mounts.learn(mount)
    return mount


def read(store: Caller, path: str, version: int | None) -> Values:
    """The values at a path whose mount is known, by one request. Raises StoreError."""
    mount = store.mounts.find(path) or preflight(store, path)
    if mount.version == 1:
        if version is not None:
            raise StoreNotFoundError(
                "KV version 1 keeps no versions", hint="leave out version=", store=store.name, path=path
            )
        answer = store.call("get", client.address(path))
        data: Tree = answer.data
        found = 0
    else:
        answer = store.call("get", _below(store, mount, "data", path), version=version)
        data = answer.data.get("data")
        found = _version(get(answer.data, "metadata", "version"))
    if answer.status == 404:
        store.mounts.forget(mount)
        raise _missing(store, path, answer)
    if answer.status != 200:
        raise client.refused(answer, store=store.name, path=path)
    if not isinstance(data, dict) or (mount.version == 2 and found == 0):
        store.mounts.forget(mount)
        raise client.refused(answer, store=store.name, path=path)
    place = f"vault:{store.name}/{path}"
    suffix = f"@{found}" if found else ""
    return Values({key: _wrap(value, f"{place}#{key}{suffix}") for key, value in data.items()}, found)


def versions(store: Caller, paths: Collection[str]) -> dict[str, int | AgentError]:
    """The current version of paths in one folder of one mount: 0 for KV version 1, an error for a deleted or missing one.

    One LIST where the server has OpenBao's `detailed-metadata` and more than one path is asked for; else a metadata read for each.
    """
    some = next(iter(paths))
    mount = store.mounts.find(some) or preflight(store, some)
    if mount.version == 1:
        return dict.fromkeys(paths, 0)
    if len(paths) > 1:
        listed = _listed(store, mount, paths)
        if listed is not None:
            return listed
    found: dict[str, int | AgentError] = {}
    for path in paths:
        try:
            found[path] = _current(store, mount, path)
        except AgentError as error:
            found[path] = error
    return found


def folder(mount: Mount, path: str) -> str:
    """What of a path is its folder, the mount included."""
    return path.rpartition("/")[0] or mount.path


def _listed(store: Caller, mount: Mount, paths: Collection[str]) -> dict[str, int | AgentError] | None:
    below = folder(mount, next(iter(paths)))
    listing = f"{client.address(mount.path)}/detailed-metadata"
    if below != mount.path:
        listing += f"/{client.address(below[len(mount.path) + 1 :])}"
    try:
        answer = store.call("list", listing)
    except LimitError:
        # What else lies in the folder is no reason to know nothing of what is asked for.
        return None
    if answer.status != 200 or not isinstance(answer.data.get("key_info"), dict):
        return None
    return {path: _judge(store, path, get_object(answer.data, "key_info", path.rpartition("/")[2])) for path in paths}


def _current(store: Caller, mount: Mount, path: str) -> int:
    answer = store.call("get", _below(store, mount, "metadata", path))
    if answer.status == 403:
        # A policy that lets data be read need not let metadata be read.
        return read(store, path, None).version
    if answer.status == 404:
        raise _missing(store, path, answer)
    if answer.status != 200:
        raise client.refused(answer, store=store.name, path=path)
    judged = _judge(store, path, answer.data)
    if isinstance(judged, AgentError):
        raise judged
    return judged


def _judge(store: Caller, path: str, info: Object) -> int | AgentError:
    current = _version(info.get("current_version"))
    state = get_object(info, "versions", str(current))
    if not state:
        return client.refused(client.Answer(404, {}), store=store.name, path=path)
    gone = get_text(state, "deletion_time") or state.get("destroyed") is True
    return _deleted(store, path) if gone else current


def _below(store: Caller, mount: Mount, kind: str, path: str) -> str:
    rest = path[len(mount.path) + 1 :]
    if not rest:
        raise StoreNotFoundError("the path ends with the mount", store=store.name, path=path)
    return f"{client.address(mount.path)}/{kind}/{client.address(rest)}"


def _missing(store: Caller, path: str, answer: Answer) -> AgentError:
    if isinstance(answer.data.get("metadata"), dict):
        return _deleted(store, path)
    return client.refused(answer, store=store.name, path=path)


def _deleted(store: Caller, path: str) -> StoreNotFoundError:
    return StoreNotFoundError(
        "this version of the secret is deleted", hint="undelete it, or write a new version", store=store.name, path=path
    )


def _version(number: Tree) -> int:
    return number if isinstance(number, int) else 0


def _wrap(value: Tree, label: str) -> Secret | None:
    if value is None or isinstance(value, Secret | Sealed):
        return None
    if isinstance(value, str | int | float):
        return Secret(value, label)
    return derive.to_json(value, label)
