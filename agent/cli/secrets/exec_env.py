"""`agent exec-env`: a command with the values of a file in its environment."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from agent.cli import flags, terminal
from agent.cli.errors import CommandError, ConflictingFlagsError
from agent.cli.files import content, file_types, rules
from agent.cli.keys import encryption, key_sources
from agent.cli.keys.key_sources import Access
from agent.cli.secrets import child
from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.stores import flatten
from agent.yaml.nodes import Mapping, Sequence

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  agent exec-env app.env ./server
  agent exec-env app.env 'psql "$DATABASE_URL" -c "select 1"'
  agent exec-env --pristine app.env env                 nothing but the values
  agent exec-env --same-process app.env 'exec ./server' for a service manager: the command replaces the agent's process
  agent exec-env --user www-data app.env ./server

The command runs with /bin/sh -c; its exit code is returned and signals are forwarded. The values are in its environment only:
anyone who may read /proc of the user can read them there.
"""
_CODE: Final = re.compile(
    r"(?:LD|DYLD)_[A-Z0-9_]{1,40}|PATH|IFS|PS4|BASH_ENV|SHELLOPTS|PROMPT_COMMAND|EDITOR|VISUAL|PAGER|LESSOPEN"
    r"|GIT_(?:ASKPASS|CONFIG|CONFIG_[A-Z0-9_]{1,40}|DIR|EDITOR|EXEC_PATH|EXTERNAL_DIFF|PAGER|PROXY_COMMAND|SEQUENCE_EDITOR"
    r"|SSH|SSH_COMMAND|TEMPLATE_DIR|WORK_TREE)"
    r"|PYTHON(?:HOME|PATH|STARTUP)|PERL5(?:DB|LIB|OPT)|RUBY(?:LIB|OPT)|NODE_(?:OPTIONS|PATH)|(?:JAVA_TOOL|JDK_JAVA|_JAVA)_OPTIONS"
)
"""Variables by which loaders, shells, interpreters and Git are made to run something else: anyone can encrypt for a public key."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run a command with the values of an encrypted file as environment variables."
    parser.epilog = _EXAMPLES
    parser.usage = "agent exec-env [FLAGS] FILE COMMAND"
    child.add_options(parser)
    parser.add_argument("--pristine", action="store_true", help="only the values, without the agent's own environment")
    parser.add_argument("--same-process", action="store_true", help="the command takes the place of this process")
    file_types.add_input_option(parser)
    key_sources.add_order_option(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    file, command = child.arguments(args.arguments)
    rules.load(args.config)
    if args.background and args.same_process:
        raise ConflictingFlagsError("--same-process and --background exclude one another")
    keys = encryption.Keys(flags.typed(Access, args))
    data = content.read_existing(file)
    encrypted = decrypt.read(data, file=file, store=stores.of(file, args.input_type))
    values = _variables(keys.open(encrypted).plain.documents[0], file)
    child.become(args.user)
    environ = child.environment(args.user, pristine=args.pristine, values=values)
    if args.same_process:
        child.replace_us(command, environ)
    if not args.background:
        return child.run(command, environ)
    if not child.leave_behind():
        os._exit(child.run(command, environ))
    return 0


def _variables(document: Mapping, file: str) -> dict[bytes, bytes]:
    """Raises CommandError for what no environment can hold."""
    variables: dict[bytes, bytes] = {}
    for entry in document.entries():
        key, value = str(entry.key), entry.value
        if isinstance(value, Mapping | Sequence):
            raise CommandError(
                "a map or list cannot be an environment variable", hint="exec-file passes files on", file=file, key=key
            )
        text = flatten.scalar_text(value)
        if "=" in key or "\0" in key + text:
            raise CommandError("an environment variable has no NUL, and no = in its name", file=file, key=key)
        variables[_bytes(key)] = _bytes(text)
    if names := [str(entry.key) for entry in document.entries() if _CODE.fullmatch(str(entry.key))]:
        terminal.warn(f"{file} sets {', '.join(names)}, which can make the command run other programs")
        terminal.hint("who wrote the file? anyone who has your public key can encrypt one")
    return variables


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
