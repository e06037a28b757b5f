"""Whether the commits that a run would take are signed as the operator asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from agent.adapters.git import reading, signed_objects
from agent.adapters.git.fetching import local_ref
from agent.adapters.git.signers import Signers
from agent.api.signatures import SignatureRule
from agent.values.errors import SignatureError, UnsignedError

if TYPE_CHECKING:
    import threading

    from agent.adapters.git.fetching import Remote
    from agent.engine.repositories import Demand

_MOST_COMMITS: Final = 500
_MOST_BYTES: Final = 256 * 1024
"""Of one commit or tag."""
_SECONDS: Final = 120
"""All of them together."""


def verify(remote: Remote, commit: str, demand: Demand, *, cancelled: threading.Event) -> str:
    """Who signed the commit, or the tag that leads to it. Raises SignatureError, ConfigError, DamagedError."""
    rule, mirror = demand.rule, remote.mirror
    assert isinstance(rule, SignatureRule)
    signers = Signers.of(rule)
    until = time.monotonic() + _SECONDS
    signer = _of_tag(remote, commit, signers, demand.seen)
    waiting = [] if signer else [commit]
    if rule.require == "every":
        trusted = [
            each
            for each in (demand.accepted, rule.since)
            if each and reading.commit_of(mirror, each, cancelled=cancelled)
        ]
        since = reading.commits_since(mirror, commit, trusted, most=_MOST_COMMITS, cancelled=cancelled)
        waiting += [each for each in since if each != commit]
    for each in waiting:
        if cancelled.is_set() or time.monotonic() > until:
            raise SignatureError(
                "the signatures take too long to verify",
                hint="git.signatures in the operator's file: name a newer commit as since",
            )
        found = _of_commit(remote, each, signers, demand.seen)
        signer = signer or found
    return signer


def _of_commit(remote: Remote, commit: str, signers: Signers, seen: int) -> str:
    try:
        content = reading.raw(remote.mirror, commit, "commit", most=_MOST_BYTES)
        if content is None:
            raise reading.DamagedError
        return signers.check(signed_objects.of_commit(content), seen)
    except SignatureError as error:
        raise error.with_facts(repository=remote.source.address, commit=commit) from None


def _of_tag(remote: Remote, commit: str, signers: Signers, seen: int) -> str:
    """Who signed the tag that leads to the commit; "" where there is none with a signature."""
    if remote.source.tag is None:
        return ""
    content = reading.raw(remote.mirror, local_ref(remote.source), "tag", most=_MOST_BYTES)
    try:
        signed = None if content is None else signed_objects.of_tag(content, commit, remote.source.tag)
        return "" if signed is None else signers.check(signed, seen)
    except UnsignedError:
        return ""
    except SignatureError as error:
        raise error.with_facts(repository=remote.source.address, tag=remote.source.tag) from None
