"""The private keys of a sealed-secrets controller that the operator gave the agent, and what they open."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from agent.values.errors import AgentError, ConfigError
from agent.values.ids import ObjectId
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agent.adapters.keys.sealed_secrets import SealingKeys
    from agent.adapters.kubernetes.secrets import Secrets
    from agent.daemon.key_work import Workers
    from agent.manifests.sealed_secrets import SealedValue
    from agent.values.ids import ApplicationId

_READ_AGAIN_SECONDS = 60.0
_AT_A_TIME = 50


class SealingKeyRing:
    """SealingKeyPort. `names` are Secrets of the agent's `namespace`; they are read when a value has to be opened, and kept a minute."""

    def __init__(self, secrets: Secrets, namespace: str, names: Sequence[str], workers: Workers) -> None:
        self._secrets = secrets
        self._namespace = namespace
        self._names = names
        self._workers = workers
        self._keys: SealingKeys | None = None
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def unseal(
        self, application: ApplicationId, values: Collection[SealedValue]
    ) -> Mapping[str, Secret | AgentError]:
        """As `SealingKeyPort.unseal`. Where a value does not open, the keys are read again: there may be a new one."""
        try:
            keys, fresh = await self._read()
            answers = await self._open(application, keys, values)
            refused = [value for value in values if isinstance(answers.get(value.leaf.id), AgentError)]
            if refused and not fresh:
                self._read_at = float("-inf")
                again, _ = await self._read()
                if again != keys:
                    answers = await self._open(application, again, values)
        except AgentError as error:
            return {value.leaf.id: error for value in values}
        return answers

    async def _open(
        self, application: ApplicationId, keys: SealingKeys, values: Collection[SealedValue]
    ) -> dict[str, Secret | AgentError]:
        """A turn of the Application's namespace for some values at a time: each that does not open costs milliseconds for every key."""
        waiting, answers, refused = list(values), dict[str, Secret | AgentError](), set[ObjectId]()
        for at in range(0, len(waiting), _AT_A_TIME):
            some = waiting[at : at + _AT_A_TIME]
            await self._workers.run(
                application.namespace, lambda some=some: _open(keys, some, answers=answers, refused=refused)
            )
        return answers

    async def _read(self) -> tuple[SealingKeys, bool]:
        """The keys, and whether they were read just now. Raises ConfigError, or what keeps the cluster from being asked."""
        async with self._lock:
            if self._keys is not None and time.monotonic() - self._read_at < _READ_AGAIN_SECONDS:
                return self._keys, False
            # It loads ciphers, and few clusters have sealed Secrets.
            from agent.adapters.keys.sealed_secrets import SealingKeys  # noqa: PLC0415

            found: list[SealingKeys] = []
            for name in self._names:
                source = f"Secret {self._namespace}/{name}"
                data = await self._secrets.read(self._namespace, name)
                if data is None:
                    raise ConfigError(
                        "the Secret with a sealing key does not exist",
                        hint="create it in the agent's namespace, or remove it from sealedSecrets.keys",
                        object=source,
                    )
                found.append(SealingKeys.of_data(data, source=source))
            self._keys = SealingKeys().merge(*found)
            self._read_at = time.monotonic()
            return self._keys, True


def _open(
    keys: SealingKeys,
    values: Collection[SealedValue],
    *,
    answers: dict[str, Secret | AgentError],
    refused: set[ObjectId],
) -> None:
    """Of an object that is held anyway nothing more is tried."""
    for value in values:
        if value.secret in refused:
            continue
        try:
            answers[value.leaf.id] = keys.unseal(value).secret
        except AgentError as error:
            refused.add(value.secret)
            answers[value.leaf.id] = error
