"""PGP through a GnuPG home of our own: what gpg and sops made opens, and nothing that gpg says gets out."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys.pgp import PgpKeys
from agent.sops import decrypt, stores
from agent.sops.groups import unwrap_data_key
from agent.sops.keys import PgpKey, PgpRecipient
from agent.values.errors import ConfigError, DataKeyError
from agent.values.secret import Secret
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
WHEN = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def homes() -> Iterator[Path]:
    """A folder with a short path: gpg's sockets have to fit into 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="pgp-", dir="/tmp"))
    yield folder
    for home in folder.iterdir():
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, capture_output=True)
    shutil.rmtree(folder)


def home(homes: Path, name: str) -> Path:
    made = homes / name
    made.mkdir(mode=0o700)
    return made


def gpg(at: Path, *arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(
        ["gpg", "--homedir", at, "--batch", "--pinentry-mode", "loopback", *arguments],
        input=data,
        check=True,
        capture_output=True,
    ).stdout


class Owner:
    """Somebody with a key without a passphrase, and one with."""

    def __init__(self, at: Path) -> None:
        self.home = at
        gpg(
            at, "--passphrase", "", "--quick-gen-key", "Canary User <canary@example.com>", "rsa2048", "default", "never"
        )
        listed = gpg(at, "--with-colons", "--list-keys").decode()
        self.fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        gpg(at, "--quick-add-key", "--passphrase", "", self.fingerprint, "cv25519", "encr", "never")
        self.secret = gpg(at, "--armor", "--export-secret-keys", self.fingerprint)
        self.public = gpg(at, "--armor", "--export", self.fingerprint)


@pytest.fixture(scope="module")
def owner(homes: Path) -> Owner:
    return Owner(home(homes, "owner"))


@pytest.fixture(scope="module")
def keys(homes: Path, owner: Owner) -> Iterator[PgpKeys]:
    keys = PgpKeys(home(homes, "agent"))
    assert owner.fingerprint in keys.import_key(Secret(owner.secret, "Secret shop/pgp"))
    yield keys
    keys.close()


def test_what_is_wrapped_is_unwrapped(keys: PgpKeys, owner: Owner) -> None:
    wrapped = keys.wrap(PgpRecipient(owner.fingerprint), DATA_KEY, created_at=WHEN)
    assert (wrapped.fp, wrapped.created_at) == (owner.fingerprint, WHEN)
    assert wrapped.enc.startswith("-----BEGIN PGP MESSAGE-----")
    assert keys.unwrap(wrapped) == DATA_KEY


def test_a_file_of_sops_opens(keys: PgpKeys, owner: Owner, tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("a: hunter2\n")
    done = subprocess.run(
        [binaries.path("sops"), "encrypt", "--pgp", owner.fingerprint, "f.yaml"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GNUPGHOME": str(owner.home)},
        check=True,
        capture_output=True,
    )
    file = decrypt.read(done.stdout, file="f.yaml", store=stores.Store.YAML)
    plain = decrypt.decrypt(file, unwrap_data_key(file.metadata.data_key, keys, file="f.yaml"))
    assert stores.Store.YAML.emit(plain.documents) == b"a: hunter2\n"


def test_failures_say_nothing_that_gpg_said(
    homes: Path, keys: PgpKeys, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrapped = keys.wrap(PgpRecipient(owner.fingerprint), DATA_KEY, created_at=WHEN)
    stranger = PgpKeys(home(homes, "stranger"))
    symmetric = gpg(owner.home, "--passphrase", "canary", "--armor", "--symmetric", data=b"canary").decode()
    plain = gpg(owner.home, "--armor", "--store", data=b"canary").decode()
    bomb = gpg(
        owner.home, "--armor", "--trust-model", "always", "-r", owner.fingerprint, "--encrypt", data=b"canary" * 10_000
    )
    cases = {
        "gpg has no secret key for it": (stranger, wrapped),
        "gpg does not decrypt it": (keys, PgpKey(owner.fingerprint, WHEN, symmetric)),
    }
    for reason, (at_hand, key) in cases.items():
        with pytest.raises(DataKeyError) as caught:
            at_hand.unwrap(key)
        assert caught.value.message == reason
    for text in ("canary", plain, bomb.decode()):
        with pytest.raises(DataKeyError) as caught:
            keys.unwrap(PgpKey(owner.fingerprint, WHEN, text))
        assert "canary" not in str(caught.value).lower()
    stranger.close()
    assert not [record for record in caplog.records if record.name.startswith("gnupg")]


@pytest.mark.parametrize("fingerprint", ["", "canary@example.com", "--armor", "ABCD", "0" * 40])
def test_a_key_that_is_not_there_or_no_fingerprint(keys: PgpKeys, fingerprint: str) -> None:
    with pytest.raises(DataKeyError):
        keys.wrap(PgpRecipient(fingerprint), DATA_KEY, created_at=WHEN)


def test_text_without_a_secret_key_is_refused(keys: PgpKeys, owner: Owner) -> None:
    for text in (b"canary", owner.public, b""):
        with pytest.raises(ConfigError) as caught:
            keys.import_key(Secret(text, "Secret shop/pgp"))
        assert "Secret shop/pgp" in str(caught.value)
        assert "canary" not in str(caught.value).lower()


def test_a_home_that_others_can_read_is_refused(homes: Path) -> None:
    made = homes / "open"
    made.mkdir(mode=0o755)
    with pytest.raises(ConfigError):
        PgpKeys(made)
    with pytest.raises(ConfigError):
        PgpKeys(None, binary="no-such-gpg")


def test_closing_ends_the_home_s_own_agent(homes: Path, owner: Owner) -> None:
    at = home(homes, "closing")
    keys = PgpKeys(at)
    keys.import_key(Secret(owner.secret, "key"))

    def agents() -> list[str]:
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        return [line.decode() for line in lines if b"gpg-agent" in line and bytes(at) in line]

    assert agents()
    keys.close()
    assert not agents()
