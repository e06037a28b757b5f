"""Credentials of GitHub Apps: a stub stands for GitHub, which was not asked, and the testbed's Git server takes what it hands out."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from test_git_safety import until

from agent.adapters.git import credential, github_apps
from agent.adapters.git.installation_tokens import Tokens
from agent.adapters.proxies import REFUSED
from agent.api.model import validate
from agent.api.operator import GitSettings
from agent.engine.repositories import Asked
from agent.values.errors import AgentError, LimitError, SourceError, SourceUnavailableError
from agent.values.fingerprint import Fingerprinter
from agent.values.secret import Secret
from testbed.githubapp import GitHubApp
from testbed.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from agent.values.tree import Tree
    from testbed.gitserver import GitServer
    from testbed.repository import Repository

URL = "https://127.0.0.1/a"


@pytest.fixture
def github(gitserver: GitServer) -> Iterator[GitHubApp]:
    with GitHubApp(gitserver) as running:
        yield running


def login(data: dict[str, str], url: str = URL) -> GitCredential:
    """What a Secret with this data gives."""
    return credential.of_secret({key: Secret(value, f"test:{key}") for key, value in data.items()}, url)


def hosts(github: GitHubApp, host: str, **more: Tree) -> dict[str, Tree]:
    return {"allowedHosts": [host, github.netloc], **more}


class Clock:
    """Unix time that a test moves."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def tokens(github: GitHubApp, clock: Callable[[], float] = time.time, **more: Tree) -> Tokens:
    settings = validate(GitSettings, {"allowedHosts": [github.netloc], **more})
    return Tokens(settings, Fingerprinter.derive(Secret(b"k" * 32, "test:key"), "git"), clock, clock)


def connections(github: GitHubApp) -> list[str]:
    """Those that this process has to the stub; one that was cut ends with its TLS, for which the loop needs the stub."""
    remote = f"0100007F:{int(github.netloc.rpartition(':')[2]):04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return [row[1] for row in rows if row[2] == remote and row[9] != "0"]


async def failure(asked: Tokens, given: GitCredential) -> AgentError:
    with pytest.raises(AgentError) as raised:
        await asked.login(given)
    return raised.value


async def test_git_is_asked_with_the_token_that_is_handed_out(
    github: GitHubApp,
    gitserver: GitServer,
    host: str,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
) -> None:
    mirrors, given = make_mirrors(git=hosts(github, host)), login(github.secret())
    commit = repository.commit({"a.yaml": "a: 1\n"})
    gitserver.requests.clear()
    assert await mirrors.head(source(), given) == commit
    assert (await mirrors.fetch(source(), given)).commit == commit
    assert [file.data for file in (await mirrors.files(source(), given, commit)).files] == [b"a: 1\n"]
    assert {each.user for each in gitserver.requests if each.user} == {"x-access-token"}
    (asked,) = github.asked
    assert asked.claims["exp"] - asked.claims["iat"] == 600
    assert asked.headers["Accept-Encoding"] == "identity"


async def test_a_token_is_renewed_before_its_end_into_the_same_mirror(
    github: GitHubApp,
    host: str,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, given = Clock(), login(github.secret())
    mirrors = make_mirrors(git=hosts(github, host))
    monkeypatch.setattr(mirrors._tokens, "_now", clock)
    github.clock = clock
    repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), given)
    clock.ahead = 2990
    await mirrors.head(source(), given)
    assert len(github.tokens) == 1
    clock.ahead = 3010
    commit = repository.commit({"a.yaml": "a: 2\n"})
    assert (await mirrors.fetch(source(), given)).commit == commit
    assert len(github.tokens) == 2
    assert len([path for path in mirrors.directory.iterdir() if path.is_dir()]) == 1


async def test_all_that_have_the_credential_share_one_exchange(
    github: GitHubApp,
    gitserver: GitServer,
    host: str,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
) -> None:
    mirrors, asked = make_mirrors(git=hosts(github, host)), Asked(-1e9)
    other = gitserver.create(f"{repository.url.rpartition('/')[2].removesuffix('.git')}-other")
    commits = [each.commit({"a.yaml": "a: 1\n"}) for each in (repository, other)]
    urls = [repository.url, other.url] * 5
    # the same key, written in another way, is the same credential
    forms = [github.pem(), github.pem(PrivateFormat.PKCS8)] * 5
    heads = await asyncio.gather(
        *(
            mirrors.serving(f"u{number}", mirrors.turn).head(
                source(url=url), login(github.secret(githubAppPrivateKey=forms[number])), asked
            )
            for number, url in enumerate(urls)
        )
    )
    assert heads == commits * 5
    assert len(github.asked) == 1


async def test_a_failure_serves_those_who_waited_and_no_later_run(github: GitHubApp) -> None:
    asked, given = tokens(github), login(github.secret())
    github.fault = "status"
    outcomes = await asyncio.gather(*(asked.login(given) for _ in range(5)), return_exceptions=True)
    assert {type(each) for each in outcomes} == {SourceUnavailableError}
    assert len(github.asked) == 1
    github.fault = ""
    assert await asked.login(given) is not None


async def test_another_key_or_authority_is_another_credential(github: GitHubApp) -> None:
    asked = tokens(github)
    await asked.login(login(github.secret()))
    stranger = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    refused = await failure(asked, login(github.secret(githubAppPrivateKey=stranger.decode())))
    assert "does not accept what its App signed" in refused.args[0]
    assert "not trusted" in (await failure(asked, login({**github.secret(), "ca.crt": ""}))).args[0]
    assert len(github.tokens) == 1


async def test_a_token_that_git_refuses_is_replaced_unless_it_is_young(github: GitHubApp) -> None:
    clock = Clock()
    asked, given = tokens(github, clock), login(github.secret())
    github.clock = clock
    for ahead, exchanges in ((0, 1), (30, 1), (90, 2)):
        clock.ahead = ahead
        asked.refused(given)
        await asked.login(given)
        assert len(github.asked) == exchanges


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("slow", SourceUnavailableError, "does not answer in time"),
        ("large", LimitError, "larger"),
        ("redirect", SourceUnavailableError, "hands out no token"),
        ("status", SourceUnavailableError, "hands out no token"),
        ("odd", SourceUnavailableError, "holds no token"),
    ],
)
async def test_answers_are_bounded_and_not_followed(
    github: GitHubApp, fault: str, error: type[AgentError], says: str
) -> None:
    github.fault = fault
    failed = await failure(tokens(github, timeoutSeconds=1), login(github.secret()))
    assert type(failed) is error
    assert says in failed.args[0]
    assert len(github.asked) == (0 if fault == "slow" else 1)
    github.resumed.set()
    await until(lambda: not connections(github), 30)


async def test_a_pinned_commit_that_is_there_needs_no_token(
    github: GitHubApp,
    host: str,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    given, pinned = login(github.secret(), repository.url), source(revision={"commit": commit})
    assert (await make_mirrors(git=hosts(github, host)).fetch(pinned, given)).commit == commit
    github.asked.clear()
    after_a_restart = make_mirrors(git=hosts(github, host))
    assert (await after_a_restart.fetch(pinned, given)).commit == commit
    assert github.asked == []
    newer = repository.commit({"a.yaml": "a: 2\n"})
    assert (await after_a_restart.fetch(source(revision={"commit": newer}), given)).commit == newer
    assert len(github.asked) == 1


async def test_an_installation_that_is_not_there_is_said(github: GitHubApp) -> None:
    failed = await failure(tokens(github), login(github.secret(githubAppInstallationID="1")))
    assert type(failed) is SourceError
    assert "no such installation" in failed.args[0]


async def test_a_host_that_the_operator_does_not_list_is_not_asked(github: GitHubApp) -> None:
    asked = tokens(github, allowedHosts=["git.example.com"])
    assert "does not allow the host" in (await failure(asked, login(github.secret()))).args[0]
    assert not github.asked


async def test_the_proxy_of_git_is_used(github: GitHubApp) -> None:
    with Proxy() as proxy:
        await tokens(github, proxy={"url": proxy.url}).login(login(github.secret()))
        assert proxy.asked == [github.netloc]


async def test_a_proxy_with_a_password_is_shown_it(github: GitHubApp, tmp_path: Path) -> None:
    file = tmp_path / "proxy"
    with Proxy("agent:p:w-canary") as proxy:
        behind = tokens(github, proxy={"url": proxy.url, "credentialsFile": str(file)})
        file.write_text("agent:old-canary")
        with pytest.raises(SourceUnavailableError) as refused:
            await behind.login(login(github.secret()))
        assert refused.value.message == REFUSED
        assert "canary" not in repr(refused.value)
        file.write_text("agent:p:w-canary")
        await behind.login(login(github.secret()))


async def test_no_message_holds_the_key_or_the_token(
    github: GitHubApp,
    gitserver: GitServer,
    host: str,
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    mirrors, given = make_mirrors(git=hosts(github, host)), login(github.secret())
    repository.commit({"a.yaml": "a: 1\n"})
    await mirrors.fetch(source(), given)
    gitserver.further["x-access-token"] = "revoked"
    shown: list[str] = [repr(given), caplog.text]
    with pytest.raises(SourceError) as raised:
        await mirrors.head(source(), given)
    shown.append(f"{raised.value} {raised.value!r} {raised.value.facts}")
    for fault in ("large", "odd", "status"):
        github.fault = fault
        failed = await failure(tokens(github), given)
        shown.append(f"{failed} {failed!r} {failed.facts} {failed.__cause__!r} {failed.__context__!r}")
    body = "".join(github.pem().splitlines()[1:-1])
    for text in (*github.tokens, body[:24], body[64:88], "eyJ"):
        assert text not in "".join(shown)
    assert not [path for path in mirrors.directory.rglob("*") if path.is_file() and b"ghs_" in path.read_bytes()]


@pytest.mark.parametrize(
    ("base", "root"),
    [
        ("", "https://api.github.com"),
        ("https://github.example.com", "https://github.example.com/api/v3"),
        ("https://github.example.com:8443/", "https://github.example.com:8443/api/v3"),
        ("https://github.example.com/api/v3/", "https://github.example.com/api/v3"),
        ("https://api.team.ghe.com", "https://api.team.ghe.com"),
    ],
)
def test_tokens_are_asked_for_where_github_or_its_enterprise_has_them(base: str, root: str) -> None:
    assert github_apps.tokens_url(base, "7") == f"{root}/app/installations/7/access_tokens"


@pytest.mark.parametrize(
    "base",
    ["http://github.example.com", "https://a@b", "https://a/b", "https://a?b", "https://a#b", "a", "https://a/../b"],
)
def test_other_addresses_are_refused(base: str) -> None:
    with pytest.raises(SourceError, match="not one that the agent accepts"):
        github_apps.tokens_url(base, "7")


@pytest.mark.parametrize(
    ("base", "url", "sent"),
    [
        ("", "https://github.com/shop/a", True),
        ("", "https://GitHub.com:443/shop/a", True),
        ("", "https://api.github.com/shop/a", True),
        ("", "https://git.example.com/shop/a", False),
        ("", "https://github.com.example.com/a", False),
        ("https://github.example.com", "https://github.example.com:8443/a", True),
        ("https://GitHub.example.com", "https://github.example.com/a", True),
        ("https://github.example.com", "https://github.com/a", False),
        ("https://api.team.ghe.com", "https://team.ghe.com/a", True),
        ("https://api.team.ghe.com", "https://other.ghe.com/a", False),
        ("", "https://[1:2]/a", False),
    ],
)
def test_a_token_goes_to_the_host_that_hands_it_out_and_no_other(
    github: GitHubApp, base: str, url: str, *, sent: bool
) -> None:
    data = github.secret(githubAppBaseURL=base)
    if sent:
        assert login(data, url).app is not None
        return
    with pytest.raises(SourceError, match="not for the host of this repository"):
        login(data, url)


@pytest.mark.parametrize("key", ["githubAppID", "githubAppInstallationID"])
@pytest.mark.parametrize("text", ["", "1" * 21, "1/../2", "-1", "1.0", "\u0661"])
def test_numbers_are_digits(github: GitHubApp, key: str, text: str) -> None:
    with pytest.raises(SourceError, match="lacks a number"):
        login(github.secret(**{key: text}))


def test_a_missing_key_of_the_secret_is_named(github: GitHubApp) -> None:
    for key in ("githubAppID", "githubAppInstallationID", "githubAppPrivateKey"):
        with pytest.raises(SourceError) as raised:
            login({name: text for name, text in github.secret().items() if name != key})
        assert raised.value.facts["field"] == key


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _made_up(bits: int) -> str:
    """A key of a size, of numbers that are no primes."""
    p, q, e = (1 << (bits // 2)) - 3, (1 << (bits - bits // 2)) - 1, 65537
    numbers = rsa.RSAPrivateNumbers(p, q, 5, 3, 3, 3, rsa.RSAPublicNumbers(e, p * q))
    return _pem(numbers.private_key(unsafe_skip_rsa_key_validation=True))


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (_pem(rsa.generate_private_key(65537, 1024)), "too small or too large"),
        (_made_up(8200), "too small or too large"),
        (_made_up(8192), "damaged"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "or is not RSA"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "cannot be read"),
        ("x" * 20_000, "too long"),
    ],
    ids=["small", "large", "damaged", "curve", "cut", "long"],
)
def test_keys_that_do_not_serve_are_refused(github: GitHubApp, key: str, says: str) -> None:
    with pytest.raises(SourceError) as raised:
        login(github.secret(githubAppPrivateKey=key))
    assert says in raised.value.args[0]
    assert raised.value.facts["field"] == "githubAppPrivateKey"


async def test_a_deploy_token_of_gitlab_is_a_user_name_and_a_password(
    gitserver: GitServer, mirrors: Mirrors, repository: Repository, source: Callable[..., Source]
) -> None:
    gitserver.further["gitlab+deploy-token-1"] = "gldt-0123456789"
    commit = repository.commit({"a.yaml": "a: 1\n"})
    data = {"username": "gitlab+deploy-token-1", "password": "gldt-0123456789", "ca.crt": gitserver.ca_pem or ""}
    gitserver.requests.clear()
    assert await mirrors.head(source(), login(data, repository.url)) == commit
    assert {each.user for each in gitserver.requests if each.user} == {"gitlab+deploy-token-1"}
