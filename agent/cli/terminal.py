"""The one module that prints. Results go to stdout, everything about them to stderr.

Text that may come from outside has its control characters escaped here, so that no file name or author can move the cursor.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.cli.errors import WriteError
from agent.values.text import escape, masked, steady

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from agent.cli.tables import Colour
    from agent.values.errors import AgentError
    from agent.values.tree import Object

_Stream: TypeAlias = Literal["stdin", "stdout", "stderr"]
_COLOURS: Final = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}
"""Parameters of SGR (ECMA-48)."""
_USUAL_COLUMNS: Final = 80
FORMS: Final = ("table", "json", "yaml")
"""What `-o` takes: a table for people, the others for programs."""


def is_tty(stream: _Stream = "stdout") -> bool:
    """Whether a person is at the other end."""
    return getattr(sys, stream).isatty()


def _moves(stream: _Stream) -> bool:
    """Whether it is a terminal that knows escape sequences."""
    return is_tty(stream) and os.environ.get("TERM", "") not in {"", "dumb"}


def _has_colours(stream: _Stream) -> bool:
    """See https://no-color.org."""
    return _moves(stream) and not os.environ.get("NO_COLOR")


def columns(stream: _Stream = "stdout") -> int:
    """The width of the terminal: COLUMNS, else what it says itself. `shutil` has the same, and takes milliseconds to load."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(getattr(sys, stream).fileno()).columns or _USUAL_COLUMNS
    except (OSError, ValueError):
        return _USUAL_COLUMNS


def paint(text: str, colour: Colour) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if text else ""


def output_option(parser: argparse.ArgumentParser) -> None:
    """Sets `args.output` to one of FORMS."""
    parser.add_argument(
        "-o", "--output", choices=FORMS, default="table", help="a table for people, JSON or YAML for programs"
    )


def open_streams() -> None:
    """Of a process that was started without some of its three streams: nothing is read, and what is written goes nowhere.

    Else the next file that is opened would be taken for them, by us and by every program that we start.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _discard(number)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, errors="surrogateescape", closefd=False))


def _discard(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null == number:
        os.set_inheritable(null, True)
    else:
        os.dup2(null, number)
        os.close(null)


def write_bytes(data: bytes) -> None:
    """A result as it is, and on a terminal without what would move its cursor or turn the direction of its text.

    Raises WriteError, and BrokenPipeError where the reader has read enough.
    """
    _write(_steady(data) if is_tty() else data)


def _write(data: bytes) -> None:
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError:
        # What is left in the buffers must not fail again at exit.
        _discard(sys.stdout.fileno())
        raise WriteError("standard output cannot be written", hint="is there room where it goes?").in_case(
            "general"
        ) from None


def _steady(data: bytes) -> bytes:
    return steady(data.decode("utf-8", "surrogateescape")).encode("utf-8", "backslashreplace")


def write_text(text: str) -> None:
    """A result of several lines that this program made; a final newline is not added."""
    write_bytes(text.encode("utf-8", "surrogateescape"))


def write_manifests(manifests: Iterable[Object]) -> None:
    """Documents of one YAML file."""
    from agent.yaml.write import render

    write_text(render.manifests(manifests))


def write_data(value: object, form: str) -> None:
    """A result for programs, as a document of JSON or YAML."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=True) + "\n"
    if form == "yaml":
        from agent.yaml.write import render

        text = render.manifest(json.loads(text))
    write_text(text)


def begin_again(form: str) -> None:
    """Between two answers of one command: a terminal forgets the last one, and in a pipe they stand apart."""
    if _moves("stdout"):
        _write(b"\x1b[H\x1b[2J")
    elif form != "json":
        write_text("---\n" if form == "yaml" else "\n")


def line(text: str) -> None:
    """One line of result, escaped."""
    write_text(escape(text) + "\n")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns under headers; cells are escaped. On a terminal what is too wide is shortened, elsewhere nothing is. No rows: nothing is printed."""
    cells = [[escape(masked(str(cell))) for cell in row] for row in rows]
    if not cells:
        return
    # Only here, since most commands print none.
    from agent.cli.tables import Table

    made = Table(headers, cells, paint if _has_colours("stdout") else None)
    for text in made.lines(columns() if is_tty() else None):
        _write(f"{text}\n".encode())


def cut(text: str, longest: int) -> str:
    """`text`, at most `longest` characters of it."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def note(message: str, *, lead: str = "", colour: Colour = "bold") -> None:
    """Something worth knowing that is no result. `lead` is what it begins with, in a colour where there are any."""
    status("")
    _write_error(f"{paint(lead, colour) if _has_colours('stderr') else lead}{escape(message)}\n")


def warn(message: str) -> None:
    note(message, lead="agent: warning: ", colour="yellow")


def hint(message: str) -> None:
    note(message, lead="hint: ")


def confirmed(question: str) -> bool:
    """Whether a person at the terminal says yes; no where there is none."""
    if not is_tty("stdin"):
        return False
    _write_error(f"{escape(question)} [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def progress(message: str) -> None:
    """What is being done, for a person who waits."""
    if is_tty("stderr"):
        note(message)


def status(message: str) -> None:
    """What is being done, on one line that the next one takes the place of; empty text clears it. For a person who waits."""
    if _moves("stderr"):
        _write_error("\r\x1b[K" + cut(escape(message), columns("stderr") - 1))


def _write_error(text: str) -> None:
    try:
        sys.stderr.write(masked(text))
        sys.stderr.flush()
    except OSError:
        # There is nowhere to write this; the exit code still shows it.
        _discard(sys.stderr.fileno())


def error(failure: AgentError) -> None:
    """An error on one line, and what to do about it on the next."""
    note(str(failure), lead="agent: ", colour="red")
    if failure.hint:
        hint(failure.hint)


def usage_error(program: str, message: str, suggestion: str = "") -> None:
    note(message, lead=f"{program}: ", colour="red")
    hint(f"{suggestion}{program} --help")


def unforeseen(kind: str, places: Sequence[str]) -> None:
    """A defect: where it happened, without the text of the exception."""
    note(f"internal error: {kind}", lead="agent: ", colour="red")
    for place in places:
        note(f"  at {place}")
    hint("please report this; it holds no text of your files")


def flush() -> None:
    write_bytes(b"")
