"""`agent`: finds the command, runs it, and turns errors into exit codes.

What is printed of an error is its literal message and its facts; of anything unforeseen, its type and place, since the text of an
exception may quote what it failed on.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import sys
from typing import TYPE_CHECKING, cast

from agent.cli import terminal
from agent.cli.errors import NotSupportedError
from agent.cli.flags import Parser
from agent.cli.registry import COMMANDS, GROUPS, SECRETS
from agent.values.errors import AgentError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Protocol

    class _CommandModule(Protocol):
        def configure(self, parser: argparse.ArgumentParser) -> None: ...
        def run(self, args: argparse.Namespace) -> int: ...


_INTRODUCTION = """\
Signet: a GitOps agent for Kubernetes whose secrets stay sealed until the API
call.

usage: agent COMMAND [ARGUMENT…]
"""
_FIRST_STEPS = """\
First steps:
  agent keygen -o key.txt                         make a key; it prints whom to encrypt for
  agent encrypt -i --age age1… secret.yaml        encrypt a file, and commit it
  SOPS_AGE_KEY_FILE=key.txt agent edit secret.yaml

`agent COMMAND --help` shows a command's flags and examples.
"""


_NOT_SUPPORTED = {
    "publish": "decrypt the file and write it to its store",
    "keyservice": "forward the agent of gpg or the socket of Vault",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    terminal.open_streams()
    try:
        code = _dispatch(*arguments)
    except BaseException as error:  # noqa: BLE001  # each is answered by its exit code
        return _answer(error)
    if argv is None and arguments[:1] != ["run"]:
        # All is written. What is left goes with the process: to take it down piece by piece takes as long as a small file.
        os._exit(code)
    return code


def _dispatch(name: str = "", *arguments: str) -> int:
    if name in {"-h", "--help", "help", ""}:
        terminal.write_text(_help())
        return 0 if name else 2
    name = "version" if name in {"--version", "-v"} else name
    if name in COMMANDS:
        return _run(name, arguments)
    if name in _NOT_SUPPORTED:
        raise NotSupportedError(
            "sops has this command, and the agent does not", command=name, instead=_NOT_SUPPORTED[name]
        )
    from agent.cli import old_forms

    if not name.startswith("-") and not old_forms.looks_like_a_file(name):
        from agent.cli import nearest

        near = nearest.suggestion(name, COMMANDS)
        terminal.usage_error("agent", f"there is no command {name!r}; agent --help lists them", near)
        return 1
    call = old_forms.read((name, *arguments), COMMANDS)
    if call is None:
        from agent.cli import nearest

        near = nearest.suggestion(name.lstrip("-"), {*COMMANDS, *old_forms.FLAGS})
        terminal.usage_error("agent", f"there is no flag {name!r}; agent --help lists the commands", near)
        return 1
    return _run(call.command, call.rest, call.flags)


def _answer(error: BaseException) -> int:
    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else 1
        case AgentError():
            # Only here, since few commands fail.
            from agent.cli import exit_codes

            terminal.error(error)
            return exit_codes.of(error)
        case KeyboardInterrupt():
            return 130
        case BrokenPipeError():
            # The reader of our output has read enough; the interpreter must not fail on it again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        case _:
            kind = type(error).__name__
            if isinstance(error, OSError):
                from agent.values import system

                kind += f", {system.cause(error)}"
            terminal.unforeseen(kind, _places(error.__traceback__))
            return 1


def _run(name: str, arguments: Sequence[str], flags: Sequence[tuple[str, str]] = ()) -> int:
    """`flags` are those that stood before the name; what the command does not know of them it does without."""
    # A core dump would be plaintext on the disk; an editor inherits this.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    command = COMMANDS[name]
    if name in SECRETS:
        # A large file is many objects that all live to the end, more than a million for 200,000 values: looking for cycles among them takes
        # a sixth of the time.
        gc.set_threshold(2_000_000, 50, 50)
    module = cast("_CommandModule", importlib.import_module(command.module))
    gc.enable()
    parser = Parser(f"agent {name}", command.usage_exit)
    module.configure(parser)
    if name in SECRETS:
        parser.accept_sops_flags()
        known = [f"--{flag}={value}" for flag, value in flags if parser.knows(f"--{flag}")]
        code = module.run(parser.read([*known, *arguments]))
    else:
        code = module.run(parser.parse_args(arguments))
    terminal.flush()
    return code


def _help() -> str:
    lines = [_INTRODUCTION]
    for title, commands in GROUPS:
        lines += [f"{title}:", *(f"  {name:<12} {command.help}" for name, command in commands.items()), ""]
    text = "\n".join([*lines, _FIRST_STEPS])
    columns = terminal.columns()
    if all(len(line) <= columns for line in text.splitlines()):
        return text
    from agent.cli import manual

    return manual.fitted(text, columns) + "\n"


def _places(traceback: TracebackType | None) -> list[str]:
    places: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return places


if __name__ == "__main__":
    sys.exit(main())
