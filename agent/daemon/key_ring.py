"""Which keys open an Application's files: its own Secrets, what the operator grants it, and the transit engine of its stores.

Each Application has a GnuPG home of its own on memory-backed storage, so that no tenant's key opens another's file. Opened data keys
are kept in memory, per Application generation and wrapped key. What one tenant brings to be tried, and for how long, is limited, and goes on
in threads that namespaces have turns in.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from agent.adapters.git import credential as git_credential
from agent.adapters.keys import credential as key_credential
from agent.adapters.keys.age import AgeKeys
from agent.adapters.oci import credential as registry_credential
from agent.adapters.vault import transit
from agent.adapters.vault.transit import TransitMasterKeys
from agent.daemon.gnupg_homes import GnupgHomes
from agent.daemon.key_work import TimedKeys
from agent.sops.format.groups import is_known, unwrap_data_key
from agent.sops.format.keys import ByKind, TransitKey
from agent.values import derive
from agent.values.errors import AgentError, ConfigError, DataKeyError, LimitError, SourceError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from agent.adapters.kubernetes.secrets import Secrets
    from agent.adapters.vault.stores import Stores
    from agent.api.application import Application
    from agent.api.operator import OperatorSettings
    from agent.api.secret_reference import SecretReference
    from agent.daemon.key_work import Workers
    from agent.engine.credentials import GitCredential
    from agent.sops.format.groups import WrappedDataKey
    from agent.sops.format.keys import MasterKeys, WrappedKey
    from agent.values.ids import ApplicationId

_READ_AGAIN_SECONDS = 60.0
_SHOWN = 3
"""Recipients that an error names."""
_MOST_OF_SUBMODULES = 32
"""Repositories of one Application's submodules whose keys are kept."""


@dataclass(slots=True)
class _Ring:
    """The keys of one Application as they were read last."""

    secrets: tuple[Secret, ...]
    keys: Mapping[str, MasterKeys]
    generation: int
    read_at: float
    opened: dict[WrappedKey, Secret] = field(default_factory=dict["WrappedKey", Secret])


@dataclass(frozen=True, slots=True)
class _Holder:
    """An Application's keys for the files of one repository; `id` is what they are kept by."""

    application: Application
    id: ApplicationId
    repository: str


class KeyRing:
    """DataKeyPort and CredentialPort. `memory` is a folder on memory-backed storage."""

    def __init__(
        self,
        secrets: Secrets,
        settings: OperatorSettings,
        memory: Path,
        stores: Stores,
        workers: Workers,
    ) -> None:
        self._secrets = secrets
        self._settings = settings
        self._limits = settings.limits
        self._homes = GnupgHomes(memory, settings.limits.pgp_bytes)
        self._stores = stores
        self._workers = workers
        self._rings: dict[str, _Ring] = {}
        self._further: dict[str, set[ApplicationId]] = {}
        self._logins: dict[str, dict[str, tuple[int, GitCredential]]] = {}
        # each as long as a task holds it or waits for it
        self._locks = WeakValueDictionary[str, asyncio.Lock]()

    async def git(self, application: Application, source: str = "") -> GitCredential | None:
        """The Secret that a source names, as it was read last. Raises SourceError where it is missing."""
        asked = application.spec.all_sources[source]
        if asked.login is None:
            return None
        logins = self._logins.setdefault(application.id.uid, {})
        known = logins.get(source)
        if known is not None and known[0] == application.generation:
            return known[1]
        login = await self._login(application, asked.login, asked.address)
        logins[source] = application.generation, login
        return login

    async def base(self, application: Application, url: str) -> GitCredential | None:
        """That of a remote base, as its Secret is now. Raises SourceError where that is missing."""
        render = application.spec.render
        declared = render.remote_bases if render is not None else ()
        reference = next((each.credentials for each in declared if each.url == url), None)
        return None if reference is None else await self._login(application, reference, url)

    async def submodule(self, application: Application, source: str, url: str) -> GitCredential | None:
        """That of a submodule, as its Secret is now. Raises SourceError where that is missing."""
        declared = application.spec.all_sources[source].submodule(url)
        if declared is None or declared.credentials is None:
            return None
        return await self._login(application, declared.credentials, url)

    async def chart(self, application: Application) -> GitCredential | None:
        """That of the chart's server, as its Secret is now. Raises SourceError where that is missing."""
        render = application.spec.render
        asked = render.helm.chart if render is not None and render.helm is not None else None
        if asked is None or asked.credentials is None:
            return None
        return await self._login(application, asked.credentials, asked.url)

    async def dependency(self, application: Application, url: str) -> GitCredential | None:
        """That of a server of dependencies, as its Secret is now. Raises SourceError where that is missing."""
        render = application.spec.render
        named = render.helm.dependencies if render is not None and render.helm is not None else ()
        reference = next((each.credentials for each in named if each.serves(url)), None)
        return None if reference is None else await self._login(application, reference, url)

    async def _login(self, application: Application, reference: SecretReference, url: str) -> GitCredential:
        name = f"Secret {application.id.namespace}/{reference.secret_name}"
        data = await self._secrets.read(application.id.namespace, reference.secret_name)
        if data is None:
            raise SourceError(
                "the Secret with the credentials of the source does not exist",
                hint="create it: docs/operations.md says which keys it has for Git, for SSH and for registries",
                object=name,
            )
        try:
            login = await self._workers.run(application.id.namespace, lambda: _of_secret(data, url))
        except SourceError as error:
            raise error.with_facts(object=name) from None
        return replace(login, secret=name)

    def invalidate(self, application: ApplicationId) -> None:
        """The credential did not serve: it may have been changed."""
        self._logins.pop(application.uid, None)

    async def prepare(self, application: Application, wrapped: Collection[WrappedDataKey], source: str = "") -> None:
        """Before files are opened: read the keys again, and open by one batch what only transit engines can open.

        What fails is asked for again, and reported, by `unwrap`.
        """
        wrapped = [data_key for data_key in wrapped if len(data_key.keys) <= self._limits.wrapped_keys]
        holder = self._holder(application, source)
        await self._drop_others(application, holder.id)
        async with self._locks.setdefault(holder.id.uid, asyncio.Lock()):
            ring = self._rings.get(holder.id.uid)
            opened = ring.opened if ring is not None and ring.generation == application.generation else {}
            waiting = [data_key for data_key in wrapped if not is_known(data_key, opened)]
            if ring is not None and waiting:
                ring.read_at = float("-inf")
            only = [data_key.keys for data_key in waiting if all(isinstance(key, TransitKey) for key in data_key.keys)]
            if len(only) < 2:
                return
            answers = await transit.unwrap(
                self._stores, application.id, {key for keys in only for key in keys if isinstance(key, TransitKey)}
            )
            with contextlib.suppress(AgentError):  # `unwrap` meets the same error, and names the file
                ring = await self._ring(holder)
                ring.opened.update({key: answer for key, answer in answers.items() if isinstance(answer, Secret)})

    async def unwrap(self, application: Application, wrapped: WrappedDataKey, file: str, source: str = "") -> Secret:
        """The data key of a file. Raises DataKeyError with a reason per key, LimitError, or what keeps a key from being asked."""
        self._check(wrapped, file)
        holder = self._holder(application, source)
        async with self._locks.setdefault(holder.id.uid, asyncio.Lock()):
            kept = self._rings.get(holder.id.uid)
            current = kept is not None and kept.generation == application.generation
            if kept is not None and current and is_known(wrapped, kept.opened):
                return unwrap_data_key(wrapped, ByKind({}), file=file, opened=kept.opened)
            ring = await self._ring(holder)
            try:
                return await self._open(application, ring, wrapped, file)
            except AgentError:
                again = await self._ring(holder, fresh=True)
                if again is ring:
                    raise
                return await self._open(application, again, wrapped, file)

    def _check(self, wrapped: WrappedDataKey, file: str) -> None:
        """Raises LimitError for more than is tried."""
        most = self._limits.wrapped_keys
        count = len(wrapped.keys)
        if count > most or len(wrapped.groups) > most:
            raise LimitError(
                "the file has more recipients than are tried",
                hint="limits.wrappedKeys in the operator's file is the limit",
                file=file,
                found=count,
                limit=most,
            )

    async def _open(self, application: Application, ring: _Ring, wrapped: WrappedDataKey, file: str) -> Secret:
        seconds = self._limits.key_seconds

        def work() -> Secret:
            until = time.monotonic() + seconds
            keys = TimedKeys(ring.keys, until)
            try:
                return unwrap_data_key(wrapped, keys, file=file, opened=ring.opened)
            except DataKeyError as error:
                if not keys.is_late():
                    raise _helped(error, ring) from None
            except AgentError:
                if not keys.is_late():
                    raise
            raise LimitError(
                "trying the file's keys takes too long",
                hint="encrypt it for fewer recipients; limits.keySeconds in the operator's file is the limit",
                file=file,
                seconds=seconds,
            )

        return await self._workers.run(application.id.namespace, work)

    def _holder(self, application: Application, source: str) -> _Holder:
        """Whose keys open the files of a source, or of a submodule: those of another repository are kept apart, with what they opened."""
        own, named = application.spec.source.address, application.spec.all_sources.get(source)
        address = named.address if named is not None else source
        if address == own:
            return _Holder(application, application.id, own)
        uid = hashlib.sha256(f"{application.id.uid} {address}".encode()).hexdigest()[:32]
        key = replace(application.id, uid=uid)
        self._further.setdefault(application.id.uid, set()).add(key)
        return _Holder(application, key, address)

    async def _ring(self, holder: _Holder, *, fresh: bool = False) -> _Ring:
        """The Application's keys, read again when they are a minute old, or may have changed."""
        application = holder.application
        ring = self._rings.get(holder.id.uid)
        current = ring is not None and ring.generation == application.generation
        if ring is not None and current and not fresh and time.monotonic() - ring.read_at < _READ_AGAIN_SECONDS:
            return ring
        secrets = await self._key_texts(application, holder.repository)
        if ring is not None and current and ring.secrets == secrets:
            ring.read_at = time.monotonic()
            return ring
        keys = await self._workers.run(application.id.namespace, lambda: self._build(holder, secrets))
        ring = self._rings[holder.id.uid] = _Ring(secrets, keys, application.generation, time.monotonic())
        return ring

    async def _key_texts(self, application: Application, repository: str) -> tuple[Secret, ...]:
        found: list[Secret] = []
        for reference in application.spec.decryption.keys:
            data = await self._secrets.read(application.id.namespace, reference.secret_name)
            if data is None:
                raise ConfigError(
                    "the Secret with decryption keys does not exist",
                    hint="create it, or remove it from spec.decryption.keys",
                    object=f"Secret {application.id.namespace}/{reference.secret_name}",
                )
            found.extend(data[name] for name in sorted(data))
            self._check_size(found, f"Secret {application.id.namespace}/{reference.secret_name}")
        for grant in self._settings.keys:
            if grant.serves(application.id.namespace, repository):
                found.extend(await asyncio.to_thread(key_credential.read_files, grant.path))
                self._check_size(found, grant.path)
        return tuple(found)

    def _check_size(self, found: Sequence[Secret], source: str) -> None:
        if sum(map(derive.size, found)) > self._limits.key_bytes:
            raise LimitError(
                "the private keys of the Application are larger than the agent accepts",
                hint="limits.keyBytes in the operator's file is the limit",
                source=source,
                limit=self._limits.key_bytes,
            )

    def _build(self, holder: _Holder, secrets: tuple[Secret, ...]) -> dict[str, MasterKeys]:
        pgp = [secret for secret in secrets if key_credential.is_pgp(secret)]
        age = AgeKeys(stanzas=self._limits.stanzas)
        left = self._limits.identities
        for secret in secrets:
            if not key_credential.is_pgp(secret):
                parsed = AgeKeys.parse(secret, source=secret.label, most=left)
                left = max(0, left - len(parsed.identities) - parsed.passed_over)
                age = age.merge(parsed)
        keys: dict[str, MasterKeys] = {"age": age, "hc_vault": TransitMasterKeys(self._stores, holder.application.id)}
        self._homes.drop(holder.id)
        if pgp:
            keys["pgp"] = self._homes.make(holder.id, pgp, most=left)
        return keys

    async def forget(self, application: ApplicationId) -> None:
        """Drop the keys, the opened data keys and the GnuPG home of an Application."""
        self.invalidate(application)
        for each in (application, *self._further.pop(application.uid, ())):
            await self._drop(each)

    async def _drop_others(self, application: Application, used: ApplicationId) -> None:
        """Drop what is kept for repositories that the Application names no longer. Those of submodules, which commits name, are kept for a while."""
        known = self._further.get(application.id.uid)
        if not known:
            return
        named = {self._holder(application, source).id for source in application.spec.all_sources} | {used}
        rings = {each: self._rings.get(each.uid) for each in known - named}
        kept = {key for key, ring in rings.items() if ring is not None and ring.generation == application.generation}
        for each in rings.keys() - kept if len(kept) <= _MOST_OF_SUBMODULES else rings:
            known.discard(each)
            await self._drop(each)

    async def _drop(self, key: ApplicationId) -> None:
        async with self._locks.setdefault(key.uid, asyncio.Lock()):
            if self._rings.pop(key.uid, None) is not None:
                await self._workers.run(key.namespace, lambda: self._homes.drop(key))

    async def close(self) -> None:
        """End every gpg-agent and remove the homes."""
        await asyncio.to_thread(self._homes.close)
        self._workers.close()


def _helped(error: DataKeyError, ring: _Ring) -> DataKeyError:
    """With what the Application has in place of the keys that are missing."""
    age = ring.keys["age"]
    known = age.recipients[:_SHOWN] if isinstance(age, AgeKeys) else ()
    error = error.with_hint(
        "encrypt the file for a key of the Application (agent updatekeys), or name a Secret with the key of a recipient in spec.decryption.keys"
    )
    return error.with_facts(available=", ".join(known)) if known else error


def _of_secret(data: Mapping[str, Secret], url: str) -> GitCredential:
    if url.startswith("oci://"):
        return registry_credential.of_secret(data, url.removeprefix("oci://").partition("/")[0])
    return git_credential.of_secret(data, url)
