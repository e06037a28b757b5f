"""Submodules of a source, for those who name their repositories: fetched at the commits that it pins, each with a credential of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.api import repositories
from agent.api.model import Problem, validate
from agent.api.sources import Source
from agent.engine import credentials, trusting
from agent.manifests import listing, submodules
from agent.values.errors import AgentError, LimitError, SignatureError, SourceError
from agent.values.ids import Submodule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.api.application import ApplicationSpec
    from agent.engine.context import Grants, Run
    from agent.engine.credentials import GitCredential


@dataclass(frozen=True, slots=True)
class Followed:
    """A repository of submodules, by its path in that of the source, which is `depth` 0. `module` has its commit."""

    module: Submodule
    source: Source
    depth: int = 0


class Following:
    """Which submodules of the source called `name` are followed, and why not: what the agent and commands on a work tree both go by."""

    def __init__(self, spec: ApplicationSpec, name: str, grants: Grants) -> None:
        self._source: Final = spec.all_sources[name]
        self._others: Final = () if name else tuple(each.name for each in spec.sources)
        self._grants: Final = grants
        self._count: int = 0

    def first(self, commit: str) -> list[Followed]:
        """The repository of the source itself, if any submodule of it may be followed."""
        return [Followed(Submodule("", self._source.address, commit), self._source)] if self._source.submodules else []

    def inner(self, outer: Followed, links: Sequence[Submodule]) -> list[Followed]:
        """Those that stand in `outer`, which names `links`, and are to be followed. Raises SourceError, SignatureError, ConfigError."""
        found: list[Followed] = []
        for link in links:
            if self._source.submodule(link.url) is None:
                continue
            path = f"{outer.module.path}/{link.path}" if outer.module.path else link.path
            try:
                found.append(self._followed(Submodule(path, link.url, link.commit), outer.depth + 1))
            except AgentError as error:
                raise error.with_facts(submodule=path) from None
        return found

    def _followed(self, module: Submodule, depth: int) -> Followed:
        self._count += 1
        if self._count > submodules.MOST:
            raise SourceError(
                "the source has more submodules than are followed",
                hint="name fewer repositories in submodules of the source",
                limit=submodules.MOST,
            )
        if depth > submodules.DEEPEST:
            raise SourceError(
                "submodules are deeper within one another than is followed",
                hint="leave their repository out of submodules of the source",
                limit=submodules.DEEPEST,
            )
        listing.check_apart(self._others, [module.path])  # else its keys would open files of the source there
        return Followed(module, self._taken(module), depth)

    def _taken(self, module: Submodule) -> Source:
        if repositories.plain(module.url) is None:
            raise SourceError(
                "servers read this way to write the address of a submodule in different ways",
                hint="write it in .gitmodules without %, //, /./ and ~",
                file=submodules.FILE,
            )
        try:
            source = validate(Source, {"url": module.url, "revision": {"commit": module.commit}})
        except Problem:
            raise SourceError(
                "a submodule has no address or commit that the agent takes",
                hint="write https://host/path, ssh://user@host/path or user@host:path in .gitmodules",
                file=submodules.FILE,
            ) from None
        if trusting.rule(self._grants, source) and not trusting.rule(self._grants, self._source):
            raise SignatureError(
                "commits of a submodule's repository need signatures, and those that pin it need none",
                hint="add the repository of the source to git.signatures in the operator's file, or make the submodule's a source of its own",
                repository=module.url,
            )
        return source


@dataclass(frozen=True, slots=True)
class Checkout:
    """A submodule that was fetched, with the credential that it alone is asked with."""

    followed: Followed
    credential: GitCredential | None

    @property
    def module(self) -> Submodule:
        return self.followed.module

    @property
    def source(self) -> Source:
        return self.followed.source


async def fetch(run: Run, name: str, credential: GitCredential | None, commit: str) -> tuple[Checkout, ...]:
    """The submodules of a commit, and those within them, that the source of this `name` lets be followed.

    Raises SourceError, LimitError (of a repository), SignatureError, ConfigError.
    """
    following = Following(run.application.spec, name, run.grants)
    waiting = [Checkout(each, credential) for each in following.first(commit)]
    found: list[Checkout] = []
    while waiting:
        outer = waiting.pop(0)
        for each in following.inner(outer.followed, await _links(run, outer)):
            try:
                own = await run.ports.credentials.submodule(run.application, name, each.module.url)
                with credentials.shown(own):
                    _ = await run.ports.git.fetch(each.source, own)
            except (SourceError, LimitError) as error:
                raise error.with_facts(submodule=each.module.path) from None
            found.append(Checkout(each, own))
            waiting.append(found[-1])
    return tuple(found)


async def _links(run: Run, outer: Checkout) -> list[Submodule]:
    git, commit = run.ports.git, outer.module.commit
    listing = await git.tree(outer.source, outer.credential, commit)
    entry = listing.get(submodules.FILE)
    if entry is None or entry.kind != "file":
        return []
    if entry.size is None or entry.size > submodules.LARGEST:
        raise SourceError("larger than the agent accepts", file=submodules.FILE, limit=submodules.LARGEST)
    data = (await git.blobs(outer.source, outer.credential, commit, {entry.blob}))[entry.blob]
    return await run.ports.tasks.in_thread(lambda: submodules.links(listing, data, outer.module.url))
