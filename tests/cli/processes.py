"""The agent as a process of its own, which a test may send signals and whose children write to its own output."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

AGENT = (sys.executable, "-m", "agent.cli.main")


def start(*arguments: str, folder: Path | None = None) -> subprocess.Popen[bytes]:
    """The agent, in a process group of its own as in a script's background."""
    return subprocess.Popen(
        [*AGENT, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def run(*arguments: str, stdin: bytes = b"", folder: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*AGENT, *arguments], cwd=folder, input=stdin, capture_output=True, check=False, timeout=60)
