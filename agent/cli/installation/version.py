"""`agent version`."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from agent.adapters.render import location
from agent.api import names
from agent.cli import terminal
from agent.sops.format.metadata import VERSION
from agent.values import system
from agent.values.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

_SECONDS: Final = 10
_COMMIT: Final = "revision"
"""The file of the package that the build of the image writes."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the version of the agent and the commit that its image was built from, of the programs that it runs, of the sops whose file "
        "format it writes, and of the kustomize that its signet-render builds overlays with. Two agents with the same engine and record "
        "version can replace each other without applying anything again."
    )
    terminal.output_option(parser)


def run(args: argparse.Namespace) -> int:
    facts = _facts()
    said, missing = None, None
    try:
        said = _renderer(location.program())
    except ConfigError as error:
        missing = error
    if args.output != "table":
        terminal.write_data({**facts, "renderer": said}, args.output)
        return 0
    built = f", commit {facts['commit'][:12]}" if facts["commit"] else ""
    terminal.line(f"signet {facts['version']}{built} (writes files as sops {VERSION}, Python {facts['python']})")
    terminal.line(f"engine {facts['engine']}, records {facts['record']}")
    for name in ("git", "gpg"):
        terminal.line(f"{name} {facts[name]}" if facts[name] else f"no {name}")
    if said is not None:
        terminal.line(f"signet-render {said['build']} (kustomize {said['kustomize']})")
    if missing is not None:
        terminal.line(f"no signet-render: {missing.message}, so overlays are not rendered")
        terminal.hint(missing.hint)
    return 0


def _facts() -> dict[str, Any]:
    from importlib import resources

    commit = resources.files("agent") / _COMMIT
    return {
        "version": metadata.version("signet"),
        "commit": commit.read_text("ascii").strip() if commit.is_file() else None,
        "python": platform.python_version(),
        "git": _program("git"),
        "gpg": _program("gpg"),
        "sops": VERSION,
        "engine": names.ENGINE,
        "record": names.RECORDS,
    }


def _program(name: str) -> str | None:
    """The version that a program says, by the first line of `--version`; None where it does not run."""
    import re
    import shutil
    import subprocess

    found = shutil.which(name)
    if found is None:
        return None
    try:
        done = subprocess.run([found, "--version"], capture_output=True, check=True, timeout=_SECONDS)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    first = done.stdout.partition(b"\n")[0].decode("ascii", "replace")
    version = re.search(r"\d[\w.+-]{0,40}", first)
    return version[0] if version else None


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
