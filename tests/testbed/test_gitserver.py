"""Git over HTTP: who may read, what a commit can hold, and a server that goes away."""

import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from testbed.gitserver import GitServer
from testbed.repository import GitError, Link, Repository, Submodule


@pytest.fixture(scope="module", params=["https", "http"])
def server(request: pytest.FixtureRequest) -> Generator[GitServer]:
    with GitServer(tls=request.param == "https") as running:
        yield running


@pytest.fixture
def served(server: GitServer, tmp_path: Path) -> Repository:
    return server.create(tmp_path.name)


def git(server: GitServer, *args: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSL_CAINFO": str(server.ca_file),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    return subprocess.run(["git", *args], env=env, capture_output=True, text=True, check=False)


def test_a_clone_needs_the_password(server: GitServer, served: Repository, tmp_path: Path) -> None:
    served.commit({"a/app.yaml": "kind: ConfigMap\n"})
    assert git(server, "clone", served.url, str(tmp_path / "none")).returncode == 128
    wrong = served.url.replace("://", "://git:wrong@")
    assert git(server, "clone", wrong, str(tmp_path / "wrong")).returncode == 128
    assert git(server, "clone", server.url_with_password(served), str(tmp_path / "right")).returncode == 0
    assert (tmp_path / "right" / "a" / "app.yaml").read_text() == "kind: ConfigMap\n"


def test_a_changed_password_is_asked_for_at_once(server: GitServer, served: Repository) -> None:
    served.commit({"a": "1"})
    before, old = server.url_with_password(served), server.password
    server.password = "rotated"
    try:
        assert git(server, "ls-remote", before).returncode == 128
        assert git(server, "ls-remote", server.url_with_password(served)).returncode == 0
    finally:
        server.password = old


def test_a_push_of_many_bytes_arrives(server: GitServer, served: Repository, tmp_path: Path) -> None:
    served.commit({"a": "1"})
    work = str(tmp_path / "work")
    git(server, "clone", server.url_with_password(served), work)
    (tmp_path / "work" / "big").write_bytes(os.urandom(3 << 20))
    git(server, "-C", work, "add", ".")
    git(server, "-C", work, "-c", "user.name=Dev", "-c", "user.email=dev@example.com", "commit", "-m", "Big")
    assert git(server, "-C", work, "push").returncode == 0
    assert served.git("cat-file", "-s", "main:big") == str(3 << 20)


def test_commits_hold_any_path_and_links(served: Repository) -> None:
    sha = served.commit(
        {'we"ird\\\tü\n.yaml': b"\0\xff", "link": Link("../../outside"), "module": Submodule("1" * 40), "a/b": "text"}
    )
    listed = served.git("ls-tree", "-r", "-z", sha)
    modes = {line.split("\t", 1)[1]: line[:6] for line in listed.split("\0") if line}
    assert modes == {'we"ird\\\tü\n.yaml': "100644", "link": "120000", "module": "160000", "a/b": "100644"}
    assert served.git("cat-file", "blob", f"{sha}:link") == "../../outside"


def test_none_deletes_a_file_or_a_folder(served: Repository) -> None:
    served.commit({"a/one": "1", "a/two": "2", "b": "3", "c": "4"})
    served.commit({"a": None, "b": None})
    assert served.git("ls-tree", "-r", "--name-only", "main") == "c"


def test_history_can_be_rewritten(served: Repository) -> None:
    first = served.commit({"a": "1"})
    second = served.commit({"a": "2"})
    forced = served.commit({"a": "3"}, parent=first)
    assert served.git("rev-list", "main").split() == [forced, first]
    served.reset(second)
    assert served.head() == second


def test_branches_and_tags(served: Repository) -> None:
    first = served.commit({"a": "1"})
    other = served.commit({"a": "2"}, branch="release", parent=first)
    served.tag("light", first)
    served.tag("annotated", other, message="Release")
    assert served.head("release") == other
    assert served.git("rev-parse", "annotated^{commit}", "light^{commit}").split() == [other, first]
    served.delete_branch("release")
    with pytest.raises(GitError):
        served.head("release")


def test_authors_are_as_given(served: Repository) -> None:
    sha = served.commit({"a": "1"}, "Subject\n\nBody", author="Ann", email="ann@example.com")
    assert served.git("show", "--no-patch", "--format=%an <%ae> %B", sha) == "Ann <ann@example.com> Subject\n\nBody"


def test_a_stopped_server_comes_back_at_the_same_address(server: GitServer, served: Repository) -> None:
    served.commit({"a": "1"})
    with server.away():
        assert git(server, "ls-remote", server.url_with_password(served)).returncode == 128
    assert git(server, "ls-remote", server.url_with_password(served)).returncode == 0


def test_requests_are_counted(server: GitServer, served: Repository, tmp_path: Path) -> None:
    served.commit({"a": "1"})
    url = server.url_with_password(served)
    work = str(tmp_path / "work")
    server.requests.clear()
    git(server, "clone", url, work)
    assert sum(request.fetches for request in server.requests if request.user) > 0
    server.requests.clear()
    assert git(server, "ls-remote", url).returncode == 0
    answered = [request for request in server.requests if request.user]
    assert {request.status for request in answered} == {200}
    assert {request.user for request in answered} == {"git"}
