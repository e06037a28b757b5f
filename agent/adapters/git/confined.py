"""GitPython's command with no environment and no configuration but ours.

GitPython starts every process with a copy of this process's environment, so `Confined` starts them through `env -i`.
"""

from __future__ import annotations

import math
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

import git

from agent.adapters.bounds import children
from agent.values.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CONFIGURATION: Final = {
    # What lets every repository be read within a small address space: large blobs are streamed, packs are mapped by pieces.
    "core.bigFileThreshold": "1m",
    "core.deltaBaseCacheLimit": "8m",
    "core.packedGitLimit": "16m",
    "core.packedGitWindowSize": "1m",
    "pack.deltaCacheSize": "8m",
    "pack.threads": "1",
    "pack.windowMemory": "16m",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.askPass": "",
    "core.alternateRefsCommand": "",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",
    "fetch.uriProtocols": "",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "http.followRedirects": "false",
    "http.proxy": "",
    "http.sslVerify": "true",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    "protocol.file.allow": "never",
    "protocol.version": "2",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
}


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_ASKPASS": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        **children.ENVIRONMENT,
    }


def settings(configuration: dict[str, str]) -> list[str]:
    """`-c name=value` for each."""
    return [part for name, value in configuration.items() for part in ("-c", f"{name}={value}")]


class Confined(git.Git):
    """GitPython's command, without anything of this machine's environment and configuration.

    Each process of it has at most `address_space` bytes and `cpu_seconds` of a processor. `variables` and `configuration` hold for
    this instance's commands, and may be added to.
    """

    __slots__ = ("address_space", "configuration", "cpu_seconds", "variables")

    def __init__(self, working_dir: str | Path, *, address_space: int, cpu_seconds: float) -> None:
        super().__init__(working_dir)
        self.address_space: int = address_space
        self.cpu_seconds: int = math.ceil(cpu_seconds)
        self.variables: dict[str, str] = _environment()
        self.configuration: dict[str, str] = dict(_CONFIGURATION)

    def execute(self, command: str | Sequence[Any], *args: Any, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As git.Git's, behind `env -i` and its limits, in a session of its own."""
        assert not isinstance(command, str)
        program = shutil.which(str(command[0]))
        env = shutil.which("env")
        if program is None or env is None:
            raise ConfigError("git is not installed", hint="install git 2.32 or newer")
        assignments = [f"{name}={value}" for name, value in self.variables.items()]
        confined = [env, "-i", *assignments, program, *settings(self.configuration), *map(str, command[1:])]
        bounded = children.bounded(confined, address_space=self.address_space, cpu_seconds=self.cpu_seconds)
        return super().execute(  # pyright: ignore[reportUnknownVariableType]
            bounded, *args, start_new_session=True, **kwargs
        )
