"""What a repository and its server may cost: memory and processor time of each git, and blobs that are never asked for."""

from __future__ import annotations

import asyncio
import random
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import delta_packs
import pytest
from delta_packs import MIB
from test_git_safety import PASSWORD, answering, hanging_server, http_server, until

from agent.adapters.git import command, reading
from agent.engine.credentials import GitCredential
from agent.manifests import listing
from agent.values.errors import LimitError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from testbed.gitserver import GitServer
    from testbed.repository import Repository

MEMORY = "git needs more memory than its limit"


def limits_of(part: str) -> list[dict[str, str]]:
    """What the kernel holds every process to whose argument list names `part`: the soft limit by its name."""
    found: list[dict[str, str]] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if part.encode() in (folder / "cmdline").read_bytes():
                    lines = (folder / "limits").read_text().splitlines()[1:]
                    found.append({line[:26].strip(): line[26:].split()[0] for line in lines})
            except OSError:
                continue
    return found


@pytest.mark.parametrize(("method", "expected"), [("head", 64 * MIB), ("fetch", 80 * MIB)])
async def test_every_process_of_git_has_limits(
    method: str, expected: int, make_mirrors: Callable[..., Mirrors], source: Callable[..., Source]
) -> None:
    with hanging_server() as (url, received):
        git = {"allowHttp": True, "allowedHosts": [url.partition("://")[2]]}
        mirrors = make_mirrors(git=git, limits={"gitBytes": 80 * MIB})
        login = GitCredential("git", Secret(PASSWORD, "test:password"))
        task = asyncio.ensure_future(getattr(mirrors, method)(source(url=f"{url}/r.git"), login))
        await until(lambda: any("authorization" in request for request in received))
        seen = limits_of(url)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(seen) >= 2
    assert {limits["Max address space"] for limits in seen} == {str(expected)}
    assert {limits["Max cpu time"] for limits in seen} == {"20"}


async def test_a_small_repository_that_unfolds_to_much_is_an_error_that_says_so(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    delta_packs.zeros(repository, base=MIB, unfolded=160 * MIB)
    with pytest.raises(LimitError) as caught:
        await mirrors.fetch(source(), credential)
    assert (caught.value.message, caught.value.facts["repository"]) == (MEMORY, repository.url)
    assert caught.value.facts["limit"] == 96 * MIB
    assert "limits.gitBytes" in caught.value.hint
    # Another branch of it is read as ever.
    commit = repository.commit({"a.yaml": "a: 1\n"}, branch="good")
    sound = source(revision={"branch": "good"})
    await mirrors.fetch(sound, credential)
    assert [file.data for file in (await mirrors.files(sound, credential, commit)).files] == [b"a: 1\n"]


async def test_a_file_that_takes_too_much_to_read_is_an_error_that_says_so(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    commit = delta_packs.zeros(repository, base=128 * MIB, unfolded=1000)
    await make_mirrors(limits={"gitBytes": 1024 * MIB}).fetch(source(), credential)
    with pytest.raises(LimitError) as caught:
        await make_mirrors().files(source(), credential, commit)
    assert (caught.value.message, caught.value.facts["repository"]) == (MEMORY, repository.url)
    snapshot = await make_mirrors(limits={"gitBytes": 1024 * MIB}).files(source(), credential, commit)
    assert [file.data for file in snapshot.files] == [bytes(1000)]


async def test_large_files_cost_no_memory(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"large.bin": bytes(128 * MIB), "a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), credential)
    assert [file.path for file in (await mirrors.files(source(), credential, commit)).files] == ["a.yaml"]


async def test_a_repository_as_large_as_the_agent_takes_is_read_within_the_limits(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(git={"timeoutSeconds": 300})
    repository.git("config", "core.compression", "0")
    repository.git("config", "core.bigFileThreshold", "1m")
    files: dict[str, bytes] = {f"{number}.bin": random.Random(number).randbytes(3 * MIB) for number in range(168)}
    commit = repository.commit({**files, "first.yaml": "a: 1\n", "z/last.yaml": "a: 2\n"})
    await mirrors.fetch(source(), credential)
    (mirror,) = (path for path in mirrors.directory.iterdir() if path.is_dir())
    assert sum(pack.stat().st_size for pack in mirror.glob("objects/pack/*.pack")) > 500 * MIB
    snapshot = await mirrors.files(source(), credential, commit)
    assert [file.data for file in snapshot.files] == [b"a: 1\n", b"a: 2\n"]


def endless(head: bytes, line: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """A server of protocol version 2 whose list of refs, or its first answer where `line` is of that, never ends."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        lists = handler.command == "POST"
        kind = "result" if lists else "advertisement"
        handler.send_response(200)
        handler.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
        handler.end_headers()
        if not lists:
            handler.wfile.write(head)
        if lists or b"refs/" not in line:
            while True:
                handler.wfile.write(line * 4000)

    return answer


HEAD = b"001e# service=git-upload-pack\n0000000eversion 2\n"
ENDLESS = {
    "advertisement": (HEAD, b"0010agent=git/9\n"),
    "refs": (HEAD + b"000cls-refs\n000afetch\n0000", b"003f" + b"1" * 40 + b" refs/heads/branch\n"),
}


@pytest.mark.parametrize("method", ["head", "fetch"])
@pytest.mark.parametrize("answer", ENDLESS)
async def test_a_list_of_refs_that_never_ends_is_cut(
    method: str, answer: str, make_mirrors: Callable[..., Mirrors], source: Callable[..., Source]
) -> None:
    with http_server(endless(*ENDLESS[answer])) as (url, _):
        mirrors = make_mirrors(git={"allowHttp": True, "allowedHosts": [url.partition("://")[2]]})
        with pytest.raises(LimitError) as caught:
            await getattr(mirrors, method)(source(url=f"{url}/r.git"), None)
    assert (caught.value.message, caught.value.facts["repository"]) == (MEMORY, f"{url}/r.git")


async def test_what_a_server_says_is_not_taken_for_a_limit_of_ours(
    make_mirrors: Callable[..., Mirrors], source: Callable[..., Source]
) -> None:
    body = "001e# service=git-upload-pack\n0000001bERR fatal: out of memory"
    with http_server(answering(200, body, Content_Type="application/x-git-upload-pack-advertisement")) as (url, _):
        mirrors = make_mirrors(git={"allowHttp": True, "allowedHosts": [url.partition("://")[2]]})
        with pytest.raises(Exception, match="git failed"):
            await mirrors.head(source(url=f"{url}/r.git"), None)


def test_processor_time_is_limited(tmp_path: Path) -> None:
    confined = command.confined(tmp_path, address_space=64 * MIB, cpu_seconds=1)
    confined.configuration["alias.spin"] = "!while :; do :; done"
    with pytest.raises(LimitError, match="more CPU time") as caught:
        command.run(confined, ["spin"], seconds=60, cancelled=threading.Event())
    assert caught.value.facts["limit"] == 1


async def test_blobs_over_the_limit_are_not_fetched_where_the_server_can_leave_them_out(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    gitserver: GitServer,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(limits={"fileBytes": 2048, "repositoryBytes": MIB}, packs=2)
    repository.git("config", "uploadpack.allowFilter", "true")
    noise = random.Random(1).randbytes(2 * MIB)
    files = {"big.bin": noise, "big.yaml": noise, "a.yaml": "a: 1\n", "full.yaml": "#" * 2048}
    repository.commit(files)
    commits: list[str] = []
    # The last is a change of what the mirror never had: a server may send it as a delta of that.
    for number, big in enumerate([noise, noise, noise, noise[:-1], b"big: 1\n"]):
        commits.append(repository.commit({**files, "a.yaml": f"a: {number}\n", "big.yaml": big}))
        assert (await mirrors.fetch(source(), credential)).commit == commits[-1]
    gitserver.requests.clear()
    for commit, number in zip(commits[:4], range(4), strict=True):
        snapshot = await mirrors.files(source(), credential, commit)
        assert {file.path: file.data for file in snapshot.files}["a.yaml"] == b"a: %d\n" % number
        assert [file.path for file in snapshot.files] == ["a.yaml", "full.yaml"]
        ((path, error),) = snapshot.refused
        assert (path, error.reason, error.message) == ("big.yaml", "Limit", "larger than the agent accepts")
    snapshot = await mirrors.files(source(), credential, commits[4])
    assert [file.path for file in snapshot.files] == ["a.yaml", "big.yaml", "full.yaml"]
    assert gitserver.requests == []
    assert await mirrors.is_ancestor(source(), credential, commits[0], commits[4])


async def test_a_larger_limit_brings_what_was_left_out(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    commit = repository.commit({"a.yaml": "#" * 3000})
    for limit, read in ((2048, 0), (4096, 1), (2048, 0)):
        mirrors = make_mirrors(limits={"fileBytes": limit})
        await mirrors.fetch(source(), credential)
        snapshot = await mirrors.files(source(), credential, commit)
        assert (len(snapshot.files), len(snapshot.refused)) == (read, 1 - read)


async def test_looking_at_paths_has_an_end(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), credential)
    monkeypatch.setattr(reading, "_LOOKING", 0)
    with pytest.raises(LimitError, match="takes too long"):
        await mirrors.files(source(), credential, commit)


def test_a_long_listing_takes_no_memory_of_its_own() -> None:
    """Its lines, all at once, took three times as much."""
    line = b"100644 blob " + b"a" * 40 + b"       1\tnotes/%06d.txt\0"
    text = b"".join(line % number for number in range(100_000))
    everything = SimpleNamespace(include=(), exclude=())
    layer = listing.Layer(0, ".")
    selection = listing.Selection(everything, file_bytes=1, files=1, check=lambda: None)  # pyright: ignore[reportArgumentType]
    tracemalloc.start()
    try:
        assert selection.of(listing.parse(text, layer), layer, lambda _: False) == ([], [])
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [513, 1025, 100_000])
def test_a_path_that_no_glob_is_asked_of_is_refused(length: int) -> None:
    path = f"{'a' * (length - 5)}.yaml"
    text = b"100644 blob " + b"a" * 40 + b"       1\t" + path.encode() + b"\0"
    layer = listing.Layer(0, ".")
    everything = SimpleNamespace(include=(), exclude=())
    selection = listing.Selection(everything, file_bytes=9, files=9, check=lambda: None)  # pyright: ignore[reportArgumentType]
    taken, refused = selection.of(listing.parse(text, layer), layer, lambda _: False)
    assert (taken, [error.message for _, error in refused]) == (
        [],
        ["the file's path is longer than the agent accepts"],
    )
