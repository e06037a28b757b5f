"""Whose signatures commits need: a part of the operator's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from agent.api.fields import Commit, FilePath
from agent.api.model import Model, invalid
from agent.api.repositories import plain
from agent.values.errors import ConfigError
from agent.values.patterns import name_matches

if TYPE_CHECKING:
    from collections.abc import Collection

RepositoryPattern = Annotated[
    str, StringConstraints(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9*\[][A-Za-z0-9*._~:/\[\]-]*$")
]
"""`host/path` in which `*` stands for any run of characters: `git.example.com/shop/*`."""


class SignatureRule(Model):
    """Commits of these repositories are taken only where one of these signers signed them."""

    repositories: Annotated[tuple[RepositoryPattern, ...], Field(min_length=1, max_length=64)]
    """Repositories, as `host/path`: `git.example.com/shop/*`, or `*` for all. How an Application writes the URL makes no difference: scheme,
    user, default port, a final `.git` and case do not count, and where there are rules, forms that servers read in different ways are refused. The first rule with a pattern that fits decides. A repository that no
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
    def _consistent(self) -> Self:
        if self.ssh_signers is None and self.pgp_keys is None:
            raise invalid("give sshSigners, pgpKeys or both")
        if self.ssh_revoked is not None and self.ssh_signers is None:
            raise invalid("sshRevoked needs sshSigners")
        if self.since is not None and self.require != "every":
            raise invalid("since needs require: every")
        return self


def rule_for(rules: Collection[SignatureRule], url: str) -> SignatureRule | None:
    """The first rule for a repository; None where it needs no signature.

    Raises ConfigError where there are rules, and the URL is one that servers read in different ways.
    """
    name = plain(url)
    if rules and name is None:
        raise ConfigError(
            "the operator asks for signed commits, and this way to write a repository could get around that",
            hint="write the URL without %, //, /./, ~ and, as user@host:path, without a slash before the path",
            field="spec.source.url",
        )
    return next((rule for rule in rules if any(name_matches(p.lower(), name or "") for p in rule.repositories)), None)
