"""`agent keygen`: an age key, in the form of age-keygen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import creation, files, plaintext, terminal
from agent.values.secret import Secret

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  agent keygen -o key.txt                               the file is the private key, what is printed the recipient
  agent keygen -y key.txt                               the recipients of a key file
  kubectl create secret generic sops-age -n shop --from-file=age.agekey=key.txt
                                                        hand it to the agent, for Applications in this namespace

Keep the file out of Git, and a copy where you will find it: without it nothing that was encrypted for it opens again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Make an age key. Others encrypt for its recipient, age1…; only the key's file decrypts."
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write the key here, readable by you alone; never overwritten"
    )
    parser.add_argument("-y", "--recipients-of", metavar="FILE", help="print the recipients of the keys in a file")


def run(args: argparse.Namespace) -> int:
    from agent.adapters.keys import age

    if args.recipients_of:
        keys = age.AgeKeys.parse(Secret(files.read(args.recipients_of), args.recipients_of), source=args.recipients_of)
        for recipient in keys.recipients:
            terminal.line(recipient)
        return 0
    recipient, secret = age.generate()
    content = f"# created: {creation.now()}\n# public key: {recipient}\n{plaintext.text(secret)}\n"
    if args.output:
        files.create_private(args.output, content.encode())
        terminal.note(f"Public key: {recipient}")
    else:
        if not terminal.is_tty():
            terminal.note(f"Public key: {recipient}")
        terminal.write_text(content)
    return 0
