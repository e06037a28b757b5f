"""What the mirrors tell of a repository, against a real server over HTTPS with a password."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.engine.credentials import GitCredential
from agent.engine.ports import Snapshot
from agent.values.errors import LimitError, SourceError, SourceUnavailableError
from agent.values.secret import Secret
from testbed.repository import Link, Submodule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.application import Source
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
    assert not [path for path in gitserver.folder.parent.iterdir() if path.name.endswith(".new")]


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
    """A server hands out what a pull request or a fork holds by its hash, and somebody else wrote it."""
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


async def test_files_come_in_layer_order_then_by_path(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit(
        {
            "envs/prod/z.yaml": "z: 1\n",
            "envs/prod/a.yml": "a: 1\n",
            "base/sub/b.json": "{}",
            "base/a.yaml": b"\xff\x00raw",
            "base/README.md": "no manifest",
            "base/.sops.yaml": "rules: []",
            "base/.hidden/c.yaml": "c: 1\n",
            "base/kustomization.yaml": "k: 1\n",
            "other/d.yaml": "d: 1\n",
        }
    )
    layered = source(layers=["base", "./envs/prod/"])
    await mirrors.fetch(layered, credential)
    snapshot = await mirrors.files(layered, credential, commit)
    assert [(file.path, file.layer) for file in snapshot.files] == [
        ("base/a.yaml", 0),
        ("base/kustomization.yaml", 0),
        ("base/sub/b.json", 0),
        ("envs/prod/a.yml", 1),
        ("envs/prod/z.yaml", 1),
    ]
    assert snapshot.files[0].data == b"\xff\x00raw"
    assert snapshot.files[0].blob == repository.git("rev-parse", f"{commit}:base/a.yaml")
    assert snapshot.refused == ()


GLOBS = [
    ([], [], {"a.yaml", "x/b.yaml", "x/y/c.yaml"}),
    (["*.yaml"], [], {"a.yaml"}),
    (["**/*.yaml"], [], {"a.yaml", "x/b.yaml", "x/y/c.yaml"}),
    (["x/**"], [], {"x/b.yaml", "x/y/c.yaml"}),
    (["x/"], ["x/y/"], {"x/b.yaml"}),
    (["x/*"], [], {"x/b.yaml"}),
    (["**/y/**"], [], {"x/y/c.yaml"}),
    ([], ["**/?.yaml"], set[str]()),
    (["/a.yaml"], [], {"a.yaml"}),
    (["[a].yaml"], [], set[str]()),
]


@pytest.mark.parametrize(("include", "exclude", "expected"), GLOBS)
async def test_globs_choose_files(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    include: list[str],
    exclude: list[str],
    expected: set[str],
) -> None:
    commit = repository.commit(dict.fromkeys(["a.yaml", "x/b.yaml", "x/y/c.yaml"], "a: 1\n"))
    chosen = source(include=include, exclude=exclude)
    await mirrors.fetch(chosen, credential)
    snapshot = await mirrors.files(chosen, credential, commit)
    assert {file.path for file in snapshot.files} == expected


async def test_what_is_no_plain_small_file_is_refused_by_name_and_the_rest_read(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(limits={"fileBytes": 2048})
    commit = repository.commit(
        {
            "app/good.yaml": "a: 1\n",
            "app/big.yaml": b"#" * 2049,
            "app/big.bin": b"#" * 5000,
            "app/passwd.yaml": Link("/etc/passwd"),
            "app/folder": Link("../other"),
            "app/out": Link("../../.."),
            "app/LICENSE": Link("../LICENSE"),
            "app/module": Submodule("1" * 40),
            "app/ignored.yaml": Link("good.yaml"),
            "app/broken-\udcff.yaml": "a: 1\n",
            "LICENSE": "free",
            "other/x.yaml": "x: 1\n",
        }
    )
    one = source(layers=["app"], exclude=["**/ignored.yaml"])
    await mirrors.fetch(one, credential)
    snapshot = await mirrors.files(one, credential, commit)
    assert [file.path for file in snapshot.files] == ["app/good.yaml"]
    assert {path: (error.reason, error.message) for path, error in snapshot.refused} == {
        "app/big.yaml": ("Limit", "larger than the agent accepts"),
        "app/passwd.yaml": ("UnsupportedManifest", "symbolic links are not followed"),
        "app/folder": ("UnsupportedManifest", "symbolic links are not followed"),
        "app/out": ("UnsupportedManifest", "symbolic links are not followed"),
        "app/module": ("UnsupportedManifest", "submodules are not followed"),
        "app/broken-\\xff.yaml": ("Manifest", "the file's name is not UTF-8"),
    }
    assert all(error.facts["file"] == path and error.facts["layer"] == "app" for path, error in snapshot.refused)


LAYERS = [
    (["missing"], "no such folder"),
    (["a.yaml"], "no such folder"),
    (["link"], "no such folder"),
    (["x", "x/y"], "is inside another one"),
    ([".", "x"], "is inside another one"),
    ([".git"], "must be a folder of the repository"),
]


@pytest.mark.parametrize(("layers", "message"), LAYERS)
async def test_a_layer_that_is_no_folder_of_the_commit_is_an_error(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    layers: list[str],
    message: str,
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n", "x/y/c.yaml": "a: 1\n", "link": Link("x")})
    layered = source(layers=layers)
    await mirrors.fetch(layered, credential)
    with pytest.raises(SourceError, match=message) as caught:
        await mirrors.files(layered, credential, commit)
    assert not caught.value.transient


async def test_more_files_than_the_limit_are_an_error(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(limits={"objects": 3})
    commit = repository.commit({f"{number}.yaml": "a: 1\n" for number in range(5)})
    await mirrors.fetch(source(), credential)
    with pytest.raises(LimitError, match="more files than the agent accepts"):
        await mirrors.files(source(), credential, commit)


async def test_links_and_refused_files_count_as_files(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    """Each link costs questions to git, and each refusal is kept and shown."""
    mirrors = make_mirrors(limits={"objects": 30})
    commit = repository.commit({f"{number}.link": Link("nowhere/") for number in range(31)})
    await mirrors.fetch(source(), credential)
    with pytest.raises(LimitError, match="more files than the agent accepts"):
        await mirrors.files(source(), credential, commit)
    excluded = source(exclude=["*.link"])
    assert await mirrors.files(excluded, credential, commit) == Snapshot(())


async def test_a_path_that_is_too_long_is_refused_by_its_beginning(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    """Each object remembers the files that it comes from, and there may be fifty thousand in one."""
    long = "/".join(["folder" * 30] * 40)
    commit = repository.commit({"a.yaml": "a: 1\n", f"{long}/b.yaml": "a: 1\n", f"{long}/notes.txt": "x"})
    await mirrors.fetch(source(), credential)
    snapshot = await mirrors.files(source(), credential, commit)
    assert [file.path for file in snapshot.files] == ["a.yaml"]
    [(path, error)] = snapshot.refused
    assert len(path) == 512
    assert len(str(error)) < 700
    assert error.message == "the file's path is longer than the agent accepts"


async def test_an_author_is_cut_where_it_enters(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    repository.commit({"a.yaml": "a: 1\n"}, author="A" * 900_000)
    revision = await mirrors.fetch(source(), credential)
    assert revision.author == "A" * 255 + "…"
    assert revision.authored_at > 1_700_000_000


async def test_layers_over_the_limit_are_refused_before_they_are_read(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(limits={"manifestBytes": 4096})
    commit = repository.commit({f"{name}.yaml": f"a: {'x' * 2000}\n" for name in "abc"})
    await mirrors.fetch(source(), credential)
    with pytest.raises(LimitError, match="layers hold more than the agent accepts"):
        await mirrors.files(source(), credential, commit)


async def test_a_repository_over_the_limit_is_not_kept(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    tmp_path: Path,
) -> None:
    import random

    mirrors = make_mirrors(limits={"repositoryBytes": 1024 * 1024})
    repository.commit({"noise.bin": random.Random(1).randbytes(2 * 1024 * 1024)})
    with pytest.raises(LimitError, match="repository is larger"):
        await mirrors.fetch(source(), credential)
    assert not [path for path in (tmp_path / "mirrors").iterdir() if path.is_dir()]


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


async def test_a_mirror_survives_a_restart_and_stale_locks(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    tmp_path: Path,
    gitserver: GitServer,
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    await make_mirrors().fetch(source(), credential)
    (mirror,) = (path for path in (tmp_path / "mirrors").iterdir() if path.is_dir())
    for lock in ("config.lock", "packed-refs.lock", "objects/pack/tmp_pack_x"):
        (mirror / lock).write_bytes(b"x")
    for lock in list(mirror.glob("refs/signet/*")):
        lock.with_name(lock.name + ".lock").write_bytes(b"x")
    again = make_mirrors()
    assert [file.path for file in (await again.files(source(), credential, commit)).files] == ["a.yaml"]
    newer = repository.commit({"a.yaml": "a: 2\n"})
    assert (await again.fetch(source(), credential)).commit == newer
    assert not list(mirror.glob("objects/pack/tmp_*"))


async def test_a_damaged_mirror_is_fetched_anew(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({f"{number}.yaml": f"a: {number}\n" for number in range(300)})
    damages: list[Callable[[Path], object]] = [
        lambda mirror: [pack.write_bytes(pack.read_bytes()[:500]) for pack in mirror.glob("objects/pack/*.pack")],
        lambda mirror: [pack.unlink() for pack in mirror.glob("objects/pack/*")],
        lambda mirror: [ref.write_bytes(b"") for ref in mirror.glob("refs/signet/*")],
        lambda mirror: (mirror / "config").write_bytes(b"\0\0"),
        lambda mirror: (mirror / "objects").rename(mirror / "lost"),
    ]
    for damage in damages:
        await mirrors.fetch(source(), credential)
        (mirror,) = (path for path in mirrors.directory.iterdir() if path.is_dir())
        for pack in mirror.glob("objects/pack/*"):
            pack.chmod(0o600)
        damage(mirror)
        for attempt in range(3):
            try:
                await mirrors.fetch(source(), credential)
                snapshot = await mirrors.files(source(), credential, commit)
            except SourceUnavailableError:
                assert attempt < 2
            else:
                assert len(snapshot.files) == 300
                break


async def test_a_tree_of_endless_paths_is_an_error(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    repository.commit({"a.yaml": "a: 1\n"})
    tree = repository.git("rev-parse", "main^{tree}")
    for _ in range(8):
        entries = "".join(f"040000 tree {tree}\tfolder-with-a-long-name-{number}\n" for number in range(12))
        tree = repository.git("mktree", stdin=entries.encode())
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    commit = repository.git(*who, "commit-tree", tree, "-m", "bomb")
    repository.reset(commit)
    await mirrors.fetch(source(), credential)
    with pytest.raises(LimitError, match="lists more files"):
        await mirrors.files(source(), credential, commit)


async def test_many_fetches_leave_few_packs(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(packs=3)
    first = repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), credential)
    lost = repository.commit({"a.yaml": "a: lost\n"})
    await mirrors.fetch(source(), credential)
    for number in range(5):
        commit = repository.commit({"a.yaml": f"a: {number}\n"}, parent=first if number == 0 else None)
        await mirrors.fetch(source(), credential)
    (mirror,) = (path for path in mirrors.directory.iterdir() if path.is_dir())
    assert len(list(mirror.glob("objects/pack/*.pack"))) <= 4
    assert (await mirrors.files(source(), credential, commit)).files[0].data == b"a: 4\n"
    assert (await mirrors.files(source(), credential, lost)).files[0].data == b"a: lost\n"


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


async def test_a_server_that_is_away_is_transient_and_comes_back(
    mirrors: Mirrors,
    repository: Repository,
    gitserver: GitServer,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), credential)
    with gitserver.away():
        for call in (mirrors.head, mirrors.fetch):
            with pytest.raises(SourceUnavailableError):
                await call(source(), credential)
        assert (await mirrors.files(source(), credential, commit)).files
    assert await mirrors.head(source(), credential) == commit


async def test_concurrent_fetches_of_one_mirror_agree(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    revisions = await asyncio.gather(*(mirrors.fetch(source(), credential) for _ in range(6)))
    assert {revision.commit for revision in revisions} == {commit}


async def test_mirrors_that_nobody_fetches_into_are_swept(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), credential)
    assert await mirrors.sweep(3600) == 0
    assert await mirrors.sweep(-1) == 1
    assert len(mirrors._locks) == 0
    with pytest.raises(SourceUnavailableError, match="does not have this commit"):
        await mirrors.files(source(), credential, commit)
    await mirrors.fetch(source(), credential)
    assert (await mirrors.files(source(), credential, commit)).files


async def test_another_credential_is_another_mirror(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), credential)
    for stranger in (
        None,
        GitCredential("git", Secret("wrong", "test:wrong"), credential.ca_pem),
        GitCredential("other", credential.password, credential.ca_pem),
        GitCredential(credential.username, credential.password, ""),
    ):
        with pytest.raises(SourceUnavailableError, match="does not have this commit"):
            await mirrors.files(source(), stranger, commit)
