"""`agent`: finds the command, runs it, and turns errors into exit codes.

What is printed of an error is its literal message and its facts; of anything unforeseen, its type and place, since the text of an
exception may quote what it failed on.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import sys
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from agent.cli import terminal
from agent.cli.registry import COMMANDS, GROUPS
from agent.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_INTRODUCTION = """\
usage: agent COMMAND [ARGUMENT…]

Signet: a GitOps agent for Kubernetes whose secrets stay sealed until the API call.
"""
_FIRST_STEPS = """\
First steps:
  agent keygen -o key.txt                         make a key; it prints whom to encrypt for
  agent encrypt -i --age age1… secret.yaml        encrypt a file, and commit it
  SOPS_AGE_KEY_FILE=key.txt agent edit secret.yaml

`agent COMMAND --help` shows a command's flags and examples.
"""


class _CommandModule(Protocol):
    def configure(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace) -> int: ...


class _Parser(argparse.ArgumentParser):
    def __init__(self, prog: str, usage_exit: int) -> None:
        super().__init__(prog, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
        self._usage_exit = usage_exit

    def error(self, message: str) -> NoReturn:
        terminal.usage_error(self.prog, message)
        raise SystemExit(self._usage_exit)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(*arguments)
    except BaseException as error:  # noqa: BLE001  # each is answered by its exit code
        return _answer(error)


def _dispatch(name: str = "", *arguments: str) -> int:
    if name in {"-h", "--help", "help", ""}:
        terminal.write_text(_help())
        return 0 if name else 2
    name = "version" if name == "--version" else name
    if name not in COMMANDS:
        terminal.usage_error("agent", f"there is no command {name!r}; agent --help lists them")
        return 1
    return _run(name, arguments)


def _answer(error: BaseException) -> int:
    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else 1
        case AgentError():
            terminal.error(error)
            return error.exit_code
        case KeyboardInterrupt():
            return 130
        case BrokenPipeError():
            # Whoever read our output has read enough; the interpreter must not fail on it again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        case _:
            terminal.unforeseen(type(error).__name__, _places(error.__traceback__))
            return 1


def _run(name: str, arguments: Sequence[str]) -> int:
    # A core dump would be plaintext on the disk; an editor inherits this.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    command = COMMANDS[name]
    module = cast("_CommandModule", importlib.import_module(command.module))
    parser = _Parser(f"agent {name}", command.usage_exit)
    module.configure(parser)
    code = module.run(parser.parse_args(arguments))
    terminal.flush()
    return code


def _help() -> str:
    lines = [_INTRODUCTION]
    for title, commands in GROUPS:
        lines += [f"{title}:", *(f"  {name:<9} {command.help}" for name, command in commands.items()), ""]
    return "\n".join([*lines, _FIRST_STEPS])


def _places(traceback: TracebackType | None) -> list[str]:
    places: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return places


if __name__ == "__main__":
    sys.exit(main())
