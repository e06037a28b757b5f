"""What a mirror on disk survives, when it is fetched again or removed, and which credentials it serves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.engine.credentials import GitCredential
from agent.values.errors import LimitError, SourceUnavailableError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from testbed.gitserver import GitServer
    from testbed.repository import Repository


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


async def test_a_damaged_mirror_is_fetched_again(
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


async def test_mirrors_that_are_not_fetched_into_are_swept(
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
