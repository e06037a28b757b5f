"""The user's editor on a file in memory."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess  # the user's own editor
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.files import content, memory
from agent.values import system
from agent.values.errors import AgentError, EditorError, UnchangedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import LiteralString


def _ignore(number: int, frame: object) -> None:
    del number, frame


def run(path: Path) -> None:
    """Open the editor and wait. Raises EditorError."""
    command = _command()
    # Ctrl-C belongs to the editor while it runs; a handler, unlike "ignore", is not inherited by it.
    before = signal.signal(signal.SIGINT, _ignore)
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode  # noqa: S603
    except OSError as error:
        raise EditorError(
            "the editor does not start",
            hint="see SOPS_EDITOR and EDITOR",
            editor=command[0],
            cause=system.cause(error),
        ) from None
    finally:
        signal.signal(signal.SIGINT, before)
    if code != 0:
        raise EditorError("the editor failed, and nothing was written", editor=command[0], exit=code)


def _command() -> list[str]:
    for variable in ("SOPS_EDITOR", "EDITOR"):
        if text := os.environ.get(variable):
            try:
                words = shlex.split(text)
            except ValueError:
                words = []
            if not words:
                raise EditorError("not a command", variable=variable)
            return words
    for name in ("vim", "nano", "vi"):
        if found := shutil.which(name):
            return [found]
    raise EditorError("there is no editor", hint="set EDITOR")


def edited(
    file: str, shown: bytes, seal: Callable[[bytes], bytes], *, unchanged: LiteralString, allow_disk: bool
) -> bytes:
    """What `seal` makes of the text that the user leaves behind, in memory; what it refuses the user may correct.

    Raises EditorError, and UnchangedError that says `unchanged`.
    """
    with memory.folder(allow_disk=allow_disk) as folder:
        path = folder / Path(file).name
        content.create_private(str(path), shown)
        while True:
            run(path)
            after = content.read(str(path))
            if after == shown:
                raise UnchangedError(unchanged, file=file)
            try:
                return seal(after)
            except AgentError as error:
                terminal.error(error)
                if not _again():
                    raise EditorError("the edit was given up, and nothing written", file=file) from None


def _again() -> bool:
    """Whether the user wants to correct the text."""
    terminal.note("Press Enter to return to the editor, or Ctrl-C to give up.")
    return bool(content.read_answer())
