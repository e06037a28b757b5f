"""`agent known-hosts`: the host keys of a Git server, as the Secret of a deploy key wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal

if TYPE_CHECKING:
    import argparse

_DESCRIPTION = """\
Print the host keys that a Git server shows over SSH, as lines of known_hosts under their fingerprints.

They prove nothing by themselves: anyone between you and the server can show keys of their own. Compare the fingerprints with
those that the people who run the server publish, before you let the agent believe them.

exit codes: 0 there are keys, 1 there are none, 2 it could not be tried
"""
_EXAMPLES = """\
examples:
  agent known-hosts git.example.com > known_hosts
  agent known-hosts git.example.com:2222
  kubectl create secret generic git -n shop --from-file=identity=deploy-key --from-file=known_hosts
                                                        hand both to the agent, for Applications in this namespace
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("host", metavar="HOST[:PORT]", help="the server; an IPv6 address stands in brackets")


def run(args: argparse.Namespace) -> int:
    from agent.adapters.git import host_keys

    for key in host_keys.scan(args.host):
        terminal.line(f"# {key.type} {key.fingerprint}")
        terminal.line(key.line)
    terminal.note("compare the fingerprints with those that the people who run the server publish")
    return 0
