"""What `--help` shows: the purpose, then the usage, the flags and examples, within the width of the terminal."""

from __future__ import annotations

import re
import textwrap
from itertools import groupby
from typing import TYPE_CHECKING, Final

from agent.cli.english import argparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COLUMNS: Final = re.compile(r"(?P<command> +\S.*?)(?: {2,}(?P<comment>\S.*))?")
_REMARK: Final = " " * 20
"""A line of an example that begins further in than any command has only a comment, that of the line before."""


def of(parser: argparse.ArgumentParser, columns: int) -> str:
    formatter = argparse.RawDescriptionHelpFormatter(parser.prog, width=columns)
    formatter.add_text(fitted(parser.description or "", columns))
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for group in parser._action_groups:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        formatter.start_section(group.title)
        formatter.add_text(fitted(group.description, columns - 2) if group.description else None)
        formatter.add_arguments(group._group_actions)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        formatter.end_section()
    formatter.add_text(fitted(parser.epilog or "", columns))
    return formatter.format_help()


def fitted(text: str, columns: int) -> str:
    """Paragraphs refilled, and examples with their comments below them where they have no room beside. Commands stay in one piece."""
    parts: list[str] = []
    for indented, lines in groupby(text.splitlines(), lambda line: line[:1].isspace() if line else None):
        if indented is None:
            parts += lines
        elif indented:
            parts += _examples(list(lines), columns)
        else:
            parts += textwrap.wrap(" ".join(lines), columns, break_long_words=False, break_on_hyphens=False)
    return "\n".join(parts)


def _examples(lines: Sequence[str], columns: int) -> Iterator[str]:
    if all(len(line) <= columns for line in lines):
        yield from lines
        return
    pairs: list[tuple[str, str]] = []
    for line in lines:
        match = _COLUMNS.fullmatch(line)
        if line.startswith(_REMARK) and pairs:
            command, comment = pairs[-1]
            pairs[-1] = command, f"{comment} {line.strip()}".strip()
        elif match is not None:
            pairs.append((match["command"], match["comment"] or ""))
    beside = max((len(command) for command, comment in pairs if comment), default=0)
    for command, comment in pairs:
        if comment and all(beside + 2 + len(each) <= columns for _, each in pairs):
            yield f"{command:<{beside}}  {comment}"
        else:
            yield command
            yield from textwrap.wrap(comment, columns, initial_indent=" " * 6, subsequent_indent=" " * 6)
