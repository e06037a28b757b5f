"""`agent version`."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Final

from agent.adapters.render import location
from agent.cli import terminal
from agent.sops.format.metadata import VERSION
from agent.values import system
from agent.values.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

_SECONDS: Final = 10


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the version of the agent, of the sops whose file format it writes, and of the kustomize that its signet-render builds "
        "overlays with."
    )
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    facts = {"version": metadata.version("signet"), "sops": VERSION, "python": platform.python_version()}
    said, missing = None, None
    try:
        said = _renderer(location.program())
    except ConfigError as error:
        missing = error
    if args.output != "table":
        terminal.write_data({**facts, "renderer": said}, args.output)
        return 0
    terminal.line(f"signet {facts['version']} (writes files as sops {VERSION}, Python {facts['python']})")
    if said is not None:
        terminal.line(f"signet-render {said['build']} (kustomize {said['kustomize']})")
    if missing is not None:
        terminal.line(f"no signet-render: {missing.message}, so overlays are not rendered")
        terminal.hint(missing.hint)
    return 0


def _renderer(program: Path) -> dict[str, str]:
    """What signet-render says that it is. Raises ConfigError where it does not run."""
    import json
    import subprocess

    try:
        done = subprocess.run([program, "-version"], env={}, capture_output=True, check=True, timeout=_SECONDS)  # noqa: S603
        said = json.loads(done.stdout)
        return {"kustomize": str(said["kustomize"]), "build": str(said["build"])}
    except OSError as error:
        raise ConfigError("signet-render does not run", file=str(program), cause=system.cause(error)) from None
    except (subprocess.SubprocessError, ValueError, KeyError, TypeError):
        raise ConfigError(
            "the program is not the signet-render of this version", hint="install it again", file=str(program)
        ) from None
