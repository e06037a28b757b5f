"""`agent keygen`: an age key, in the form of age-keygen."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from agent.cli import plaintext, terminal
from agent.cli.errors import ConflictingFlagsError
from agent.cli.files import content
from agent.cli.keys import fresh
from agent.values.errors import ConfigError
from agent.values.secret import Secret

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  agent keygen -o key.txt                               the file is the private key, what is printed the recipient
  agent keygen -pq -o key.txt                           one that a quantum computer does not break, with a long recipient
  agent keygen -y key.txt                               the recipients of a key file
  kubectl create secret generic sops-age -n shop --from-file=age.agekey=key.txt
                                                        hand it to the agent, for Applications in this namespace

Keep the file out of Git, and a copy where you will find it: without it nothing that was encrypted for it opens again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Make an age key. Others encrypt for its recipient, age1…; only the key's file decrypts."
    parser.epilog = _EXAMPLES
    parser.add_argument("input", nargs="?", metavar="FILE", help="with -y: the key file, else standard input")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write here, readable by you alone; nothing is overwritten"
    )
    parser.add_argument("-pq", "--pq", action="store_true", help="a post-quantum hybrid of ML-KEM-768 and X25519")
    parser.add_argument("-y", "--recipients-of", action="store_true", help="print the recipients of the keys in FILE")


def run(args: argparse.Namespace) -> int:
    if args.recipients_of:
        if args.pq:
            raise ConflictingFlagsError("-pq makes a key, and -y reads one")
        text = "".join(f"{recipient}\n" for recipient in _recipients(args.input))
        _write(args.output, text)
        return 0
    if args.input is not None:
        raise ConflictingFlagsError("a key file is read with -y alone", hint="-o names the file of a new key")
    from agent.adapters.keys import age

    recipient, secret = age.generate(hybrid=args.pq)
    if not args.output and _everybody_reads_stdout():
        terminal.warn("the key is written to a file that all users can read")
    text = f"# created: {fresh.now()}\n# public key: {recipient}\n{plaintext.text(secret)}\n"
    _write(args.output, text)
    if args.output or not terminal.is_tty():
        terminal.note(f"Public key: {recipient}")
    return 0


def _recipients(path: str | None) -> tuple[str, ...]:
    """Raises ConfigError."""
    from agent.adapters.keys.age import AgeKeys

    file = path if path and path != "-" else ""
    name = file or "standard input"
    keys = AgeKeys.parse(Secret(content.read(file) if file else content.read_stdin(), name), source=name)
    if not keys.recipients:
        raise ConfigError("no age identity in this file", hint="agent keygen -o makes a file with one", file=name)
    return keys.recipients


def _write(output: str | None, text: str) -> None:
    if output:
        content.create_private(output, text.encode())
    else:
        terminal.write_text(text)


def _everybody_reads_stdout() -> bool:
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)
