"""PGP through a GnuPG home of our own: what gpg and sops made opens, and nothing that gpg says gets out."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys import pgp
from agent.adapters.keys.pgp import PgpKeys
from agent.sops.files import decrypt
from agent.sops.format.groups import unwrap_data_key
from agent.sops.format.keys import PgpKey, PgpRecipient
from agent.sops.stores import named
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
    shutil.rmtree(folder, ignore_errors=True)  # the agent that ends removes its sockets itself


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
    """A person with a key without a passphrase, and one with."""

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
    file = decrypt.read(done.stdout, file="f.yaml", store=named("yaml"))
    plain = decrypt.decrypt(file, unwrap_data_key(file.metadata.data_key, keys, file="f.yaml"))
    assert named("yaml").emit(plain.documents) == b"a: hunter2\n"


def test_failures_say_nothing_that_gpg_said(homes: Path, keys: PgpKeys, owner: Owner) -> None:
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
    for reason, (held, key) in cases.items():
        with pytest.raises(DataKeyError) as caught:
            held.unwrap(key)
        assert caught.value.message == reason
    for text in ("canary", plain, bomb.decode()):
        with pytest.raises(DataKeyError) as caught:
            keys.unwrap(PgpKey(owner.fingerprint, WHEN, text))
        assert "canary" not in str(caught.value).lower()
    stranger.close()


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


def test_a_gpg_that_ends_while_it_is_written_to(tmp_path: Path) -> None:
    binary = tmp_path / "gpg"
    binary.write_text('#!/bin/sh\ncase "$*" in *--list-config*) exec gpg "$@";; esac\nexit 2\n')
    binary.chmod(0o755)
    with pytest.raises(DataKeyError) as caught:
        PgpKeys(None, binary=str(binary)).unwrap(PgpKey("0" * 40, WHEN, "canary" * 1_000_000))
    assert caught.value.message == "gpg exited before it had read its input"


def test_a_home_that_others_can_read_is_refused(homes: Path) -> None:
    made = homes / "open"
    made.mkdir(mode=0o755)
    with pytest.raises(ConfigError):
        PgpKeys(made)


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


@pytest.mark.parametrize("binary", ["no-such-gpg", "/dev/null", "false"])
def test_without_gpg_the_reason_says_so(binary: str) -> None:
    keys = PgpKeys(None, binary=binary)
    with pytest.raises(DataKeyError) as caught:
        keys.unwrap(PgpKey("0" * 40, WHEN, "canary"))
    assert caught.value.message == "gpg is not installed, or does not run"
    with pytest.raises(DataKeyError):
        keys.wrap(PgpRecipient("0" * 40), DATA_KEY, created_at=WHEN)
    with pytest.raises(ConfigError):
        keys.import_key(Secret(b"canary", "Secret shop/pgp"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("--quick-set-expire", "20200101T000000"), "the PGP key has expired"),
        (("--import",), "the PGP key is revoked"),
        ((), "the PGP key is not one for encryption"),
    ],
    ids=["expired", "revoked", "signing only"],
)
def test_a_key_that_is_not_for_use_says_why(homes: Path, change: tuple[str, ...], reason: str) -> None:
    at = home(homes, reason.rpartition(" ")[2])
    kind = ["rsa2048", "default", "never"] if change else ["ed25519", "sign", "never"]
    gpg(at, "--faked-system-time", "20190101T000000", "--passphrase", "", "--quick-gen-key", "a@example.com", *kind)
    fingerprint = next(at.glob("openpgp-revocs.d/*.rev")).stem
    if change == ("--import",):
        revocation = (at / f"openpgp-revocs.d/{fingerprint}.rev").read_bytes().replace(b"\n:-----", b"\n-----")
        gpg(at, *change, data=revocation)
    elif change:
        gpg(at, "--faked-system-time", "20190102T000000", change[0], fingerprint, change[1])
    with pytest.raises(DataKeyError) as caught:
        PgpKeys(at).wrap(PgpRecipient(fingerprint), DATA_KEY, created_at=WHEN)
    assert caught.value.message == reason
    with pytest.raises(DataKeyError) as caught:
        PgpKeys(at).wrap(PgpRecipient("0" * 40), DATA_KEY, created_at=WHEN)
    assert caught.value.message == "the PGP key is not in the keyring"


PASSPHRASE = "canary passphrase"
PINENTRY = """\
#!/bin/sh
echo "OK"
while read -r line; do
  echo "$line" >> "{log}"
  case "$line" in
    GETPIN*) {answer};;
    BYE*) echo "OK"; exit 0;;
    *) echo "OK";;
  esac
done
"""


class Locked:
    """A home like the user's with a key under a passphrase, and a pinentry that says what a test wants."""

    def __init__(self, at: Path) -> None:
        self.home = at
        gpg(at, "--passphrase", PASSPHRASE, "--quick-gen-key", "a@example.com", "rsa2048", "encr", "never")
        self.fingerprint = next(at.glob("openpgp-revocs.d/*.rev")).stem
        self.wrapped = PgpKeys(at).wrap(PgpRecipient(self.fingerprint), DATA_KEY, created_at=WHEN)
        self.log = at / "pinentry.log"

    def pinentry(self, answer: str) -> None:
        program = self.home / "pinentry"
        program.write_text(PINENTRY.format(log=self.log, answer=answer))
        program.chmod(0o755)
        self.log.write_text("")
        (self.home / "gpg-agent.conf").write_text(f"pinentry-program {program}\n")
        self.lock()

    def lock(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "gpg-agent"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def locked_home(homes: Path) -> Locked:
    return Locked(home(homes, "locked"))


@pytest.fixture
def locked(locked_home: Locked, monkeypatch: pytest.MonkeyPatch) -> Locked:
    monkeypatch.setenv("GNUPGHOME", str(locked_home.home))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "GPG_TTY"):
        monkeypatch.delenv(name, raising=False)
    return locked_home


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (f'echo "D wrong {PASSPHRASE}"; echo OK', "the passphrase is wrong"),
        ('echo "ERR 83886179 canary"', "the passphrase was not given"),
        ('echo "ERR 83886142 canary"', "the passphrase was not given"),
        ("exit 1", "the passphrase was not given"),
        ('echo "ERR 83918950 canary"', "the key has a passphrase, and there is no way to ask for it"),
        ("", "the key has a passphrase, and there is no way to ask for it"),
    ],
    ids=["wrong", "cancelled", "timeout", "pinentry ends", "no terminal", "no pinentry"],
)
def test_a_locked_key_says_why_it_stays_locked(locked: Locked, answer: str, reason: str) -> None:
    locked.pinentry(answer)
    if not answer:
        (locked.home / "pinentry").unlink()
    with pytest.raises(DataKeyError) as caught:
        PgpKeys(None).unwrap(locked.wrapped)
    assert caught.value.message == reason
    assert "canary" not in f"{caught.value} {caught.value.hint}"


def test_a_passphrase_that_is_entered_opens_the_key_until_the_agent_forgets_it(locked: Locked) -> None:
    locked.pinentry(f'echo "D {PASSPHRASE}"; echo OK')
    assert PgpKeys(None).unwrap(locked.wrapped) == DATA_KEY
    asked = locked.log.read_text()
    assert "GETPIN" in asked
    assert PgpKeys(None).unwrap(locked.wrapped) == DATA_KEY
    assert locked.log.read_text() == asked


def test_a_pinentry_that_never_answers_does_not_hold_the_command(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgp, "_UNATTENDED_SECONDS", 0.5)
    locked.pinentry("read -r nothing")
    with pytest.raises(DataKeyError) as caught:
        PgpKeys(None).unwrap(locked.wrapped)
    assert caught.value.message == "gpg does not answer in time"


def test_the_agent_s_own_home_never_prompts(locked: Locked) -> None:
    locked.pinentry(f'echo "D {PASSPHRASE}"; echo OK')
    with pytest.raises(DataKeyError) as caught:
        PgpKeys(locked.home).unwrap(locked.wrapped)
    assert caught.value.message == "the key has a passphrase, and there is no way to ask for it"
    assert not locked.log.read_text()


def test_pinentry_asks_on_the_terminal_of_the_command(locked: Locked) -> None:
    """Without GPG_TTY too, which sops needs."""
    locked.pinentry(f'echo "D {PASSPHRASE}"; echo OK')
    program = "import sys; from agent.adapters.keys.pgp import PgpKeys; from agent.sops.format.keys import PgpKey; "
    program += "PgpKeys(None).unwrap(PgpKey('', '', sys.argv[1]))"
    master, terminal = pty.openpty()
    try:
        name = os.ttyname(terminal)
        subprocess.run([sys.executable, "-c", program, locked.wrapped.enc], stdin=terminal, check=True)
    finally:
        os.close(terminal)
        os.close(master)
    assert f"OPTION ttyname={name}" in locked.log.read_text()
