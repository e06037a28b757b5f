"""Submodules of a source, for those who name their repositories: fetched at the commits that it pins, each with a credential of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.api import repositories
from agent.api.model import Problem, validate
from agent.api.sources import Source
from agent.engine import trusting
from agent.manifests import submodules
from agent.values.errors import LimitError, SignatureError, SourceError
from agent.values.ids import Submodule

if TYPE_CHECKING:
    from agent.engine.context import Run
    from agent.engine.credentials import GitCredential


@dataclass(frozen=True, slots=True)
class Checkout:
    """A submodule that was fetched, by its path in the repository of the source."""

    module: Submodule
    source: Source
    credential: GitCredential | None
    depth: int = 1


async def fetch(
    run: Run, name: str, source: Source, credential: GitCredential | None, commit: str
) -> tuple[Checkout, ...]:
    """The submodules of a commit, and those within them, that the source of this `name` lets be followed. Raises SourceError, LimitError (of a repository)."""
    if not source.submodules:
        return ()
    found: list[Checkout] = []
    waiting = [Checkout(Submodule("", source.address, commit), source, credential, 0)]
    while waiting:
        outer = waiting.pop(0)
        for link in await _links(run, outer):
            if source.submodule(link.url) is None:
                continue
            path = f"{outer.module.path}/{link.path}" if outer.module.path else link.path
            module = Submodule(path, link.url, link.commit)
            try:
                inner = await _fetched(run, name, module, outer.depth + 1)
            except (SourceError, LimitError) as error:
                raise error.with_facts(submodule=path) from None
            found.append(inner)
            waiting.append(inner)
            if len(found) > submodules.MOST:
                raise SourceError(
                    "the source has more submodules than are followed",
                    hint="name fewer repositories in submodules of the source",
                    limit=submodules.MOST,
                )
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


async def _fetched(run: Run, name: str, module: Submodule, depth: int) -> Checkout:
    if depth > submodules.DEEPEST:
        raise SourceError(
            "submodules are deeper within one another than is followed",
            hint="leave their repository out of submodules of the source",
            limit=submodules.DEEPEST,
        )
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
    if trusting.rule(run, source) and not trusting.rule(run, run.application.spec.all_sources[name]):
        raise SignatureError(
            "commits of a submodule's repository need signatures, and those that pin it need none",
            hint="add the repository of the source to git.signatures in the operator's file, or make the submodule's a source of its own",
            repository=module.url,
        )
    credential = await run.ports.credentials.submodule(run.application, name, module.url)
    _ = await run.ports.git.fetch(source, credential)
    return Checkout(module, source, credential, depth)
