"""Registries that lie, and what lies between: no byte that was not verified is used, and no credential goes where it does not belong.

No real registry does any of this.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from typing import TYPE_CHECKING

import pytest
from cost import longest_turn
from oci_sources import digest_of, lying, make_source

from agent.engine.credentials import GitCredential
from agent.values.errors import AgentError, LimitError, SourceError, SourceUnavailableError
from agent.values.secret import Secret
from testbed.registry import MANIFEST, archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from oci_sources import Liar

    from agent.adapters.oci.artifacts import Artifacts

CANARY = "canary-c4n4ry-text"
LOGIN = GitCredential("puller", Secret(CANARY, "test:password"))
CONTENT = archive({"a.yaml": "a: 1\n"})


async def refusal(artifacts: Artifacts, liar: Liar, **oci: object) -> AgentError:
    source = make_source(f"oci://{liar.host}/shop/deploy", **oci)
    with pytest.raises(AgentError) as caught:
        await artifacts.fetch(source, LOGIN)
    assert CANARY not in str(caught.value)
    assert not list(artifacts._kept.directory.glob("*/*"))
    return caught.value


async def test_an_honest_answer_is_taken(liar: Liar, make_artifacts: Callable[..., Artifacts]) -> None:
    digest = liar.holds(CONTENT)
    artifacts = make_artifacts(http=[liar.host])
    assert (await artifacts.fetch(make_source(f"oci://{liar.host}/shop/deploy"), LOGIN)).commit == digest


@pytest.mark.parametrize(
    ("lie", "error", "message"),
    [
        ({"blob": (200, {}, CONTENT[:-1] + b"x")}, SourceError, "not what its digest says"),
        ({"blob": (200, {}, CONTENT[:-1])}, SourceError, "not what its digest says"),
        ({"blob": (200, {}, CONTENT + b"x")}, AgentError, "larger than the agent accepts|not what its digest says"),
        ({"size": len(CONTENT) - 1}, AgentError, "larger than the agent accepts|not what its digest says"),
        ({"size": 10**15}, LimitError, "larger than the agent accepts"),
        ({"blob": (200, {"Content-Encoding": "gzip"}, CONTENT)}, SourceError, "compressed"),
        ({"blob": (200, {"Content-Length": str(len(CONTENT) + 9), "Connection": "close"}, CONTENT)}, SourceError, "closed the connection|digest"),
        ({"blob": (206, {}, CONTENT)}, SourceUnavailableError, "none that a registry gives"),
        ({"blob": (503, {}, b"")}, SourceUnavailableError, "overloaded or failing"),
        ({"blob": (404, {}, b"")}, SourceError, "no such artifact"),
    ],
)  # fmt: skip
async def test_a_blob_that_is_not_what_the_manifest_says_is_refused(
    lie: dict[str, object], error: type[AgentError], message: str, liar: Liar, make_artifacts: Callable[..., Artifacts]
) -> None:
    liar.holds(CONTENT, **lie)  # pyright: ignore[reportArgumentType]
    found = await refusal(make_artifacts(http=[liar.host]), liar)
    assert isinstance(found, error)
    assert __import__("re").search(message, str(found))


async def test_a_manifest_that_is_not_what_was_asked_for_is_refused(
    liar: Liar, make_artifacts: Callable[..., Artifacts]
) -> None:
    liar.holds(CONTENT)
    found = await refusal(make_artifacts(http=[liar.host]), liar, digest=digest_of(b"another"))
    assert found.message == "what the registry sends is not what its digest says"


@pytest.mark.parametrize(
    "manifest",
    [
        b"[]",
        b"not json",
        b'{"layers": 1}',
        b'{"layers": [{"digest": "sha256:short", "size": 1}]}',
        b'{"layers": [{"digest": "sha256:%s", "size": -1}]}' % (b"0" * 64),
        b'{"layers": [{"digest": "md5:%s", "size": 1}]}' % (b"0" * 64),
        b'{"layers": %s}' % json.dumps([{}] * 200).encode(),
        b'{"layers": [' + b"[],," * 300_000,
        b"[" * 100_000,
        b"{" + b" " * 5 * 1024 * 1024,
    ],
    ids=range(10),
)
async def test_what_is_no_manifest_is_refused(
    manifest: bytes, liar: Liar, make_artifacts: Callable[..., Artifacts]
) -> None:
    liar.says = lambda _: (200, {"Content-Type": MANIFEST}, manifest)
    found = await refusal(make_artifacts(http=[liar.host]), liar)
    assert isinstance(found, SourceError | LimitError)


async def test_what_unpacks_to_more_is_refused(liar: Liar, make_artifacts: Callable[..., Artifacts]) -> None:
    liar.holds(gzip.compress(bytes(10 * 1024 * 1024)))
    found = await refusal(make_artifacts(http=[liar.host], limits={"artifactBytes": 1024 * 1024}), liar)
    assert isinstance(found, AgentError)
    liar.holds(archive({"a.bin": bytes(2 * 1024 * 1024)}))
    found = await refusal(make_artifacts(http=[liar.host], limits={"artifactBytes": 1024 * 1024}), liar)
    assert found.message == "the artifact unpacks to more than the agent accepts"


async def test_a_redirect_to_another_host_is_followed_without_the_login_if_it_is_allowed(
    liar: Liar, make_artifacts: Callable[..., Artifacts]
) -> None:
    with lying() as storage:
        storage.says = lambda _: (200, {}, CONTENT)
        place = f"http://{storage.host}/bucket?signature={CANARY}"
        liar.holds(CONTENT, blob=(307, {"Location": place}, b""))
        answer = liar.says

        def asks(path: str) -> tuple[int, dict[str, str], bytes]:
            if not liar.asked[-1][1]:
                return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
            return answer(path)

        liar.says = asks
        source = make_source(f"oci://{liar.host}/shop/deploy")
        found = await refusal(make_artifacts(http=[liar.host]), liar)
        assert found.message == "the server leads to another one, which the operator does not allow"
        assert not storage.asked
        await make_artifacts(http=[liar.host, storage.host]).fetch(source, LOGIN)
        assert [authorization for _, authorization in storage.asked] == [""]
        assert liar.asked[-1][1].startswith("Basic ")


@pytest.mark.parametrize(
    "place",
    [
        "",
        "/v2/x",
        "file:///etc/passwd",
        "http://user:x@HOST/",
        "https://169.254.169.254/latest/meta-data",
        "//169.254.169.254/",
        "http://HOST:99999/",
        "ftp://HOST/",
    ],
)
async def test_no_redirect_leads_out_or_around(
    place: str, liar: Liar, make_artifacts: Callable[..., Artifacts]
) -> None:
    liar.holds(CONTENT, blob=(302, {"Location": place.replace("HOST", liar.host)}, b""))
    answer = liar.says
    liar.says = lambda path: (302, {"Location": "/v2/x"}, b"") if path == "/v2/x" else answer(path)
    found = await refusal(make_artifacts(http=[liar.host]), liar)
    assert found.message in {
        "the server leads to another one, which the operator does not allow",
        "the server redirects without end",
    }


async def test_the_login_goes_to_the_token_server_alone_and_the_token_to_the_registry(
    liar: Liar, make_artifacts: Callable[..., Artifacts]
) -> None:
    with lying() as tokens:
        tokens.says = lambda _: (200, {}, json.dumps({"token": "t0ken"}).encode())
        liar.holds(CONTENT)
        answer = liar.says
        realm = f'Bearer realm="http://{tokens.host}/token",service="x y",scope="registry:catalog:*"'

        def asks(path: str) -> tuple[int, dict[str, str], bytes]:
            return answer(path) if liar.asked[-1][1] == "Bearer t0ken" else (401, {"WWW-Authenticate": realm}, b"")

        liar.says = asks
        found = await refusal(make_artifacts(http=[liar.host]), liar)
        assert found.message == "the server leads to another one, which the operator does not allow"
        assert not tokens.asked
        await make_artifacts(http=[liar.host, tokens.host]).fetch(make_source(f"oci://{liar.host}/shop/deploy"), LOGIN)
        path, authorization = tokens.asked[0]
        assert path == "/token?service=x%20y&scope=repository%3Ashop%2Fdeploy%3Apull"
        assert authorization.startswith("Basic ")
        assert {authorization for _, authorization in liar.asked} == {"", "Bearer t0ken"}


@pytest.mark.parametrize("token", [b"", b"[]", b'{"token": ""}', b'{"token": "a\\nb"}', b'{"token": 1}'])
async def test_what_is_no_token_is_not_sent(token: bytes, liar: Liar, make_artifacts: Callable[..., Artifacts]) -> None:
    def asks(path: str) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/token"):
            return 200, {}, token
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{liar.host}/token"'}, b""

    liar.says = asks
    found = await refusal(make_artifacts(http=[liar.host]), liar)
    assert found.message == "the registry's token server refuses the credential"


async def test_tags_come_by_pages_as_the_server_names_them(
    liar: Liar, make_artifacts: Callable[..., Artifacts]
) -> None:
    digest = liar.holds(CONTENT)
    answer = liar.says
    pages: dict[str, tuple[list[object], str]] = {
        "/v2/shop/deploy/tags/list": (
            ["1.0.0", 7, "bad tag"],
            '</v2/shop/deploy/tags/list?last=1.0.0&n=2>; rel="next"',
        ),
        "/v2/shop/deploy/tags/list?last=1.0.0&n=2": (["1.1.0"], "<?last=1.1.0>; rel=next"),
        "/v2/shop/deploy/tags/list?last=1.1.0": (["1.2.0"], ""),
    }

    def says(path: str) -> tuple[int, dict[str, str], bytes]:
        if path not in pages:
            return answer(path)
        tags, link = pages[path]
        return 200, {"Link": link} if link else {}, json.dumps({"tags": tags}).encode()

    liar.says = says
    artifacts = make_artifacts(http=[liar.host])
    revision = await artifacts.fetch(make_source(f"oci://{liar.host}/shop/deploy", semver="1.x"), LOGIN)
    assert (revision.ref, revision.commit) == ("1.2.0", digest)


@pytest.mark.parametrize("link", ['<?last=x>; rel="next"', '<http://127.0.0.1:1/tags>; rel="next"'])
async def test_pages_without_end_or_of_another_server_are_refused(
    link: str, liar: Liar, make_artifacts: Callable[..., Artifacts]
) -> None:
    liar.says = lambda _: (200, {"Link": link}, json.dumps({"tags": ["1.0.0"] * 5000}).encode())
    found = await refusal(make_artifacts(http=[liar.host]), liar, semver="1.x")
    assert isinstance(found, LimitError | SourceError)
    assert len(liar.asked) <= 201


MANY = json.dumps({"tags": [f"{number}.{number % 7}.0" for number in range(1, 20_000)]}).encode()
EMPTY = b'{"tags":[' + b",".join([b'""'] * 300_000) + b"]}"


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        (MANY, {}),
        (EMPTY, {}),
        (MANY[:20] + b'"]}', {"Link": "<" * 8100}),
        (b"", {"WWW-Authenticate": "Bearer " + "a" * 8000}),
    ],
    ids=["versions", "no-tags", "link", "challenge"],
)
async def test_no_answer_about_tags_holds_up_the_loop(
    answer: bytes, headers: dict[str, str], liar: Liar, make_artifacts: Callable[..., Artifacts]
) -> None:
    liar.says = lambda _: (200 if answer else 401, headers, answer)
    source = make_source(f"oci://{liar.host}/shop/deploy", semver="||".join(f"<{number}" for number in range(1, 26)))

    async def look() -> None:
        with contextlib.suppress(AgentError):
            await make_artifacts(http=[liar.host]).head(source, LOGIN)

    assert await longest_turn(look) < 0.05


async def test_a_server_that_drips_ends_at_the_deadline(liar: Liar, make_artifacts: Callable[..., Artifacts]) -> None:
    ended = threading.Event()

    def drip(_: str) -> tuple[int, dict[str, str], bytes]:
        ended.wait(60)
        return 404, {}, b""

    liar.says = drip
    began = time.monotonic()
    found = await refusal(make_artifacts(http=[liar.host], timeoutSeconds=1), liar)
    ended.set()
    assert isinstance(found, SourceUnavailableError)
    assert time.monotonic() - began < 30
