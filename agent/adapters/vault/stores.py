"""The engine's StorePort: references to values, by as few requests as there are paths."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

from agent.adapters.vault import kv
from agent.adapters.vault.store import Access, Store
from agent.engine.ports import Resolved
from agent.manifests import granted
from agent.values import derive
from agent.values.errors import AgentError, StoreNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from agent.adapters.vault.credential import Login
    from agent.adapters.vault.kv import Values
    from agent.api.operator import Store as StoreSettings
    from agent.manifests.references import Reference
    from agent.values.ids import ApplicationId
    from agent.values.secret import Secret

T = TypeVar("T")


class Stores:
    """The stores of the operator's file. Requests block, so each store has threads of its own: one that hangs delays no other."""

    def __init__(
        self,
        settings: Mapping[str, StoreSettings],
        *,
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
        now: Callable[[], float] = time.time,
        seconds: float = 30.0,
        logins: Mapping[str, Login] | None = None,
        observe: Callable[[str, bool, float], None] | None = None,
        environment: bool = False,
    ) -> None:
        """`seconds` is the total time of one request, `jitter` gives numbers from 0 to 1 for the back-off after an outage, `now` Unix seconds.

        `logins` replace those of the settings, by the store's name. `observe` and `environment` as Store has them.
        """
        given = logins or {}
        self._settings: Final = settings
        self._stores: Final = {
            name: Store(
                name,
                store,
                seconds=seconds,
                monotonic=monotonic,
                jitter=jitter,
                now=now,
                login=given.get(name),
                observe=observe,
                environment=environment,
            )
            for name, store in settings.items()
        }

    async def resolve(
        self, application: ApplicationId, references: Collection[Reference]
    ) -> dict[Reference, Resolved | AgentError]:
        """One read per store, path and version. A value that is not there is an error, for an optional reference too."""
        answers: dict[Reference, Resolved | AgentError] = {}
        reads: defaultdict[Access, defaultdict[tuple[str, int | None], list[Reference]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for reference in references:
            store = self._permitted(application, reference)
            if isinstance(store, AgentError):
                answers[reference] = store
            else:
                reads[store][reference.path, reference.version].append(reference)

        async def of(store: Access, path: str, version: int | None, wanted: list[Reference]) -> None:
            found = await _attempt(store, lambda: kv.read(store, path, version))
            for reference in wanted:
                answers[reference] = found if isinstance(found, AgentError) else _pick(reference, found)

        async def all_of(store: Access, wanted: Mapping[tuple[str, int | None], list[Reference]]) -> None:
            unmounted = await _preflight(store, {path for path, _ in wanted})
            for (path, _), some in wanted.items():
                answers.update({reference: unmounted[path] for reference in some if path in unmounted})
            await asyncio.gather(
                *(of(store, path, version, some) for (path, version), some in wanted.items() if path not in unmounted)
            )

        await asyncio.gather(*(all_of(store, wanted) for store, wanted in reads.items()))
        return {reference: _named(answer, reference) for reference, answer in answers.items()}

    async def probe(
        self, application: ApplicationId, references: Collection[Reference]
    ) -> dict[Reference, int | AgentError]:
        """The current version of each; a reference with a version of its own stays at that, 0 for an engine that keeps none."""
        answers: dict[Reference, int | AgentError] = {}
        wanted: defaultdict[Access, defaultdict[str, list[Reference]]] = defaultdict(lambda: defaultdict(list))
        for reference in references:
            store = self._permitted(application, reference)
            if isinstance(store, AgentError):
                answers[reference] = store
            elif reference.version is not None:
                answers[reference] = reference.version
            else:
                wanted[store][reference.path].append(reference)

        async def folder(store: Access, paths: list[str]) -> None:
            found = await _attempt(store, lambda: kv.versions(store, paths))
            for path in paths:
                answer = found if isinstance(found, AgentError) else found[path]
                answers.update(dict.fromkeys(wanted[store][path], answer))

        async def all_of(store: Access, paths: Collection[str]) -> None:
            unmounted = await _preflight(store, paths)
            folders: defaultdict[str, list[str]] = defaultdict(list)
            for path in paths:
                if path in unmounted:
                    answers.update(dict.fromkeys(wanted[store][path], unmounted[path]))
                else:
                    folders[path.rpartition("/")[0]].append(path)
            await asyncio.gather(*(folder(store, some) for some in folders.values()))

        await asyncio.gather(*(all_of(store, list(paths)) for store, paths in wanted.items()))
        return {reference: _named(answer, reference) for reference, answer in answers.items()}

    def serving(self, application: ApplicationId, address: str) -> list[Access]:
        """The stores with exactly this address that serve the Application's namespace."""
        return [
            Access(store, application.namespace)
            for store in self._stores.values()
            if store.settings.address == address and store.settings.serves(application.namespace)
        ]

    async def close(self) -> None:
        """Let requests in flight finish, and revoke the tokens that logins made."""
        await asyncio.gather(*(asyncio.to_thread(store.close) for store in self._stores.values()))

    def _permitted(self, application: ApplicationId, reference: Reference) -> Access | AgentError:
        refused = granted.refusal(self._settings, application.namespace, reference)
        return refused or Access(self._stores[reference.store], application.namespace)


async def _attempt(store: Access, work: Callable[[], T]) -> T | AgentError:
    """The work's result from one of the store's threads, in the turn of the namespace, or its error as a value."""

    def run() -> T | AgentError:
        try:
            return work()
        except AgentError as error:
            return error

    return await store.in_thread(run)


async def _preflight(store: Access, paths: Collection[str]) -> dict[str, AgentError]:
    """Learn the mounts of all paths; those that have none, with the error.

    One path of each first segment goes first: nearly always the others lie in the same mount.
    """
    failed: dict[str, AgentError] = {}

    async def ask(some: Iterable[str]) -> None:
        waiting = list(some)
        found = await asyncio.gather(
            *(_attempt(store, lambda path=path: kv.preflight(store, path)) for path in waiting)
        )
        failed.update({path: each for path, each in zip(waiting, found, strict=True) if isinstance(each, AgentError)})

    first: dict[str, str] = {}
    for path in sorted(paths):
        if store.mounts.find(path) is None:
            first.setdefault(path.partition("/")[0], path)
    await ask(first.values())
    await ask(path for path in sorted(paths) if path not in failed and store.mounts.find(path) is None)
    return failed


def _pick(reference: Reference, found: Values) -> Resolved | AgentError:
    try:
        secret = _select(reference, found)
        if reference.decode:
            secret = derive.base64_decode(secret)
    except AgentError as error:
        return error
    return Resolved(secret, found.version)


def _select(reference: Reference, found: Values) -> Secret:
    """The literal key; else the pointer's first step as a key, and the rest of it within that value's JSON."""
    key, rest = reference.key, ""
    if key not in found.values and key.startswith("/"):
        step, slash, below = key[1:].partition("/")
        key, rest = step.replace("~1", "/").replace("~0", "~"), slash + below
    secret = found.values.get(key)
    if secret is None:
        raise StoreNotFoundError(
            "the secret has no such key, or its value is null",
            hint="check the part of the reference after #",
            store=reference.store,
            path=reference.path,
            key=reference.key,
            version=found.version,
        )
    if rest:
        suffix = f"@{found.version}" if found.version else ""
        label = f"vault:{reference.store}/{reference.path}#{reference.key}{suffix}"
        secret = derive.relabel(derive.json_pointer(secret, rest), label)
    return secret


def _named(answer: T | AgentError, reference: Reference) -> T | AgentError:
    """An error of its own for each reference, that names it."""
    return answer.with_facts(reference=str(reference)) if isinstance(answer, AgentError) else answer
