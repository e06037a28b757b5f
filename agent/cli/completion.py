"""`agent completion`: what a shell completes commands, flags and their values by. shtab makes it of the parsers; no completion runs the agent."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from agent.cli import terminal
from agent.cli.flags import Parser
from agent.cli.registry import COMMANDS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_DESCRIPTION: Final = """\
Print a script by which bash, zsh or fish completes commands, flags, their values and file names. Make it again after an upgrade.
"""
_EXAMPLES: Final = """\
examples:
  agent completion bash > ~/.local/share/bash-completion/completions/agent
  agent completion zsh > "${fpath[1]}/_agent"
  agent completion fish > ~/.config/fish/completions/agent.fish
  source <(agent completion bash)                       in this shell alone
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="for which shell")


def run(args: argparse.Namespace) -> int:
    import shtab

    parser = _whole()
    for action in _actions(parser):
        if action.choices is None and action.nargs != 0 and (files := _files(action)):
            action.complete = shtab.DIRECTORY if files == "FOLDER" else shtab.FILE  # pyright: ignore[reportAttributeAccessIssue]
    terminal.write_text(shtab.complete(parser, args.shell) + "\n")
    return 0


def _whole() -> Parser:
    """The parser of all commands, which none of them needs when it runs."""
    parser = Parser("agent", 2)
    commands = parser.add_subparsers(dest="command")
    for name, command in COMMANDS.items():
        of_command = commands.add_parser(name, usage_exit=command.usage_exit, help=command.help)
        importlib.import_module(command.module).configure(of_command)
    return parser


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        yield action
        if action.nargs == "A..." and isinstance(action.choices, dict):
            for each in cast("dict[str, argparse.ArgumentParser]", action.choices).values():
                yield from _actions(each)


def _files(action: argparse.Action) -> str:
    """`FOLDER` or `FILE` where an argument names one."""
    shown = str(action.metavar or action.dest).upper()
    if "FILE" in shown or "PATH" in shown:
        return "FILE"
    return "FOLDER" if "FOLDER" in shown or "DIR" in shown else "FILE" if action.type is Path else ""
