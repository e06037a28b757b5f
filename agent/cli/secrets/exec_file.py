"""`agent exec-file`: a command with the plaintext of a file as a file that lives as long as the command."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import flags
from agent.cli.errors import CommandError, EditorError
from agent.cli.files import content, file_types, memory, rules
from agent.cli.keys import encryption, key_sources
from agent.cli.keys.key_sources import Access
from agent.cli.secrets import child
from agent.sops import stores
from agent.sops.files import decrypt

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

_EXAMPLES = """\
examples:
  agent exec-file kubeconfig.yaml 'kubectl --kubeconfig {} get nodes'
  agent exec-file --no-fifo db.json 'app --config {}'   for programs that read a file twice, or seek in it
  agent exec-file --output-type json app.yaml 'jq . {}'
  agent exec-file --filename app.conf app.ini 'app {}'  where the name matters

{} is the file's path. It is a pipe (a FIFO) that can be read once and never holds plaintext on a disk; with --no-fifo a file on tmpfs
that only its owner can read. It is gone afterwards. The command runs with /bin/sh -c; its exit code is returned and signals are forwarded.
"""
_NAME = "tmp-file"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run a command with the plaintext of an encrypted file as a temporary file."
    parser.epilog = _EXAMPLES
    parser.usage = "agent exec-file [FLAGS] FILE COMMAND"
    child.add_options(parser)
    parser.add_argument("--no-fifo", action="store_true", help="a plain file, on tmpfs")
    parser.add_argument("--filename", metavar="NAME", default="", help="the temporary file's name")
    file_types.add_input_option(parser)
    file_types.add_output_option(parser, what="what the command reads")
    key_sources.add_order_option(parser)
    memory.add_options(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    file, command = child.arguments(args.arguments)
    source, target = stores.of(file, args.input_type), stores.of(file, args.output_type)
    indent = rules.indent(rules.of(rules.load(args.config), file), target)
    keys = encryption.Keys(flags.typed(Access, args))
    data = content.read_existing(file)
    opened = keys.open(decrypt.read(data, file=file, store=source))
    plain = target.emit(opened.plain.documents, indent=indent)
    name = _name(args.filename)
    child.become(args.user)
    environ = child.environment(args.user)
    if args.background and child.leave_behind():
        return 0
    try:
        with memory.folder(allow_disk=not args.no_fifo or args.insecure_temporary_folder) as folder:
            path = folder / name
            with _file(path, plain) if args.no_fifo else _pipe(path, plain):
                code = child.run(command.replace("{}", str(path)), environ)
    except EditorError as error:
        raise error.in_case("general") from None
    if args.background:
        os._exit(code)
    return code


def _name(asked: str) -> str:
    """Raises CommandError for what is no name of a file in a folder."""
    name = os.path.normpath(asked) if asked else _NAME
    if Path(name).name != name or name in {".", ".."}:
        raise CommandError("not the name of a file", hint="a name alone, without a folder", name=asked)
    return name


@contextlib.contextmanager
def _file(path: Path, plain: bytes) -> Generator[None]:
    content.create_private(str(path), plain)
    yield


@contextlib.contextmanager
def _pipe(path: Path, plain: bytes) -> Generator[None]:
    """A FIFO that gives the plaintext to the first that reads it, and to none if none reads it."""

    def write() -> None:
        # The reader may stop before the end, and be gone before the beginning.
        with contextlib.suppress(OSError), os.fdopen(os.open(path, os.O_WRONLY), "wb") as stream:
            stream.write(plain)

    os.mkfifo(path, 0o600)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield
    finally:
        # A writer without a reader still waits for one: be one, for a moment.
        with contextlib.suppress(FileNotFoundError):
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
