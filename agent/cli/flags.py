"""The flags of a command as argparse reads them, and as sops' users write them.

sops' parser is Go's: `-in-place` is `--in-place`, a boolean takes `=false`, and what follows a flag is its value whatever it begins
with. Unlike there, flags may also stand behind the file's name.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from agent.cli import terminal
from agent.cli.english import argparse
from agent.values.errors import DataKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_T = TypeVar("_T")
_HIDDEN = "\0"
"""No argument of a process has it."""
_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}


class Parser(argparse.ArgumentParser):
    """Of one command; flags that do not parse end the process with `usage_exit`."""

    def __init__(self, prog: str, usage_exit: int) -> None:
        super().__init__(prog, allow_abbrev=False, formatter_class=_formatter)
        self._usage_exit = usage_exit
        # No flag begins with a number, and a value to set may be one in any spelling.
        self._negative_number_matcher = re.compile(r"-[0-9.]")

    def format_usage(self) -> str:
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        return super().format_usage()

    def format_help(self) -> str:
        from agent.cli import manual

        return manual.of(self, terminal.columns())

    def error(self, message: str) -> NoReturn:
        terminal.usage_error(self.prog, message, self._suggestion(message))
        raise SystemExit(self._usage_exit)

    def _suggestion(self, message: str) -> str:
        """For the first word that argparse says it does not know."""
        from agent.cli import nearest

        if flag := re.match(r"unrecognized arguments: (-[^\s=]+)", message):
            shown = [name for name, action in self._option_string_actions.items() if action.help != argparse.SUPPRESS]
            return nearest.suggestion(f"--{flag[1].lstrip('-')}", shown)
        if choice := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            return nearest.suggestion(choice[1], choice[2].replace("'", "").split(", "))
        return ""

    def knows(self, flag: str) -> bool:
        return flag in self._option_string_actions

    def accept_sops_flags(self) -> None:
        """What sops takes with every command and has no meaning here, and the configuration for commands that name none."""
        for flag in ("--verbose", "--disable-version-check", "--check-for-updates", "--enable-local-keyservice"):
            if not self.knows(flag):
                self.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
        for flag in ("--keyservice", "--config"):
            if not self.knows(flag):
                self.add_argument(flag, help=argparse.SUPPRESS)

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Flags in Go's spellings, before and behind other arguments. Raises DataKeyError where no key may be used."""
        spelt_out = list(self._spelt_out(arguments))
        if self.usage is None and not {"-h", "--help"} & set(spelt_out):
            # Else it is made of all flags, for messages that are not shown here, which takes longer than most commands.
            self.usage = self.prog
        args = self.parse_intermixed_args(spelt_out)
        if "--" in arguments:
            for name, value in vars(args).items():
                setattr(args, name, _shown(value))
        if args.keyservice:
            terminal.warn("key services are not supported: the keys of this machine are used")
        return args

    def _spelt_out(self, arguments: Sequence[str]) -> Iterator[str]:
        rest = iter(arguments)
        for argument in rest:
            if argument == "--":
                # argparse forgets between its two turns what stood behind, so a dash there is hidden from it.
                yield from (_HIDDEN + each if each.startswith("-") else each for each in rest)
                return
            name, equals, value = argument.partition("=")
            flag = self._flag(name)
            if flag is None:
                yield argument
            elif self._option_string_actions[flag].nargs != 0:
                following = value if equals else next(rest, None)
                yield flag if following is None else f"{flag}={following}"
            elif not equals or value in _TRUE:
                yield flag
            elif value not in _FALSE:
                self.error(f"{flag} is true or false")
            elif flag == "--enable-local-keyservice":
                raise DataKeyError("the keys of this machine are turned off", hint="key services are not supported")

    def _flag(self, name: str) -> str | None:
        """The flag that is meant by one or two dashes and a name."""
        bare = name[2:] if name.startswith("--") else name[1:]
        if name[:1] != "-" or not bare or bare[0] == "-":
            return None
        flag = f"-{bare}" if len(bare) == 1 else f"--{bare}"
        return flag if self.knows(flag) else None


def typed(kind: type[_T], args: argparse.Namespace, prefix: str = "") -> _T:
    """The flags that `kind` has fields for, by their names. A field for which the command has no flag takes its default.

    With a prefix, as `add_`, those whose names begin with it come first.
    """
    make = cast("Callable[..., _T]", kind)
    names = cast("Sequence[str]", cast("Any", kind).__match_args__)
    given = vars(args)
    given = given | {name: given[prefix + name] for name in names if prefix + name in given}
    return make(**{name: given[name] for name in names if name in given})


def _shown(value: object) -> object:
    if isinstance(value, list):
        return [_shown(each) for each in cast("list[object]", value)]
    return value.removeprefix(_HIDDEN) if isinstance(value, str) else value


@cache
def _formatter(prog: str) -> argparse.HelpFormatter:
    """What argparse tries each flag's text with, one for all flags. Without a width it would look for the terminal's, and load `shutil` for that."""
    return argparse.RawDescriptionHelpFormatter(prog, width=80)
