"""What Applications of one repository and credential have in common is asked, fetched and listed once: the commands of git are counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from agent.adapters.git import command, trees
from agent.adapters.git import credential as credentials
from agent.adapters.git.sharing import Answer, Known, Question
from agent.adapters.git.trees import Tree
from agent.controllers.turns import Turns
from agent.engine.credentials import GitCredential
from agent.engine.repositories import Asked
from agent.manifests import listing
from agent.values.errors import AgentError, LimitError, SourceError, SourceUnavailableError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Sequence

    from agent.adapters.git.confined import Confined
    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from agent.engine.repositories import Snapshot
    from testbed.gitserver import GitServer
    from testbed.repository import Repository

ALWAYS = Asked(-1e9)
"""Any answer will do."""


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The commands that git was started with; a `cat-file` is GitPython's and not among them."""
    counted: Counter[str] = Counter()
    run = command.run

    def counting(confined: Confined, arguments: Sequence[str], **more: object) -> command.Outcome:
        counted[arguments[0]] += 1
        return run(confined, arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "run", counting)
    return counted


def contents(number: int, text: str = "1") -> dict[str, str]:
    """A layer for each of so many Applications."""
    return {f"apps/{each:02}/a.yaml": f"a: {text}\n" for each in range(number)}


class Fleet:
    """Applications with a layer each, in two namespaces that share the places."""

    def __init__(self, mirrors: Mirrors, source: Callable[..., Source], count: int) -> None:
        self.turns = Turns(4)
        self.most = 0
        self.mirrors = [mirrors.serving(f"u{number}", self._turn(f"team-{number % 2}")) for number in range(count)]
        self.sources = [source(layers=[f"apps/{number:02}"]) for number in range(count)]
        self.known: list[set[tuple[str, str, int]]] = [set() for _ in range(count)]

    def _turn(self, namespace: str) -> Callable[[], object]:
        @asynccontextmanager
        async def turn() -> AsyncGenerator[None]:
            async with self.turns.turn(namespace):
                self.most = max(self.most, 4 - self.turns.free)
                yield

        return turn

    async def run(self, credential: GitCredential | None, asked: Asked) -> list[Snapshot]:
        """Each asks, fetches and reads, all at once, as their runs do."""

        async def one(number: int) -> Snapshot:
            mirrors, source = self.mirrors[number], self.sources[number]
            commit = await mirrors.head(source, credential, asked)
            assert (await mirrors.fetch(source, credential, asked)).commit == commit
            found = await mirrors.files(source, credential, commit, self.known[number])
            self.known[number] = {(file.path, file.blob, file.layer) for file in found.files}
            return found

        return list(await asyncio.gather(*(one(number) for number in range(len(self.mirrors)))))


@pytest.mark.parametrize("count", [1, 100])
async def test_a_commit_costs_one_question_one_fetch_and_one_listing(
    count: int,
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    ran: Counter[str],
    gitserver: GitServer,
) -> None:
    fleet = Fleet(mirrors, source, count)
    repository.commit(contents(count))
    await fleet.run(credential, ALWAYS)
    assert (ran["ls-remote"], ran["fetch"], ran["ls-tree"]) == (1, 1, 1)

    repository.commit({"apps/00/a.yaml": "a: 2\n"})
    ran.clear()
    gitserver.requests.clear()
    found = await fleet.run(credential, Asked(asyncio.get_running_loop().time()))
    assert ran == {"ls-remote": 1, "fetch": 1, "log": 1, "ls-tree": 1}
    asked = [each.method for each in gitserver.requests if each.user and each.path.endswith("/info/refs")]
    assert len(asked) == 2, "one question and one fetch reach the server"
    assert [file.data for each in found for file in each.files] == [b"a: 2\n"] + [b""] * (count - 1), (
        "what is known is not read again"
    )


async def test_a_run_finds_the_name_of_its_mirror_once(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named: list[GitCredential | None] = []
    name = credentials.mirror_name
    monkeypatch.setattr(
        credentials, "mirror_name", lambda prints, url, login: named.append(login) or name(prints, url, login)
    )
    repository.commit(contents(1))
    fleet = Fleet(mirrors, source, 1)
    await fleet.run(credential, ALWAYS)
    assert named == [credential]
    other = GitCredential("other", Secret("password", "test:password"), credential.ca_pem)
    with pytest.raises(SourceError):
        await fleet.run(other, ALWAYS)
    assert named == [credential, other], "another credential is another mirror"


async def test_who_waits_for_an_answer_takes_no_place(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    fleet = Fleet(mirrors, source, 20)
    repository.commit(contents(20))
    await asyncio.gather(*(each.head(source(), credential, ALWAYS) for each in fleet.mirrors))
    assert fleet.most <= 2, "one that asks, and one that looks whether it has to"


async def test_another_credential_asks_for_itself_and_a_broken_one_fails_alone(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    ran: Counter[str],
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    broken = GitCredential("git", Secret("wrong", "test:password"))
    logins = [credential, broken] * 10
    answers = await asyncio.gather(*(mirrors.head(source(), each, ALWAYS) for each in logins), return_exceptions=True)
    assert answers[::2] == [commit] * 10
    assert all(isinstance(each, SourceError) for each in answers[1::2])
    assert ran["ls-remote"] == 2
    with pytest.raises(SourceError):
        await mirrors.head(source(), broken, Asked(asyncio.get_running_loop().time(), within=1e6))
    assert ran["ls-remote"] == 3, "a poll does not take an old failure"


async def test_a_poll_takes_what_another_found_and_everything_else_asks(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    ran: Counter[str],
) -> None:
    first = repository.commit({"a.yaml": "a: 1\n"})
    clock = asyncio.get_running_loop().time
    assert await mirrors.head(source(), credential, Asked(clock())) == first
    second = repository.commit({"a.yaml": "a: 2\n"})
    assert await mirrors.head(source(), credential, Asked(clock(), within=60)) == first
    assert ran["ls-remote"] == 1
    assert await mirrors.head(source(), credential, Asked(clock())) == second
    assert await mirrors.head(source(), credential, Asked(clock() + 61, within=60)) == second
    assert ran["ls-remote"] == 3


async def test_those_that_know_an_older_commit_are_named_once(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    named: list[tuple[list[str], str]] = []
    mirrors.listen(lambda uids, commit: named.append((sorted(uids), commit)))
    fleet, clock = Fleet(mirrors, source, 3), asyncio.get_running_loop().time
    repository.commit(contents(3))
    await fleet.run(credential, ALWAYS)
    second = repository.commit({"apps/00/a.yaml": "a: 2\n"})
    await fleet.mirrors[1].head(fleet.sources[1], credential, Asked(clock()))
    assert named == [(["u0", "u2"], second)]
    await fleet.run(credential, ALWAYS)
    assert len(named) == 1

    async def moves_on() -> None:
        """The branch moves between the question and the fetch."""
        asked = Asked(clock())
        await fleet.mirrors[0].head(fleet.sources[0], credential, asked)
        third = repository.commit({"apps/00/a.yaml": "a: 3\n"})
        assert (await fleet.mirrors[0].fetch(fleet.sources[0], credential, asked)).commit == second
        await fleet.mirrors[1].head(fleet.sources[1], credential, Asked(clock()))
        fourth = repository.commit({"apps/00/a.yaml": "a: 4\n"})
        assert (await fleet.mirrors[1].fetch(fleet.sources[1], credential, Asked(clock()))).commit == fourth
        assert [commit for _, commit in named[1:]] == [third, fourth]

    await moves_on()


async def test_what_a_lost_mirror_had_is_fetched_again(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.head(source(), credential, ALWAYS)
    await mirrors.fetch(source(), credential, ALWAYS)
    assert await mirrors.sweep(-1) == 1
    await mirrors.fetch(source(), credential, ALWAYS)
    assert len((await mirrors.files(source(), credential, commit)).files) == 1
    (mirror,) = (path for path in mirrors.directory.iterdir() if path.is_dir())
    mirror.rename(mirror.with_suffix(".lost"))
    with pytest.raises(SourceUnavailableError):
        await mirrors.files(source(), credential, commit)
    await mirrors.fetch(source(), credential, ALWAYS)
    assert len((await mirrors.files(source(), credential, commit)).files) == 1


NAMES = ("a", "a-b/x", "a.b/x", "a0/x", "aa/x", "b/c/x", "b/c.d/x", "b/c0", "b/ü", "z\tq")
"""Of folders and files whose order is not that of their first steps."""


@pytest.mark.parametrize("layers", [["b/c"], ["a-b", "a0", "b"], ["."]])
async def test_a_layer_of_the_whole_tree_is_what_git_lists_of_it(
    layers: list[str],
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    ran: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = repository.commit({f"{name}.yaml": f"n: {number}\n" for number, name in enumerate(NAMES)})
    first, second = make_mirrors(), make_mirrors()
    await first.fetch(source(), credential)
    shared = await first.files(source(layers=layers), credential, commit)
    assert ran["ls-tree"] == 1
    monkeypatch.setattr(trees, "MOST_BYTES", 16)
    assert await second.files(source(layers=layers), credential, commit) == shared
    assert ran["ls-tree"] == 2 + len(layers)
    for mirrors in (first, second):
        with pytest.raises(SourceError, match="no such folder"):
            await mirrors.files(source(layers=["b/c", "no"]), credential, commit)
    assert await first.tree(source(), credential, commit) == await second.tree(source(), credential, commit)


def test_a_tree_that_is_out_of_order_is_not_cut() -> None:
    lines = [b"100644 blob %040d 1\t%s\0" % (0, name) for name in (b"b/x.yaml", b"a/x.yaml")]
    assert Tree.of(b"".join(lines)).data is None
    assert Tree.of(b"".join(reversed(lines))).below(listing.Layer(0, "b")) == lines[0]


class TestOfQuestions:
    async def test_a_failure_goes_to_all_that_wait_and_to_none_that_come_later(self) -> None:
        clock = asyncio.get_running_loop().time
        question: Question[str] = Question(clock)
        go, asked = asyncio.Event(), 0

        async def work() -> str:
            nonlocal asked
            asked += 1
            await go.wait()
            raise LimitError("too large")

        def ask() -> asyncio.Task[str]:
            since = clock()
            return asyncio.ensure_future(
                question.ask(lambda answer: answer.error is None or answer.ended >= since, self.turn, work)
            )

        waiting = [ask() for _ in range(50)]
        await asyncio.sleep(0)
        go.set()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in ended] == [LimitError] * 50
        assert len({id(each) for each in ended}) == 50, "a traceback belongs to one raise"
        assert asked == 1
        with pytest.raises(LimitError):
            await ask()
        assert asked == 2

    async def test_one_that_is_cancelled_leaves_the_question_to_the_next(self) -> None:
        question: Question[str] = Question(asyncio.get_running_loop().time)
        never, answers = asyncio.Event(), ["b"]

        async def hangs() -> str:
            await never.wait()
            return "a"

        async def answer() -> str:
            return answers.pop()

        first = asyncio.ensure_future(question.ask(self.takes, self.turn, hangs))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(question.ask(self.takes, self.turn, answer))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "b"

    async def test_trees_that_do_not_fit_go_and_are_listed_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agent.adapters.git.sharing.TREES_BYTES", 30_000)
        kept, listed = Known(asyncio.get_running_loop().time).trees, list[str]()

        async def get(commit: str) -> None:
            async def work() -> Tree:
                listed.append(commit)
                if commit == "bad":
                    raise SourceError("no")
                return Tree(b"x" * 1000)

            await kept.get("m", commit, self.turn, work)

        for commit in ("a", "b", "c", "a", "d", "b"):
            await get(commit)
        assert listed == ["a", "b", "c", "d", "b"]
        for _ in range(2):
            with pytest.raises(AgentError):
                await get("bad")
        assert listed[-2:] == ["bad", "bad"]

    @staticmethod
    def takes(_: Answer[str]) -> bool:
        return True

    @staticmethod
    @asynccontextmanager
    async def turn() -> AsyncGenerator[None]:
        yield


def test_applications_of_a_ref_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.adapters.git.sharing.MOST_FOLLOWERS", 3)
    notified: list[Collection[str]] = []
    known = Known(lambda: 0.0)
    known.moved = lambda uids, _: notified.append(uids)
    ref = known.ref("m", "refs/heads/main")
    for number in range(10):
        ref.follow(f"u{number}")
        ref.waiting.clear()
    known.note(ref, "a" * 40)
    known.note(ref, "b" * 40)
    assert notified == [("u0", "u1", "u2")]


def test_refs_of_all_mirrors_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.adapters.git.sharing.MOST_REFS", 10)
    known = Known(lambda: 0.0)
    first = known.ref("m0", "refs/heads/main")
    made = [known.ref(f"m{mirror}", f"refs/heads/{ref}") for mirror in range(4) for ref in range(4)]
    kept = [
        each
        for each in made
        if any(each is known.ref(f"m{mirror}", f"refs/heads/{ref}") for mirror in (2, 3) for ref in range(4))
    ]
    assert len(kept) == 8
    assert known.ref("m0", "refs/heads/main") is not first
