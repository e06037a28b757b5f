"""What one process of the agent is started with. Everything else is the operator's file or an Application."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.api import operator
from agent.values import system
from agent.values.errors import AgentError, ConfigError
from agent.yaml.read import manifests

if TYPE_CHECKING:
    from pathlib import Path

    from agent.api.operator import OperatorSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says.

    `identity` is unique among running agents (the Pod's name); `memory` a folder on memory-backed storage for keys; `mirrors` one for
    Git mirrors and `artifacts` one for those of registries; `namespace` empty for the Pod's own. `host` and `port` serve probes and metrics,
    `hook_host` and `hook_port` webhooks. `renderer` None is the signet-render beside the package.
    """

    identity: str
    namespace: str
    operator_file: Path | None
    mirrors: Path
    artifacts: Path
    memory: Path
    host: str
    port: int
    hook_host: str
    hook_port: int
    kubeconfig: Path | None
    context: str | None
    renderer: Path | None


@dataclass(frozen=True, slots=True)
class OperatorFile:
    """The operator's settings, and a digest of the file's bytes; empty where no file is named."""

    settings: OperatorSettings
    digest: str = ""


def read_operator_file(path: Path | None) -> OperatorFile:
    """The defaults, which reach nothing, where no file is named. Raises ConfigError."""
    if path is None:
        return OperatorFile(operator.parse(None))
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            "the operator's file does not exist",
            hint="create it, or the Secret that is mounted there; without --operator-file the agent runs but can reach nothing",
            file=str(path),
        ) from None
    except OSError as error:
        raise ConfigError("the operator's file cannot be read", file=str(path), cause=system.cause(error)) from None
    try:
        documents = manifests.parse(data, file=str(path))
    except AgentError as error:
        raise ConfigError("the operator's file is not YAML", file=str(path), cause=error.message) from None
    if len(documents) > 1:
        raise ConfigError("the operator's file holds more than one document", file=str(path))
    settings = operator.parse(documents[0].tree if documents else None, file=str(path))
    return OperatorFile(settings, hashlib.sha256(data).hexdigest()[:12])
