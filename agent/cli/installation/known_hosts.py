"""`agent known-hosts`: the host keys of a Git server, as the Secret of a deploy key wants them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shutil
import subprocess  # ssh-keyscan, with a host that was checked
from typing import TYPE_CHECKING, Final

from agent.cli import terminal
from agent.cli.errors import UsageError
from agent.values.dataclass import dataclass
from agent.values.errors import ConfigError, SourceUnavailableError

if TYPE_CHECKING:
    import argparse

_DESCRIPTION: Final = """\
Print the host keys that a Git server shows over SSH, as lines of known_hosts under their fingerprints.

They prove nothing by themselves: anyone between you and the server can show keys of their own. Compare the fingerprints with
those that the people who run the server publish, before you let the agent believe them.

exit codes: 0 there are keys, 1 there are none, 2 it could not be tried
"""
_EXAMPLES: Final = """\
examples:
  agent known-hosts git.example.com > known_hosts
  agent known-hosts git.example.com:2222
  kubectl create secret generic git -n shop --from-file=identity=deploy-key --from-file=known_hosts
                                                        hand both to the agent, for Applications in this namespace
"""
_PLACE: Final = re.compile(
    r"(?:\[(?P<six>[0-9a-fA-F:]+)\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?))(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)
_TYPES: Final = ("ed25519", "ecdsa", "rsa")
_SECONDS: Final = 10
"""For each type of key, which has a connection of its own."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("host", metavar="HOST[:PORT]", help="the server; an IPv6 address stands in brackets")


def run(args: argparse.Namespace) -> int:
    for key in _scan(args.host):
        terminal.line(f"# {key.type} {key.fingerprint}")
        terminal.line(key.line)
    terminal.note("compare the fingerprints with those that the people who run the server publish")
    return 0


@dataclass(frozen=True, slots=True)
class _HostKey:
    """A line of known_hosts (sshd(8)), and the key's type and fingerprint as `ssh-keygen -l` shows them."""

    line: str
    type: str
    fingerprint: str


def _scan(place: str) -> list[_HostKey]:
    """The keys of `HOST` or `HOST:PORT`, the preferred type first. Raises UsageError, ConfigError, SourceUnavailableError."""
    match = _PLACE.fullmatch(place)
    if match is None or not 0 < int(match["port"] or 22) < 65536:
        raise UsageError(
            "not a host that can be asked", hint="write HOST or HOST:PORT, such as git.example.com:2222", host=place
        )
    program = shutil.which("ssh-keyscan")
    if program is None:
        raise ConfigError("ssh-keyscan is not installed", hint="install OpenSSH's client")
    host, port = (match["six"] or match["host"]).lower(), match["port"] or "22"
    command = [program, "-T", str(_SECONDS), "-p", port, "-t", ",".join(_TYPES), host]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS * (len(_TYPES) + 1)
        )
    except subprocess.TimeoutExpired:
        raise SourceUnavailableError("the host did not answer in time", host=place) from None
    found = [key for line in done.stdout.split("\n") if (key := _parsed(line)) is not None]
    if found:
        return sorted(found, key=lambda key: _TYPES.index(key.type.lower()))
    if "getaddrinfo" in done.stderr:
        raise SourceUnavailableError("the host's name does not resolve", host=place)
    raise SourceUnavailableError("no server of SSH answers there", hint="check host and port", host=place)


def _parsed(line: str) -> _HostKey | None:
    """None for what is no key of a type that the agent takes: the server chose the text."""
    match = re.fullmatch(r"[\[\]0-9A-Za-z:.-]+ (?:ssh-(ed25519|rsa)|(ecdsa)-sha2-nistp\d+) ([A-Za-z0-9+/]+=*)", line)
    if match is None:
        return None
    try:
        blob = base64.b64decode(match[3], validate=True)
    except binascii.Error:
        return None
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return _HostKey(line, (match[1] or match[2]).upper(), f"SHA256:{digest}")
