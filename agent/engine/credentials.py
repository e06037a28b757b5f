"""What an Application's own namespace gives the agent to log in with."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from agent.values.errors import SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator

    from agent.api.application import Application
    from agent.values.ids import ApplicationId
    from agent.values.secret import Secret


@dataclass(frozen=True, slots=True)
class GitHubApp:
    """An App of GitHub where it is installed: numbers of both, its RSA key (PKCS #8 in DER), and the URL that hands out tokens."""

    number: str
    installation: str
    key: Secret
    tokens: str


@dataclass(frozen=True, slots=True)
class GitCredential:
    """What a Git server over HTTPS asks for, and the PEM of the CA that signed it where the system's do not.

    With an `app` user name and password are those that GitHub hands out for it, for an hour each. Over SSH: the deploy key without its
    passphrase, and the host keys to expect, as in known_hosts (sshd(8)). `secret` names the Secret it is from, for people.
    """

    username: str
    password: Secret | None
    ca_pem: str = ""
    identity: Secret | None = None
    known_hosts: str = ""
    app: GitHubApp | None = None
    secret: str = field(default="", compare=False)


@contextmanager
def shown(credential: GitCredential | None) -> Generator[None]:
    """Refusals within say which Secret the server was asked with; that it does not answer has nothing to do with one."""
    try:
        yield
    except SourceUnavailableError:
        raise
    except SourceError as error:
        secret = "" if credential is None else credential.secret
        raise (error.with_facts(credentials=secret) if secret else error) from None


class CredentialPort(Protocol):
    """What the Application's own namespace holds for it."""

    async def git(self, application: Application, source: str = "") -> GitCredential | None:
        """The Secret that a source names, as it was read last; None where it names none. `source` is the name of a further one. Raises SourceError."""
        ...

    async def chart(self, application: Application) -> GitCredential | None:
        """That of the chart's server, read each time; None where it names none. Raises SourceError."""
        ...

    async def dependency(self, application: Application, url: str) -> GitCredential | None:
        """That of the server which has a chart that another one depends on, read each time; None where none is named. Raises SourceError."""
        ...

    async def base(self, application: Application, url: str) -> GitCredential | None:
        """That of a remote base which the Application declares, read each time; None where it names none. Raises SourceError."""
        ...

    async def submodule(self, application: Application, source: str, url: str) -> GitCredential | None:
        """That of a submodule of a source, read each time; None where the source names none for it. Raises SourceError."""
        ...

    def invalidate(self, application: ApplicationId) -> None:
        """The credential did not serve: read it again the next time."""
        ...
