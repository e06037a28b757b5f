"""What an Application's own namespace gives the agent to log in with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.values.secret import Secret


@dataclass(frozen=True, slots=True)
class GitCredential:
    """What a Git server over HTTPS asks for, and the PEM of the CA that signed it where the system's do not.

    Over SSH: the deploy key without its passphrase, and the host keys to expect, as in known_hosts (sshd(8)).
    """

    username: str
    password: Secret | None
    ca_pem: str = ""
    identity: Secret | None = None
    known_hosts: str = ""
