"""Which commit a branch, a tag or a hash names, which commits are refused, and what is known of one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from agent.adapters.git import fetching
from agent.values.errors import LimitError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from testbed.gitserver import GitServer
    from testbed.repository import Repository


async def test_head_follows_a_branch_without_fetching(
    mirrors: Mirrors,
    repository: Repository,
    gitserver: GitServer,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    first = repository.commit({"a.yaml": "a: 1\n"})
    gitserver.requests.clear()
    assert await mirrors.head(source(), credential) == first
    second = repository.commit({"a.yaml": "a: 2\n"})
    assert await mirrors.head(source(), credential) == second
    assert [request.path for request in gitserver.requests if request.path.endswith("info/refs")]
    assert not [path for path in mirrors.directory.iterdir() if path.is_dir()], "nothing was fetched"


@pytest.mark.parametrize("message", ["", "annotated"])
async def test_a_tag_leads_to_its_commit(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential, message: str
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    repository.tag("v1", commit, message=message)
    repository.commit({"a.yaml": "a: 2\n"})
    tagged = source(revision={"tag": "v1"})
    assert await mirrors.head(tagged, credential) == commit
    revision = await mirrors.fetch(tagged, credential)
    assert (revision.commit, revision.ref) == (commit, "v1")
    (file,) = (await mirrors.files(tagged, credential, commit)).files
    assert file.data == b"a: 1\n"


async def test_a_range_follows_the_newest_version_among_the_tags(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commits: dict[str, str] = {}
    for number, name in enumerate(("v1.2.0", "1.10.0", "v1.9.0", "v2.0.0", "v1.11.0-rc.1", "latest", "v1.x")):
        commits[name] = repository.commit({"a.yaml": f"a: {number}\n"})
        repository.tag(name, commits[name], message="annotated" if name == "1.10.0" else "")
    ranged = source(revision={"semver": "^1.2"})
    assert await mirrors.head(ranged, credential) == commits["1.10.0"]
    revision = await mirrors.fetch(ranged, credential)
    assert (revision.commit, revision.ref) == (commits["1.10.0"], "1.10.0")
    repository.tag("v1.10.1", commits["latest"])
    assert (await mirrors.fetch(ranged, credential)).ref == "v1.10.1"
    early = source(revision={"semver": ">=1.11.0-0 <1.12.0"})
    assert (await mirrors.fetch(early, credential)).ref == "v1.11.0-rc.1"
    for ask in (mirrors.head, mirrors.fetch):
        with pytest.raises(SourceError, match="no tag of the repository is a version in this range"):
            await ask(source(revision={"semver": "3.x"}), credential)


def test_a_server_that_names_too_many_versions_or_no_refs_is_refused(source: Callable[..., Source]) -> None:
    ranged, stop = source(revision={"semver": "*"}), threading.Event()
    hostile = [
        "refs/tags/1.0.0:refs/heads/x",
        "refs/tags/ 1.0.0",
        "refs/tags/=v1.0.0",
        "refs/tags/--upload-pack=x",
        "refs/heads/1.0.0",
    ]
    with pytest.raises(SourceError, match="no tag of the repository"):
        fetching._newest_tag(ranged, "*", hostile, stop)
    many = [f"refs/tags/1.0.{number}" for number in range(10_001)]
    with pytest.raises(LimitError):
        fetching._newest_tag(ranged, "*", many, stop)
    stop.set()
    with pytest.raises(SourceUnavailableError):
        fetching._newest_tag(ranged, "*", many[:10], stop)


async def test_a_pinned_commit_is_fetched_by_its_hash(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    repository.commit({"a.yaml": "a: 2\n"})
    pinned = source(revision={"commit": commit})
    assert await mirrors.head(pinned, credential) == commit
    assert (await mirrors.fetch(pinned, credential)).commit == commit
    with pytest.raises(SourceError, match="no branch or tag of the repository contains this commit"):
        await mirrors.fetch(source(revision={"commit": "1" * 40}), credential)


HIDDEN = [
    "refs/pull/7/head",
    "refs/merge-requests/7/head",
    "refs/keep-around/x",
    "refs/notes/commits",
    "refs/heads-of/x",
]


@pytest.mark.parametrize("ref", HIDDEN)
@pytest.mark.parametrize("known", [False, True], ids=["", "that the mirror holds already"])
async def test_a_pinned_commit_that_no_branch_or_tag_leads_to_is_refused(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    ref: str,
    known: bool,
) -> None:
    """A server hands out by its hash what a pull request or a fork holds, which others wrote."""
    repository.commit({"a.yaml": "a: 1\n"})
    theirs = repository.commit({"a.yaml": "a: 2\n"}, branch="theirs")
    if known:
        await mirrors.fetch(source(revision={"branch": "theirs"}), credential)
    repository.git("update-ref", ref, theirs)
    repository.delete_branch("theirs")
    with pytest.raises(SourceError, match="no branch or tag of the repository contains this commit"):
        await mirrors.fetch(source(revision={"commit": theirs}), credential)


async def test_a_pinned_commit_of_another_branch_or_under_a_tag_is_taken_and_stays(
    mirrors: Mirrors,
    repository: Repository,
    gitserver: GitServer,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    repository.commit({"a.yaml": "a: 1\n"})
    branched = repository.commit({"a.yaml": "a: 2\n"}, branch="other")
    repository.commit({"a.yaml": "a: 3\n"}, branch="other")
    tagged = repository.commit({"a.yaml": "a: 4\n"}, branch="gone")
    repository.tag("v1", tagged, message="annotated")
    repository.delete_branch("gone")
    for commit in (branched, tagged):
        assert (await mirrors.fetch(source(revision={"commit": commit}), credential)).commit == commit
    with gitserver.away():
        assert (await mirrors.fetch(source(revision={"commit": branched}), credential)).commit == branched


async def test_the_hash_of_an_annotated_tag_is_called_that(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    repository.tag("v1", commit, message="annotated")
    tag = repository.git("rev-parse", "refs/tags/v1").strip()
    assert tag != commit
    with pytest.raises(SourceError, match="this is the hash of an annotated tag and not of a commit") as caught:
        await mirrors.fetch(source(revision={"commit": tag}), credential)
    assert caught.value.facts["commit"] == commit


async def test_a_server_that_gives_no_commit_by_its_hash_gives_all_branches(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
    repository.git("config", "protocol.version", "0")
    commit = repository.commit({"a.yaml": "a: 1\n"})
    repository.commit({"a.yaml": "a: 2\n"})
    assert (await mirrors.fetch(source(revision={"commit": commit}), credential)).commit == commit


async def test_a_revision_says_who_wrote_it_and_how_it_was_found(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"}, author="Ada\x1b[31m", email="ada@example.com")
    revision = await mirrors.fetch(source(), credential)
    assert revision.commit == commit
    assert revision.ref == "main"
    assert revision.author == "Ada\x1b[31m <ada@example.com>"
    assert revision.subject == "Change"
    assert revision.authored_at > 1_700_000_000


async def test_an_author_and_a_subject_are_cut_where_they_enter(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"}, "S" * 2_000_000, author="A" * 900_000)
    revision = await mirrors.fetch(source(), credential)
    assert (revision.commit, revision.author) == (commit, "A" * 255 + "…")
    assert revision.authored_at > 1_700_000_000


async def test_a_forced_push_is_seen(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    first = repository.commit({"a.yaml": "a: 1\n"})
    second = repository.commit({"a.yaml": "a: 2\n"})
    await mirrors.fetch(source(), credential)
    assert await mirrors.is_ancestor(source(), credential, first, second)
    assert await mirrors.is_ancestor(source(), credential, second, second)
    forced = repository.commit({"a.yaml": "a: 3\n"}, parent=first)
    assert (await mirrors.fetch(source(), credential)).commit == forced
    assert not await mirrors.is_ancestor(source(), credential, second, forced)
    assert await mirrors.is_ancestor(source(), credential, first, forced)
    assert not await mirrors.is_ancestor(source(), credential, "2" * 40, forced)
    with pytest.raises(SourceUnavailableError):
        await mirrors.is_ancestor(source(), credential, first, "2" * 40)
    old = await mirrors.files(source(), credential, second)
    assert old.files[0].data == b"a: 2\n"


async def test_a_missing_branch_and_a_missing_repository_are_named(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    repository.commit({"a.yaml": "a: 1\n"})
    nowhere = source(revision={"branch": "nowhere"})
    for call in (mirrors.head, mirrors.fetch):
        with pytest.raises(SourceError, match="no such branch, tag or commit") as caught:
            await call(nowhere, credential)
        assert not caught.value.transient
    with pytest.raises(SourceError, match="no such repository"):
        await mirrors.head(source(url=repository.url.replace(".git", "-not.git")), credential)
