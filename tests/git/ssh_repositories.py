"""A repository behind an SSH server, mirrors that may read it, and the agent's messages about host keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from deploy_key_texts import ED25519

from testbed.sshserver import SshServer, host_key

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agent.adapters.git.mirrors import Mirrors
    from testbed.repository import Repository

OTHER = host_key()
NEW = "the Git server's host key is not in known_hosts"
CHANGED = "the Git server shows another host key than the one in known_hosts"
REVOKED = "the Git server shows a host key that known_hosts revokes"


@pytest.fixture
def server() -> Generator[SshServer]:
    with SshServer() as running:
        yield running


@pytest.fixture
def reading(make_mirrors: Callable[..., Mirrors]) -> Callable[..., Mirrors]:
    """Mirrors that may talk to a server over SSH: `reading(server, seconds=…, limits={…})`."""

    def make(server: SshServer, *hosts: str, seconds: int = 20, **more: Any) -> Mirrors:
        return make_mirrors(git={"allowedHosts": [server.netloc, *hosts], "timeoutSeconds": seconds}, **more)

    return make


@pytest.fixture
def shop(server: SshServer) -> Repository:
    """A repository with a commit, which ED25519 may read."""
    repository = server.create("shop", ED25519)
    repository.commit({"a.yaml": "a: 1\n"})
    return repository
