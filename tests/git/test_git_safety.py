"""What a repository, its server and this machine may not do: see or keep a credential, lead elsewhere, run anything, be quoted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.adapters.git import addresses
from agent.api import model
from agent.api.operator import GitSettings
from agent.engine.credentials import GitCredential
from agent.values.errors import SourceError, SourceUnavailableError
from agent.values.secret import Secret
from testbed.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from testbed.gitserver import GitServer
    from testbed.repository import Repository

PASSWORD = "c4n4ry päss/w&rd"
CANARY = "c4n4ry-words-of-the-server"


@contextlib.contextmanager
def http_server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Generator[tuple[str, list[dict[str, str]]]]:
    """A server of ours on plain HTTP: its URL and the headers of every request that it got."""
    received: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append({"path": self.path, **{name.lower(): text for name, text in self.headers.items()}})
            with contextlib.suppress(OSError):
                answer(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answering(status: int, body: str = "", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, text in {"Content-Type": "text/plain", **headers}.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.send_header("Content-Length", str(len(body.encode())))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return answer


def spellings(text: str) -> list[bytes]:
    raw = text.encode()
    pair = base64.b64encode(b"git:" + raw)
    return [raw, base64.b64encode(raw), pair, urllib.parse.quote(text, safe="").encode(), raw.hex().encode()]


def processes(part: str) -> dict[int, bytes]:
    """Argument lists and environments of all processes whose argument list names `part`."""
    found: dict[int, bytes] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                arguments = (folder / "cmdline").read_bytes()
                if part.encode() in arguments:
                    found[int(folder.name)] = arguments + (folder / "environ").read_bytes()
    return found


async def until(check: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "the condition never came"
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def hanging_server() -> Generator[tuple[str, list[dict[str, str]]]]:
    """Asks for a credential, takes it, and then says nothing more."""
    release = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if "authorization" not in {name.lower() for name in handler.headers}:
            answering(401, WWW_Authenticate='Basic realm="x"')(handler)
        else:
            release.wait(300)

    with http_server(answer) as served:
        try:
            yield served
        finally:
            release.set()


@pytest.mark.parametrize("method", ["head", "fetch"])
async def test_a_credential_is_in_no_argument_list_environment_or_file_and_a_cancelled_git_ends(
    method: str, make_mirrors: Callable[..., Mirrors], source: Callable[..., Source]
) -> None:
    with hanging_server() as (url, received):
        mirrors = make_mirrors(git={"allowHttp": True, "allowedHosts": [url.partition("://")[2]]})
        credential = GitCredential("git", Secret(PASSWORD, "test:password"))
        task = asyncio.ensure_future(getattr(mirrors, method)(source(url=f"{url}/r.git"), credential))
        await until(lambda: any("authorization" in request for request in received))
        sent = next(request["authorization"] for request in received if "authorization" in request)
        assert sent == "Basic " + base64.b64encode(f"git:{PASSWORD}".encode()).decode()
        seen = processes(url)
        assert seen
        everything = b"".join(seen.values())
        everything += b"".join(path.read_bytes() for path in mirrors.directory.rglob("*") if path.is_file())
        assert [text for text in spellings(PASSWORD) if text in everything] == []
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not processes(url))


async def test_a_server_that_says_nothing_is_left_after_the_timeout(
    make_mirrors: Callable[..., Mirrors], source: Callable[..., Source]
) -> None:
    with hanging_server() as (url, _):
        git = {"allowHttp": True, "allowedHosts": [url.partition("://")[2]], "timeoutSeconds": 1}
        mirrors = make_mirrors(git=git)
        credential = GitCredential("git", Secret(PASSWORD, "test:password"))
        with pytest.raises(SourceUnavailableError, match="did not answer in time"):
            await mirrors.head(source(url=f"{url}/r.git"), credential)
        await until(lambda: not processes(url))


async def test_closing_ends_what_runs(make_mirrors: Callable[..., Mirrors], source: Callable[..., Source]) -> None:
    with hanging_server() as (url, received):
        mirrors = make_mirrors(git={"allowHttp": True, "allowedHosts": [url.partition("://")[2]]})
        credential = GitCredential("git", Secret(PASSWORD, "test:password"))
        task = asyncio.ensure_future(mirrors.head(source(url=f"{url}/r.git"), credential))
        await until(lambda: any("authorization" in request for request in received))
        started = time.monotonic()
        await mirrors.close()
        with pytest.raises(SourceUnavailableError):
            await task
        assert time.monotonic() - started < 30, "before the timeout of a minute"
        await until(lambda: not processes(url))


async def test_a_redirect_is_not_followed_and_no_credential_goes_there(
    make_mirrors: Callable[..., Mirrors], source: Callable[..., Source]
) -> None:
    with http_server(answering(200)) as (elsewhere, stolen):
        for status in (301, 302, 307, 308):
            with http_server(answering(status, Location=f"{elsewhere}/r.git/info/refs")) as (url, _):
                hosts = [url.partition("://")[2], elsewhere.partition("://")[2]]
                mirrors = make_mirrors(git={"allowHttp": True, "allowedHosts": hosts})
                credential = GitCredential("git", Secret(PASSWORD, "test:password"))
                for call in (mirrors.head, mirrors.fetch):
                    with pytest.raises(SourceError, match="redirects are not followed"):
                        await call(source(url=f"{url}/r.git"), credential)
        assert stolen == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_no_word_of_the_server_comes_into_an_error(
    status: int, make_mirrors: Callable[..., Mirrors], source: Callable[..., Source]
) -> None:
    body = f"{CANARY}\nfatal: {CANARY}\nerror: {CANARY}"
    with http_server(answering(status, body, WWW_Authenticate=f'Basic realm="{CANARY}"')) as (url, _):
        mirrors = make_mirrors(git={"allowHttp": True, "allowedHosts": [url.partition("://")[2]]})
        with pytest.raises(SourceError) as caught:
            await mirrors.head(source(url=f"{url}/r.git"), GitCredential("git", Secret(PASSWORD, "test:password")))
        error = caught.value
        assert error.transient == (status in {400, 429, 500, 503})
        shown = f"{error} {error.hint} {error.facts} {error!r} {error.__cause__!r} {error.__context__!r}"
        assert CANARY not in shown
        assert PASSWORD not in shown


async def test_a_wrong_password_and_none_are_refused(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    repository.commit({"a.yaml": "a: 1\n"})
    for wrong, message in (
        (GitCredential("git", Secret("wrong", "test:wrong"), credential.ca_pem), "refuses the credential"),
        (GitCredential("", None, credential.ca_pem), "asks for a user name and a password"),
    ):
        for call in (mirrors.head, mirrors.fetch):
            with pytest.raises(SourceError, match=message) as caught:
                await call(source(), wrong)
            assert not caught.value.transient


async def test_a_rotated_password_is_taken_up(
    mirrors: Mirrors,
    repository: Repository,
    gitserver: GitServer,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), credential)
    before = gitserver.password
    gitserver.password = "rotated"
    try:
        with pytest.raises(SourceError, match="refuses the credential"):
            await mirrors.fetch(source(), credential)
        rotated = GitCredential(gitserver.username, Secret("rotated", "test:password"), credential.ca_pem)
        assert (await mirrors.fetch(source(), rotated)).commit == commit
    finally:
        gitserver.password = before


@pytest.mark.parametrize("password", ["a\nurl=https://evil", "a\rb", "a\0b", "x" * 20_000])
async def test_a_credential_that_would_break_the_protocol_is_refused(
    mirrors: Mirrors, source: Callable[..., Source], password: str
) -> None:
    with pytest.raises(SourceError, match="line break or is too long") as caught:
        await mirrors.head(source(), GitCredential("git", Secret(password, "test:password")))
    assert password not in str(caught.value)


async def test_an_authority_that_is_not_configured_is_not_trusted(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    gitserver: GitServer,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    bare = GitCredential(credential.username, credential.password)
    with pytest.raises(SourceError, match="certificate is not trusted"):
        await make_mirrors().head(source(), bare)
    assert await make_mirrors(git={"caFile": str(gitserver.ca_file)}).head(source(), bare) == commit


@pytest.mark.parametrize("method", ["head", "fetch"])
async def test_an_authority_counts_instead_of_those_of_the_system(
    method: str, make_mirrors: Callable[..., Mirrors], source: Callable[..., Source]
) -> None:
    with hanging_server() as (url, received):
        mirrors = make_mirrors(git={"allowHttp": True, "allowedHosts": [url.partition("://")[2]]})
        credential = GitCredential("git", Secret(PASSWORD, "test:password"), Authority.create("own").pem)
        task = asyncio.ensure_future(getattr(mirrors, method)(source(url=f"{url}/r.git"), credential))
        await until(lambda: received)
        # a folder that curl was built with would count beside the file, and is read for each connection
        assert any(b"http.sslCAPath=/nonexistent" in each for each in processes(url).values())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_environment_and_configuration_of_the_machine_do_not_count(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    marker = tmp_path / "ran"
    config = f'[url "https://elsewhere.invalid/"]\n\tinsteadOf = https://\n[credential]\n\thelper = "!touch {marker}; true"\n'
    (tmp_path / ".gitconfig").write_text(config)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    for name, text in {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.proxy",
        "GIT_CONFIG_VALUE_0": "http://127.0.0.1:9",
        "GIT_CONFIG_PARAMETERS": "'http.proxy=http://127.0.0.1:9'",
        "https_proxy": "http://127.0.0.1:9",
        "GIT_DIR": "/nonexistent",
        "GIT_OBJECT_DIRECTORY": "/nonexistent",
        "GIT_SSL_NO_VERIFY": "1",
        "GIT_ASKPASS": str(tmp_path / "askpass"),
        "GIT_TRACE": str(tmp_path / "trace"),
        "GIT_TRACE_CURL": str(tmp_path / "trace"),
        "GIT_EXTERNAL_DIFF": f"touch {marker}",
    }.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SourceError, match="certificate is not trusted"):
        await mirrors.head(source(), GitCredential(credential.username, credential.password))
    assert await mirrors.head(source(), credential) == commit
    await mirrors.fetch(source(), credential)
    assert [file.path for file in (await mirrors.files(source(), credential, commit)).files] == ["a.yaml"]
    assert not marker.exists()
    assert not (tmp_path / "trace").exists()


ALLOWED = ["git.example.com", "git.example.com:8443", "[::1]:3000"]

ADDRESSES = [
    ("https://git.example.com/a/b.git", ""),
    ("https://GIT.example.com/a", ""),
    ("https://git.example.com:443/a", ""),
    ("https://git.example.com:8443/a", ""),
    ("https://[::1]:3000/a", ""),
    ("https://[::1]/a", "does not allow"),
    ("https://git.example.com:8080/a", "does not allow"),
    ("https://evil.com/git.example.com", "does not allow"),
    ("https://git.example.com.evil.com/a", "does not allow"),
    ("https://evilgit.example.com/a", "does not allow"),
    ("https://127.0.0.1/a", "does not allow"),
    ("http://git.example.com/a", "plain HTTP"),
    ("https://user:s3cret@git.example.com/a", "not a Git address"),
    ("https://git.example.com@evil.com/a", "not a Git address"),
    ("https://git.example.com\\@evil.com/a", "not a Git address"),
    ("https://git.example.com/a?x=s3cret", "not a Git address"),
    ("https://git.example.com/a#b", "not a Git address"),
    ("https://git.example.com/../a", "not a Git address"),
    ("https://git.example.com/a\nb", "not a Git address"),
    ("https://git.example.com/a\n", "not a Git address"),
    ("ssh://git@git.example.com/a/b.git", ""),
    ("ssh://git@GIT.example.com:22/~a/b", ""),
    ("ssh://a.b-c_1@git.example.com:8443/a", ""),
    ("ssh://git@[::1]:3000/a", ""),
    ("git@git.example.com:a/b.git", ""),
    ("git@git.example.com:/srv/a", ""),
    ("git@git.example.com:~a/b", ""),
    ("ssh://git@[::1]/a", "does not allow"),
    ("git@[::1]:3000/a", "does not allow"),
    ("ssh://git@git.example.com:443/a", "does not allow"),
    ("git@git.example.com.evil.com:a", "does not allow"),
    ("git@evil.com:git.example.com", "does not allow"),
    ("ssh://git.example.com@evil.com/a", "does not allow"),
    ("git.example.com@evil.com:a", "does not allow"),
    ("ssh://git.example.com/a", "not a Git address"),
    ("git.example.com:a", "not a Git address"),
    ("ssh://git:s3cret@git.example.com/a", "not a Git address"),
    ("git:s3cret@git.example.com:a", "not a Git address"),
    ("ssh://git@git.example.com", "not a Git address"),
    ("ssh://git@git.example.com:0/a", "not a Git address"),
    ("ssh://git@git.example.com:65536/a", "not a Git address"),
    ("ssh://git@git.example.com:-1/a", "not a Git address"),
    ("ssh://git@git.example.com/a/../b", "not a Git address"),
    ("git@git.example.com:../b", "not a Git address"),
    ("git@git.example.com:", "not a Git address"),
    ("git@git.example.com://a", "not a Git address"),
    ("ssh://-oProxyCommand=id@git.example.com/a", "not a Git address"),
    ("ssh://git@-oProxyCommand=id/a", "not a Git address"),
    ("-oProxyCommand=id@git.example.com:a", "not a Git address"),
    ("git@-oProxyCommand=id:a", "not a Git address"),
    ("git@git.example.com:-oProxyCommand=id", "not a Git address"),
    ("git@git.example.com:a'b\"c", "not a Git address"),
    ("git@git.example.com:a b", "not a Git address"),
    ("git@git.example.com:a\nb", "not a Git address"),
    ("git@git.example.com:a\n", "not a Git address"),
    ("git@git@git.example.com:a", "not a Git address"),
    (f"{'u' * 65}@git.example.com:a", "not a Git address"),
    ("ssh://git%40x@git.example.com/a", "not a Git address"),
    ("ssh://git@git.example.com:22:8443/a", "not a Git address"),
    ("git+ssh://git@git.example.com/a", "not a Git address"),
    ("SSH://git@git.example.com/a", "not a Git address"),
    ("git://git.example.com/a", "not a Git address"),
    ("ext::sh -c id", "not a Git address"),
    ("file:///etc", "not a Git address"),
    ("/etc", "not a Git address"),
    ("--upload-pack=id", "not a Git address"),
    ("HTTPS://git.example.com/a", "not a Git address"),
]


@pytest.mark.parametrize(("url", "refusal"), ADDRESSES)
def test_only_https_and_ssh_to_hosts_that_the_operator_lists(url: str, refusal: str) -> None:
    settings = model.validate(GitSettings, {"allowedHosts": ALLOWED})
    if not refusal:
        assert addresses.check(url, settings).url == url
        return
    with pytest.raises(SourceError, match=refusal) as caught:
        addresses.check(url, settings)
    assert "s3cret" not in f"{caught.value} {caught.value.facts}"


def test_no_host_is_allowed_by_default() -> None:
    with pytest.raises(SourceError, match="does not allow"):
        addresses.check("https://git.example.com/a", model.validate(GitSettings, {}))


async def test_a_host_that_is_not_allowed_is_never_asked(
    make_mirrors: Callable[..., Mirrors], source: Callable[..., Source], credential: GitCredential
) -> None:
    with http_server(answering(200)) as (url, received):
        mirrors = make_mirrors(git={"allowHttp": True, "allowedHosts": ["git.example.com"]})
        refused = source(url=f"{url}/r.git")
        for call in (mirrors.head(refused, credential), mirrors.fetch(refused, credential)):
            with pytest.raises(SourceError, match="does not allow"):
                await call
        with pytest.raises(SourceError, match="does not allow"):
            await mirrors.files(refused, credential, "1" * 40)
        assert received == []
