"""Webhooks: what each sender proves a request with, what is taken of it, and what those see who cannot prove anything."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from agent.adapters.http import connections, hooks, payloads
from agent.adapters.http.connections import LONGEST_HEAD
from agent.adapters.http.credential import Proof
from agent.adapters.http.hooks import MOST_BYTES, Pace
from agent.adapters.http.rates import Rate
from agent.api.model import validate
from agent.api.webhooks import Webhook
from agent.values.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from agent.controllers.followers import Push

SECRET = "It's a Secret to Everybody"
FAST = Pace((1e6, 1e6), (1e6, 1e6))
REPOSITORY = {"clone_url": "https://git.example.com/team/shop.git"}
PUSH = json.dumps({"ref": "refs/heads/main", "repository": REPOSITORY}).encode()


def webhook(tmp_path: Path, sender: str = "github", secret: str = SECRET, **more: object) -> Webhook:
    file = tmp_path / f"{sender}.secret"
    file.write_text(secret + "\n")
    return validate(Webhook, {"sender": sender, "secretFile": str(file), **more})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("sender", "header", "value", "body"),
    [
        # docs.github.com, "Validating webhook deliveries", Testing the webhook payload validation
        (
            "github",
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            b"Hello, World!",
        ),
        # support.atlassian.com, "Manage webhooks", Examples of HMAC signatures
        (
            "bitbucket",
            "x-hub-signature",
            "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9",
            b"Hello World!",
        ),
        # docs.gitlab.com, "Webhooks": the secret token itself
        ("gitlab", "x-gitlab-token", SECRET, b"{}"),
        # distribution.github.io, "Notifications": headers of an endpoint
        ("registry", "authorization", f"Bearer {SECRET}", b"{}"),
        ("registry", "authorization", SECRET, b"{}"),
        # goharbor.io, "Configure Webhook Notifications": the header that is configured
        ("harbor", "authorization", SECRET, b"{}"),
        # docs.gitea.com, "Webhooks": the hex digits alone, as the PHP example there compares them
        (
            "gitea",
            "x-gitea-signature",
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            b"Hello, World!",
        ),
        # fluxcd.io, "Receivers", generic-hmac
        (
            "generic",
            "x-signature",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            b"Hello, World!",
        ),
    ],
)
def test_each_sender_proves_its_requests_as_it_documents(
    tmp_path: Path, sender: str, header: str, value: str, body: bytes
) -> None:
    proof = Proof(webhook(tmp_path, sender))
    assert proof.holds({header: value}, body)
    assert not proof.holds({header: value[:-1]}, body)
    assert not proof.holds({header: value.swapcase()}, body)
    assert not proof.holds({}, body)
    assert not proof.holds({"x-other": value}, body)
    assert sender in {"gitlab", "registry", "harbor"} or not proof.holds({header: value}, body + b" ")


def test_docker_hub_has_nothing_but_the_url(tmp_path: Path) -> None:
    proof = Proof(webhook(tmp_path, "dockerhub", "0123456789abcdef"))
    assert proof.holds({}, b"{}", "token=0123456789abcdef")
    assert not proof.holds({"authorization": "0123456789abcdef"}, b"{}")
    assert not proof.holds({}, b"{}", "token=0123456789abcdeg")


@pytest.mark.parametrize(
    ("payload", "repositories", "refs"),
    [
        # distribution.github.io, "Notifications": an envelope
        (
            {
                "events": [
                    {
                        "action": "push",
                        "target": {
                            "mediaType": "application/vnd.oci.image.manifest.v1+json",
                            "repository": "shop/deploy",
                            "url": "http://registry.internal:5000/v2/shop/deploy/manifests/sha256:00",
                            "tag": "v1",
                        },
                        "request": {"host": "Registry.example.com"},
                    },
                    {"action": "pull", "target": {"repository": "other", "tag": "v2"}, "request": {"host": "x"}},
                ]
            },
            {"registry.example.com/shop/deploy", "registry.internal:5000/shop/deploy"},
            {"refs/tags/v1"},
        ),
        # a blob of the same push
        ({"events": [{"action": "push", "target": {"repository": "a"}, "request": {"host": "b"}}]}, None, set()),
        # goharbor.io, "Configure Webhook Notifications": default and CloudEvents
        (
            {
                "type": "PUSH_ARTIFACT",
                "event_data": {
                    "resources": [{"tag": "v1", "resource_url": "hub.example.com:8443/shop/deploy:v1"}],
                    "repository": {"repo_full_name": "shop/deploy"},
                },
            },
            {"hub.example.com:8443/shop/deploy"},
            {"refs/tags/v1"},
        ),
        (
            {
                "type": "harbor.artifact.pushed",
                "data": {"resources": [{"tag": "v1", "resource_url": "hub.example.com/shop/deploy:v1"}]},
            },
            {"hub.example.com/shop/deploy"},
            {"refs/tags/v1"},
        ),
        (
            {"type": "PULL_ARTIFACT", "event_data": {"resources": [{"tag": "v1", "resource_url": "a/b:v1"}]}},
            set(),
            set(),
        ),
        # docs.docker.com, "Webhooks": the example payload
        (
            {
                "push_data": {"pushed_at": 1417566161, "pusher": "trustedbuilder", "tag": "latest"},
                "repository": {
                    "repo_name": "svendowideit/testhook",
                    "repo_url": "https://registry.hub.docker.com/u/x/y/",
                },
            },
            {"docker.io/svendowideit/testhook"},
            {"refs/tags/latest"},
        ),
        # docs.github.com, "Webhook events and payloads": package
        (
            {
                "action": "published",
                "package": {
                    "name": "deploy",
                    "package_version": {
                        "package_url": "ghcr.io/Shop/deploy:v1",
                        "container_metadata": {"tag": {"name": "v1", "digest": "sha256:00"}},
                    },
                },
            },
            {"ghcr.io/shop/deploy"},
            {"refs/tags/v1"},
        ),
        (
            {"events": [{"action": "push", "target": {"url": "http://[", "tag": ["x"]}}, 7], "package": [], "type": 3},
            None,
            set(),
        ),
    ],
)
def test_a_push_to_a_registry_is_a_tag_of_its_repository(
    payload: dict[str, object], repositories: set[str] | None, refs: set[str]
) -> None:
    found = payloads.push(json.dumps(payload).encode())
    assert found.refs == refs
    assert repositories is None or repositories <= found.repositories


@pytest.mark.parametrize("secret", ["", "fifteen letters", None])
def test_a_secret_that_is_missing_or_short_proves_nothing(tmp_path: Path, secret: str | None) -> None:
    hook = webhook(tmp_path, "gitlab", secret or "")
    if secret is None:
        Path(hook.secret_file).unlink()
    proof = Proof(hook)
    assert not proof.usable()
    assert not proof.holds({"x-gitlab-token": secret or ""}, b"")


@pytest.mark.parametrize(
    ("payload", "refs"),
    [
        # GitHub and Gitea: push
        (
            {
                "ref": "refs/tags/v1",
                "repository": {
                    "url": "https://api.example.com/x",
                    "clone_url": "https://Git.example.com/Team/shop.git",
                    "ssh_url": "git@git.example.com:Team/shop.git",
                },
            },
            {"refs/tags/v1"},
        ),
        # GitLab: Push Hook
        (
            {
                "object_kind": "push",
                "ref": "refs/heads/main",
                "project": {"git_http_url": "https://git.example.com/team/shop.git"},
            },
            {"refs/heads/main"},
        ),
        # Bitbucket Cloud: repo:push
        (
            {
                "push": {
                    "changes": [
                        {"new": {"type": "branch", "name": "main"}},
                        {"new": {"type": "tag", "name": "v1"}},
                        {"new": None},
                    ]
                },
                "repository": {"links": {"html": {"href": "https://git.example.com/team/shop"}}},
            },
            {"refs/heads/main", "refs/tags/v1"},
        ),
        # Bitbucket Data Center: repo:refs_changed
        (
            {
                "changes": [{"ref": {"id": "refs/heads/main"}}],
                "repository": {"links": {"clone": [{"href": "ssh://git@git.example.com:22/team/shop.git"}]}},
            },
            {"refs/heads/main"},
        ),
        ({"repository": "git@git.example.com:team/shop", "ref": "refs/heads/main"}, {"refs/heads/main"}),
    ],
)
def test_a_push_is_read_from_what_each_sender_sends(payload: dict[str, object], refs: set[str]) -> None:
    found = payloads.push(json.dumps(payload).encode())
    assert "git.example.com/team/shop" in found.repositories
    assert found.refs == refs


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_object_of_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # the listener looks at nothing else
        payloads.push(body)


def test_of_a_strange_payload_nothing_is_taken() -> None:
    strange = {"ref": ["refs/heads/main"], "repository": {"clone_url": 1, "links": []}, "changes": {"a": 1}}
    found = payloads.push(json.dumps(strange).encode())
    assert not found.refs
    assert not found.repositories
    many = {"changes": [{"ref": {"id": f"refs/heads/{number}"}} for number in range(1000)]}
    assert len(payloads.push(json.dumps(many).encode()).refs) < 100


class Served:
    """A listener and what it took."""

    def __init__(self) -> None:
        self.taken: list[tuple[Push, tuple[str, ...]]] = []
        self.port = 0

    async def post(
        self, path: str, body: bytes, secret: str = SECRET, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        signature = "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()
        given = {"X-Hub-Signature-256": signature, **{name.replace("_", "-"): text for name, text in headers.items()}}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{self.port}{path}", data=body, headers=given) as answer,
        ):
            return answer.status, dict(answer.headers), await answer.read()


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncGenerator[Callable[..., object]]:
    running: list[object] = []

    async def start(pace: Pace = FAST, **hook: object) -> Served:
        served = Served()
        server = await hooks.serve(
            {"shop": webhook(tmp_path, **hook)},  # type: ignore[arg-type]
            lambda push, namespaces: served.taken.append((push, tuple(namespaces))),
            host="127.0.0.1",
            port=0,
            pace=pace,
        )
        running.append(server)
        served.port = server.port
        return served

    yield start
    for server in running:
        await server.close()  # type: ignore[attr-defined]


async def test_a_proven_push_is_handed_on_with_the_namespaces_of_its_webhook(serve) -> None:
    served = await serve(namespaces=["shop-*"])
    assert await served.post("/hooks/shop", PUSH) == (202, served_headers(3), b"ok\n")
    ((push, namespaces),) = served.taken
    assert push.repositories == {"git.example.com/team/shop"}
    assert push.refs == {"refs/heads/main"}
    assert namespaces == ("shop-*",)
    assert (await served.post("/hooks/shop", b"[]"))[0] == 400
    assert (await served.post("/hooks/shop", PUSH, Expect="100-continue"))[0] == 202


def served_headers(length: int) -> dict[str, str]:
    return {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(length), "Connection": "close"}


async def test_a_path_that_there_is_not_and_a_proof_that_does_not_hold_look_alike(serve) -> None:
    served = await serve()
    answers = [
        await served.post(path, PUSH, secret)
        for path, secret in (("/hooks/shop", "another"), ("/hooks/none", SECRET), ("/hooks/", SECRET), ("/", SECRET))
    ]
    assert answers == [(404, served_headers(0), b"")] * 4
    assert served.taken == []


async def test_a_forged_request_costs_the_same_whether_its_path_is_there_and_is_never_parsed(
    serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve()
    work: list[str] = []
    monkeypatch.setattr(payloads, "push", lambda _: work.append("parsed"))
    digest = hmac.digest
    monkeypatch.setattr(hmac, "digest", lambda *given: work.append("proof") or digest(*given))
    for path in ("/hooks/shop", "/hooks/none"):
        before = len(work)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            b"POST %s HTTP/1.1\r\nContent-Length: 2\r\nX-Hub-Signature-256: sha256=00\r\n\r\n{}" % path.encode()
        )
        assert (await reader.read()).startswith(b"HTTP/1.1 404 ")
        writer.close()
        assert work[before:] == ["proof"]


async def raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        writer.write(request)
        await writer.drain()
        return (await reader.readuntil(b"\r\n")).rstrip()
    except (OSError, asyncio.IncompleteReadError):
        return b""
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"GET /hooks/shop HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 Not Found"),
        (b"POST /hooks/shop HTTP/1.1\r\n\r\n", b"HTTP/1.1 411 Length Required"),
        (
            b"POST /hooks/shop HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 411 Length Required",
        ),
        (b"POST /hooks/shop HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 411 Length Required"),
        (b"POST /hooks/shop HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MOST_BYTES + 1), b"HTTP/1.1 413 "),
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"POST / HTTP/1.1\r\nX: " + b"a" * 2 * LONGEST_HEAD, b""),
    ],
)
async def test_what_is_no_request_of_a_sender_is_refused_before_it_is_read(
    serve, request_: bytes, answer: bytes
) -> None:
    served = await serve()
    assert (await raw(served.port, request_)).startswith(answer)
    assert served.taken == []


async def test_one_that_sends_slowly_is_cut_off(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS", 0.2)
    served = await serve()
    began = time.monotonic()
    assert await raw(served.port, b"POST /hooks/shop HTTP/1.1\r\nContent-Length: 100\r\n\r\n{") == b""
    assert time.monotonic() - began >= 0.2


async def test_an_address_and_a_webhook_have_a_rate(serve) -> None:
    served = await serve(Pace((0.001, 5), (0.001, 2)))
    answers = [(await served.post("/hooks/shop", PUSH))[0] for _ in range(6)]
    assert answers == [202, 202, 429, 429, 429, 429]
    assert len(served.taken) == 2
    assert (await served.post("/hooks/none", PUSH))[0] == 429, "the rate of an address comes before its path"


def test_a_rate_comes_back_with_time_and_forgets_old_keys() -> None:
    now = 0.0
    rate = Rate(2, 3, lambda: now)
    assert [rate.allows("a") for _ in range(4)] == [True, True, True, False]
    now = 0.5
    assert [rate.allows("a") for _ in range(2)] == [True, False]
    assert rate.allows("b")
    for number in range(5000):
        rate.allows(str(number))
    assert len(rate._left) <= 4096


async def test_a_port_that_is_taken_is_said(serve, tmp_path: Path) -> None:
    served = await serve()
    with pytest.raises(ConfigError, match="cannot listen for webhooks"):
        await hooks.serve({"a": webhook(tmp_path)}, lambda *_: None, host="127.0.0.1", port=served.port)


async def test_a_webhook_without_a_secret_is_logged_and_answered_as_one_that_there_is_not(
    serve, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        served = await serve(secret="short")
    assert "a webhook has no secret and is not served" in caplog.text
    assert await served.post("/hooks/shop", PUSH, "short") == (404, served_headers(0), b"")


SERVER = """
import asyncio, sys
from agent.adapters.http import connections, hooks
from agent.adapters.http.hooks import Pace
from agent.api.webhooks import Webhook

async def main():
    connections.SECONDS = 60.0
    hook = Webhook.model_validate({"sender": "github", "secretFile": sys.argv[1]})
    fast = Pace((1e6, 1e6), (1e6, 1e6))
    server = await hooks.serve({"shop": hook}, lambda *_: None, host="127.0.0.1", port=0, pace=fast)
    print(server.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
MANY = 300
"""Each of 1 MiB."""


async def test_many_hooks_of_a_mebibyte_take_little_memory(tmp_path: Path) -> None:
    hook = webhook(tmp_path)
    commits = [{"id": f"{number:040}", "message": "x" * 200, "added": ["a.yaml"]} for number in range(3500)]
    body = json.dumps({"ref": "refs/heads/main", "repository": REPOSITORY, "commits": commits}).encode()
    body += b" " * (MOST_BYTES - len(body))
    good = b"sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex().encode()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, hook.secret_file, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    port = int(await child.stdout.readline())

    def peak() -> float:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def head(signature: bytes) -> bytes:
        return b"POST /hooks/shop HTTP/1.1\r\nContent-Length: %d\r\nX-Hub-Signature-256: %s\r\n\r\n" % (
            len(body),
            signature,
        )

    try:
        assert (await raw(port, b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")).endswith(b"404 Not Found")
        before, answers = peak(), list[bytes]()

        async def some(count: int) -> None:
            for number in range(count):
                answers.append(await raw(port, head(b"sha256=0" if number % 2 else good) + body))

        await asyncio.gather(*(some(MANY // 4) for _ in range(4)))
        assert set(answers) == {b"HTTP/1.1 202 Accepted", b"HTTP/1.1 404 Not Found"}
        assert peak() - before < 20
    finally:
        child.kill()
        await child.wait()
