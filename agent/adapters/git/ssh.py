"""OpenSSH's client as git runs it: one key, the host keys that were given, and nothing of this machine.

Key, known hosts and the client's log are anonymous files in memory (memfd_create(2)). The client closes what it inherits, asks a key for
its mode, and reads files several times; so it opens them below /proc as those of the shell that git starts it by. They end with that
shell, and no number of a descriptor is ever another tenant's key. Where there is a log, what the server writes to stderr is thrown away,
so that only the client's words choose an error.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.adapters.git import credential
from agent.values.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Generator

    from agent.adapters.git.addresses import Address
    from agent.engine.credentials import GitCredential

_LOG: Final = 16 * 1024
"""Bytes of the client's log that are looked at."""
_OPTIONS: Final = {
    "BatchMode": "yes",
    "CanonicalizeHostname": "no",
    "CheckHostIP": "no",
    "ClearAllForwardings": "yes",
    "ControlMaster": "no",
    "ControlPath": "none",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "GlobalKnownHostsFile": "none",
    # `-` takes away from the defaults, whose order follows what is known of the host; SHA-1 goes, and with it `ssh-rsa` but not rsa-sha2
    "HostKeyAlgorithms": "-ssh-rsa*,ssh-dss*",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    # below it the client does not say why no algorithm was agreed on
    "LogLevel": "INFO",
    "PasswordAuthentication": "no",
    "PermitLocalCommand": "no",
    "PreferredAuthentications": "publickey",
    "ProxyCommand": "none",
    "PubkeyAcceptedAlgorithms": "-ssh-rsa*,ssh-dss*",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "VerifyHostKeyDNS": "no",
}
"""ssh_config(5)."""


@dataclass(frozen=True, slots=True)
class Client:
    """`configuration` makes git run the client, if git inherits the `descriptors`; `log` is one of them."""

    configuration: dict[str, str]
    descriptors: tuple[int, ...]
    log: int

    def words(self) -> str:
        """What the client logged, and `exit N` where it ended with another code than 0."""
        return os.pread(self.log, _LOG, 0).decode("utf-8", "replace")


@contextmanager
def client(address: Address, login: GitCredential | None) -> Generator[Client | None]:
    """A client for this address; None where it is not one over SSH. Raises SourceError."""
    if address.scheme != "ssh":
        yield None
        return
    if login is None or login.identity is None:
        raise SourceError(
            "Git over SSH needs a deploy key",
            hint="name a Secret with identity and known_hosts as spec.source.credentials",
            repository=address.url,
        )
    program = _program()
    with (
        credential.key_file(login.identity) as key,
        credential.in_memory("known_hosts", login.known_hosts.encode()) as known_hosts,
        credential.in_memory("log", b"") as log,
    ):
        options = {**_OPTIONS, "IdentityFile": _path(key), "UserKnownHostsFile": _path(known_hosts)}
        settings = " ".join(f"-o {name}={value}" for name, value in options.items())
        run = f'{shlex.quote(program)} -F none -T -x -a -E {_path(log)} {settings} "$@" 2>/dev/null'
        configuration = {
            "ssh.variant": "ssh",
            "core.sshCommand": f'f() {{ {run} || {{ code=$?; echo "exit $code" >>{_path(log)}; return $code; }}; }}; f',
        }
        yield Client(configuration, (key, known_hosts, log), log)


def _program() -> str:
    """The client's path. Raises SourceError for what it would say before it has a log."""
    program = shutil.which("ssh")
    if program is None:
        raise SourceError("ssh is not installed", hint="install OpenSSH's client 8.5 or newer")
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        raise SourceError(
            "ssh does not run under the agent's user id",
            hint="it needs a line for the id in /etc/passwd: run the agent as a user of its image, such as 65532",
            uid=os.getuid(),
        ) from None
    return program


def _path(descriptor: int) -> str:
    return f"/proc/$$/fd/{descriptor}"
