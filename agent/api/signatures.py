"""Whose signatures commits need: a part of the operator's file."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from agent.api.fields import Commit, FilePath
from agent.api.model import Model, invalid
from agent.values.patterns import name_matches

if TYPE_CHECKING:
    from collections.abc import Iterable

RepositoryPattern = Annotated[
    str, StringConstraints(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9*\[][A-Za-z0-9*._~:/\[\]-]*$")
]
"""`host/path` in which `*` stands for any run of characters: `git.example.com/shop/*`."""

_USER: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]*@")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_DEFAULT_PORT: Final = {"https": ":443", "http": ":80", "ssh": ":22"}


class SignatureRule(Model):
    """Commits of these repositories are taken only where one of these signers signed them."""

    repositories: Annotated[tuple[RepositoryPattern, ...], Field(min_length=1, max_length=64)]
    """Repositories, as `host/path`: `git.example.com/shop/*`, or `*` for all. How an Application writes the URL makes no difference: scheme,
    user, default port, a final `.git` and case do not count. The first rule with a pattern that fits decides. A repository that no
    rule fits needs no signature, so end the list with a rule for `*`, or cover each host that a tenant may reach."""
    require: Literal["head", "every"] = "head"
    """`head`: the commit that is applied, or the tag that names it. `every`: also each commit since the one that was accepted last."""
    ssh_signers: FilePath | None = None
    """Signers with SSH keys: a file as ssh-keygen(1) describes under ALLOWED SIGNERS. `valid-after`, `valid-before`, `namespaces` and
    `cert-authority` count."""
    ssh_revoked: FilePath | None = None
    """SSH keys that count no longer: public keys, one per line, or a revocation list as `ssh-keygen -k` writes it."""
    pgp_keys: FilePath | None = None
    """OpenPGP public keys of signers, armored or not: what `gpg --export` writes. Their expiry and revocations are those in the file."""
    since: Commit | None = None
    """With `every`: a commit that is trusted with all before it, where a history begins without signatures."""

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.ssh_signers is None and self.pgp_keys is None:
            raise invalid("give sshSigners, pgpKeys or both")
        if self.ssh_revoked is not None and self.ssh_signers is None:
            raise invalid("sshRevoked needs sshSigners")
        if self.since is not None and self.require != "every":
            raise invalid("since needs require: every")
        return self


def rule_for(rules: Iterable[SignatureRule], url: str) -> SignatureRule | None:
    """The first rule for a repository; None where it needs no signature."""
    name = plain(url)
    return next((rule for rule in rules if any(name_matches(p.lower(), name) for p in rule.repositories)), None)


def plain(url: str) -> str:
    """`host/path` of a repository, by which all ways to write its URL are one: `git@Host:Team/App.git` is `host/team/app`."""
    scheme, separator, rest = url.partition("://")
    if not separator:  # as scp(1) writes it
        scheme, rest = "ssh", url.replace(":", "/", 1)
    host, _, path = _USER.sub("", rest).partition("/")
    host = re.sub(r":0+(?=[1-9])", ":", host.lower()).removesuffix(_DEFAULT_PORT.get(scheme.lower(), ""))
    path = (
        posixpath.normpath("/" + _ESCAPE.sub(lambda match: chr(int(match[1], 16)), path))
        .strip("/")
        .lower()
        .removesuffix(".git")
        .rstrip("/")
    )
    return f"{host}/{path}"
