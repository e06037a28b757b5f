"""What one tenant brings to be tried, and for how long, has an end; what another needs meanwhile goes on."""

# ruff: noqa: ASYNC240  # what is read here is small and local

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cost
import pytest

from agent.adapters.keys import age_format, age_hybrid, age_x25519, pgp_packets
from agent.adapters.keys.age import AgeKeys, generate
from agent.adapters.vault.stores import Stores
from agent.api import application as applications
from agent.api.model import validate
from agent.api.operator import OperatorSettings
from agent.daemon.key_ring import KeyRing
from agent.daemon.key_work import Workers
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import AgeKey, AgeRecipient
from agent.values.errors import AgentError, DataKeyError, LimitError
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from agent.adapters.kubernetes.secrets import Secrets
    from agent.api.application import Application
    from agent.values.tree import Tree

DATA_KEY = Secret(b"k" * 32, "data key")
WHEN = "2026-01-01T00:00:00Z"


class Held:
    """Secrets of namespaces, by name."""

    def __init__(self) -> None:
        self.data: dict[tuple[str, str], dict[str, Secret]] = {}

    def put(self, namespace: str, name: str, **texts: str | bytes) -> None:
        self.data[namespace, name] = {key: Secret(text, f"Secret {name}") for key, text in texts.items()}

    async def read(self, namespace: str, name: str) -> dict[str, Secret] | None:
        return self.data.get((namespace, name))


def application(
    namespace: str = "shop", name: str = "web", *keys: str, generation: int = 1, **further: str
) -> Application:
    """`further` are its further repositories, by name."""
    references: list[Tree] = [{"secretName": key} for key in keys or ("keys",)]
    others: list[Tree] = [
        {"name": each, "url": url, "revision": {"branch": "main"}, "credentials": {"secretName": each}}
        for each, url in further.items()
    ]
    return applications.parse(
        {
            "apiVersion": "signet-gitops.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}", "generation": generation},
            "spec": {
                "source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}},
                "sources": others,
                "decryption": {"keys": references},
            },
        }
    )


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder with a short path: gpg's sockets have to fit into 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="keys-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def make_ring(held: Held, memory: Path) -> AsyncIterator[Callable[..., KeyRing]]:
    made: list[KeyRing] = []

    def make(*grants: Tree, **limits: int) -> KeyRing:
        settings = validate(OperatorSettings, {"limits": cast("Tree", limits), "keys": [*grants]})
        stores = Stores({}, monotonic=time.monotonic, jitter=lambda: 0.5)
        made.append(KeyRing(cast("Secrets", held), settings, memory, stores, Workers()))
        return made[-1]

    yield make
    for ring in made:
        await ring.close()


def identity() -> tuple[str, str]:
    recipient, secret = generate()
    return recipient, str(reveal(secret))


def wrapped(*recipients: str) -> WrappedDataKey:
    return WrappedDataKey.one_group(
        *(AgeKeys().wrap(AgeRecipient(recipient), DATA_KEY, created_at=WHEN) for recipient in recipients)
    )


def with_stanzas(count: int, recipient: str) -> WrappedDataKey:
    """One wrapped key for many recipients, of which only the last is ours."""
    file_key, nonce = b"f" * 16, b"n" * 16
    others = [age_x25519.X25519Recipient.parse(identity()[0]) for _ in range(count - 1)]
    stanzas = [each.wrap(file_key) for each in (*others, age_x25519.X25519Recipient.parse(recipient))]
    data_key = cast("bytes", reveal(DATA_KEY))
    return WrappedDataKey.one_group(
        AgeKey(recipient, age_format.armor(age_format.write(stanzas, file_key, nonce, data_key)))
    )


async def test_nothing_is_kept_of_applications_that_went(held: Held, make_ring: Callable[..., KeyRing]) -> None:
    recipient, text = identity()
    held.put("shop", "keys", one=text)
    ring = make_ring()
    await asyncio.gather(*(ring.unwrap(application(), wrapped(recipient), f"{number}.yaml") for number in range(3)))
    await ring.forget(application().id)
    assert [len(kept) for kept in (ring._rings, ring._logins, ring._locks)] == [0, 0, 0]


async def test_what_is_kept_for_the_submodules_that_commits_name_has_an_end(
    held: Held, make_ring: Callable[..., KeyRing]
) -> None:
    recipient, text = identity()
    held.put("shop", "keys", one=text)
    ring = make_ring()
    kept = 0
    for number in range(100):
        url = f"https://git.example.com/lib-{number}"
        await ring.prepare(application(), [wrapped(recipient)], url)
        await ring.unwrap(application(), wrapped(recipient), "a.yaml", url)
        kept = max(kept, len(ring._rings))
    assert 16 < kept < 40, "those of one commit, and not those of every one"
    await ring.forget(application().id)
    assert not ring._rings


async def test_a_file_for_other_keys_says_which_the_application_has(
    held: Held, make_ring: Callable[..., KeyRing]
) -> None:
    recipient, text = identity()
    held.put("shop", "keys", one=text)
    with pytest.raises(DataKeyError) as caught:
        await make_ring().unwrap(application(), wrapped(identity()[0]), "a.yaml")
    assert caught.value.facts["available"] == recipient
    assert "spec.decryption.keys" in caught.value.hint


async def test_keys_that_are_granted_to_a_repository_open_no_other_one(
    held: Held, make_ring: Callable[..., KeyRing], tmp_path: Path
) -> None:
    """Not even by what they opened before: the same wrapped key in another repository is another question."""
    held.put("shop", "keys", one=identity()[1])
    for name in ("platform", "other"):
        held.put("shop", name, username=name, password="p")
    recipient, text = identity()
    (tmp_path / "key").write_text(text)
    grant = {
        "path": str(tmp_path / "key"),
        "namespaces": ["shop"],
        "repositories": ["https://git.example.com/platform.git"],
    }
    ring = make_ring(grant)
    further = {"platform": "https://git.example.com/platform", "other": "https://git.example.com/other"}
    given, key = application(**further), wrapped(recipient)
    await ring.prepare(given, [key], "platform")
    assert await ring.unwrap(given, key, "platform/s.yaml", "platform") == DATA_KEY
    for source in ("", "other"):
        await ring.prepare(given, [key], source)
        with pytest.raises(DataKeyError):
            await ring.unwrap(given, key, "s.yaml", source)
    logins = [await ring.git(given, source) for source in ("", "platform", "other")]
    assert [each and each.username for each in logins] == [None, "platform", "other"]

    # the name leads elsewhere now
    moved = application(generation=2, platform="https://git.example.com/other")
    await ring.prepare(moved, [key], "platform")
    with pytest.raises(DataKeyError):
        await ring.unwrap(moved, key, "platform/s.yaml", "platform")
    assert len(ring._rings) == 2
    await ring.forget(given.id)
    assert [len(kept) for kept in (ring._rings, ring._logins, ring._locks, ring._further)] == [0, 0, 0, 0]


async def test_an_application_has_so_many_identities(held: Held, make_ring: Callable[..., KeyRing]) -> None:
    pairs = [identity() for _ in range(65)]
    lines = [text for _, text in pairs]
    held.put("shop", "keys", one="\n".join(lines[:40]), two="\n".join(lines[40:64]))
    ring = make_ring()
    assert await ring.unwrap(application(), wrapped(pairs[63][0]), "s.yaml") == DATA_KEY
    for texts in ({"one": "\n".join(lines)}, {"one": "\n".join(lines[:40]), "two": " ".join(lines[40:])}):
        held.put("greedy", "keys", **texts)
        with pytest.raises(LimitError, match="more private keys than are tried") as caught:
            await ring.unwrap(application("greedy"), wrapped(pairs[0][0]), "s.yaml")
        assert "AGE-SECRET-KEY" not in str(caught.value)


async def test_a_secret_of_a_megabyte_is_refused_before_any_key_of_it_is_read(
    held: Held, make_ring: Callable[..., KeyRing]
) -> None:
    recipient, text = identity()
    held.put("shop", "keys", one=f"{text}\n" * 13_653)
    with cost.at_most(seconds=1), pytest.raises(LimitError, match="private keys of the Application are larger"):
        await make_ring().unwrap(application(), wrapped(recipient), "s.yaml")


async def test_a_file_has_so_many_wrapped_keys_and_each_so_many_stanzas(
    held: Held, make_ring: Callable[..., KeyRing]
) -> None:
    recipient, text = identity()
    held.put("shop", "keys", one=text)
    ring, one = make_ring(), wrapped(recipient).keys[0]
    others = [AgeKey(f"age1{number}", "x") for number in range(256)]
    assert await ring.unwrap(application(), WrappedDataKey.one_group(*others[:255], one), "s.yaml") == DATA_KEY
    for groups in (((*others, one),), ((one,), tuple(others))):
        with pytest.raises(LimitError, match="has more recipients than are tried") as caught:
            await ring.unwrap(application(), WrappedDataKey(groups), "s.yaml")
        assert caught.value.facts["limit"] == 256
    assert await ring.unwrap(application(), with_stanzas(64, recipient), "s.yaml") == DATA_KEY
    with pytest.raises(DataKeyError, match="has more recipients than are tried"):
        await ring.unwrap(application(), with_stanzas(65, recipient), "s.yaml")


async def test_a_file_is_tried_for_so_long(
    held: Held, make_ring: Callable[..., KeyRing], monkeypatch: pytest.MonkeyPatch
) -> None:
    held.put("shop", "keys", one="\n".join(identity()[1] for _ in range(8)))
    _slow(monkeypatch, 0.1)
    long = WrappedDataKey.one_group(*(with_stanzas(16, identity()[0]).keys[0] for _ in range(16)))
    started = time.monotonic()
    with pytest.raises(LimitError, match="trying the file's keys takes too long"):
        await make_ring(keySeconds=1).unwrap(application(), long, "s.yaml")
    assert time.monotonic() - started < 60, "and not the 200 seconds of all its work"


async def test_eight_applications_of_one_tenant_keep_no_other_waiting(
    held: Held, make_ring: Callable[..., KeyRing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor what shares no thread with them."""
    recipient, text = identity()
    held.put("other", "keys", one=text)
    held.put("greedy", "keys", one="\n".join(age_hybrid.generate()[1] for _ in range(4)))
    ring = make_ring(keySeconds=60)
    hybrid = age_hybrid.generate()[0]
    long = WrappedDataKey.one_group(*(wrapped(hybrid).keys[0] for _ in range(100)))
    slow = monkeypatch.context()
    with slow as patch:
        patch.setattr(age_hybrid.HybridIdentity, "unwrap", lambda *_: time.sleep(0.1))
        greedy = [
            asyncio.create_task(ring.unwrap(application("greedy", f"a{number}"), long, "s.yaml")) for number in range(8)
        ]
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert await ring.unwrap(application("other"), wrapped(recipient), "s.yaml") == DATA_KEY
            await asyncio.to_thread(lambda: None)
        assert not any(task.done() for task in greedy)
        for task in greedy:
            task.cancel()
        await asyncio.gather(*greedy, return_exceptions=True)


def _slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    unwrap = age_x25519.X25519Identity.unwrap

    def slowly(self: age_x25519.X25519Identity, stanza: age_format.Stanza) -> bytes | None:
        time.sleep(seconds)
        return unwrap(self, stanza)

    monkeypatch.setattr(age_x25519.X25519Identity, "unwrap", slowly)


@pytest.fixture(scope="module")
def pgp_key() -> Iterator[bytes]:
    home = Path(tempfile.mkdtemp(prefix="pgp-", dir="/tmp"))
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-gen-key", "a@example.com", "rsa2048"], check=True, capture_output=True)
    yield subprocess.run([*gpg, "--armor", "--export-secret-keys"], check=True, capture_output=True).stdout
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


async def test_pgp_keys_of_a_namespace_have_a_size_together(
    held: Held, make_ring: Callable[..., KeyRing], memory: Path, pgp_key: bytes
) -> None:
    ring = make_ring(pgpBytes=500 * 1024)
    missing = wrapped(identity()[0])
    for namespace in ("greedy", "other"):
        held.put(namespace, "keys", pgp=pgp_key)

    async def error(namespace: str, name: str) -> AgentError:
        with pytest.raises(AgentError) as caught:
            await ring.unwrap(application(namespace, name), missing, "s.yaml")
        return caught.value

    kinds = [type(await error("greedy", f"a{number}")) for number in range(6)]
    assert kinds[0] is DataKeyError
    assert kinds[-1] is LimitError
    assert sum(kind is DataKeyError for kind in kinds) == len(list(memory.iterdir()))
    assert type(await error("other", "web")) is DataKeyError
    await ring.forget(application("greedy", "a0").id)
    assert type(await error("greedy", "a9")) is DataKeyError


def compressed(data: bytes) -> bytes:
    """A PGP message as gpg unpacks it, in the armor of a key."""
    packed = b"\x01" + zlib.compress(data, 9)[2:-4]
    packet = b"\xc8\xff" + len(packed).to_bytes(4, "big") + packed
    mark = b"PGP PRIVATE KEY BLOCK-----\n"
    return b"-----BEGIN " + mark + b"\n" + base64.encodebytes(packet) + b"-----END " + mark


async def test_a_pgp_key_that_would_unpack_to_much_more_is_not_given_to_gpg(
    held: Held, make_ring: Callable[..., KeyRing], memory: Path, pgp_key: bytes
) -> None:
    data, count = pgp_packets.secret_keys(pgp_key)
    assert count == 1
    held.put("shop", "keys", pgp=compressed(data * 2000))
    with pytest.raises(AgentError, match="no PGP secret key in this text"):
        await make_ring().unwrap(application(), wrapped(identity()[0]), "s.yaml")
    assert not list(memory.iterdir())


async def test_an_application_has_so_many_pgp_keys(
    held: Held, make_ring: Callable[..., KeyRing], pgp_key: bytes
) -> None:
    held.put("shop", "keys", **{f"pgp{number:03}": pgp_key for number in range(4)})
    with pytest.raises(LimitError, match="more private keys than are tried"):
        await make_ring(identities=2).unwrap(application(), wrapped(identity()[0]), "s.yaml")


@pytest.mark.parametrize("text", [b"", b"canary", b"-----BEGIN PGP PRIVATE KEY BLOCK-----\ncanary\n"])
def test_what_is_no_armored_key_has_no_packets(text: bytes) -> None:
    assert pgp_packets.secret_keys(text) == (b"", 0)
