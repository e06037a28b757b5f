"""What gpg may cost where the agent runs it: memory and time of each, and how many stay."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys import gpg_homes
from agent.adapters.keys.pgp import PgpKeys
from agent.sops.format.keys import PgpRecipient
from agent.values.errors import ConfigError, DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.sops.format.keys import PgpKey

DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
WHEN = "2026-01-01T00:00:00Z"
TOO_MUCH = "gpg needs more memory or CPU time than its limit"


@pytest.fixture(scope="module")
def homes() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pgp-", dir="/tmp"))
    yield folder
    for home in folder.iterdir():
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def home(homes: Path, name: str) -> Path:
    made = homes / name
    made.mkdir(mode=0o700)
    return made


def gpg(at: Path, *arguments: str) -> bytes:
    command = ["gpg", "--homedir", at, "--batch", "--pinentry-mode", "loopback", "--passphrase", "", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def secret(homes: Path) -> Secret:
    at = home(homes, "owner")
    gpg(at, "--quick-gen-key", "Canary User <canary@example.com>", "future-default", "default", "never")
    return Secret(gpg(at, "--armor", "--export-secret-keys"), "Secret shop/pgp")


@pytest.fixture(scope="module")
def wrapped(homes: Path, secret: Secret) -> PgpKey:
    keys = PgpKeys(home(homes, "wrapping"))
    (fingerprint, *_) = keys.import_key(secret)
    made = keys.wrap(PgpRecipient(fingerprint), DATA_KEY, created_at=WHEN)
    keys.close()
    return made


def agents(homes: Path) -> dict[Path, dict[str, str]]:
    """The limits of every gpg-agent of these homes, by its home."""
    found: dict[Path, dict[str, str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_text().split("\0")
                lines = (folder / "limits").read_text().splitlines()[1:]
            except OSError:
                continue
            if words[0].endswith("gpg-agent") and str(homes) in words[2]:
                found[Path(words[2])] = {line[:26].strip(): line[26:].split()[0] for line in lines}
    return found


def test_gpg_and_its_agent_have_limits(homes: Path, secret: Secret, wrapped: PgpKey) -> None:
    at = home(homes, "limits")
    noted = homes / "owner" / "noted"
    program = homes / "owner" / "gpg"
    program.write_text(f'#!/bin/sh\n(ulimit -v; ulimit -t) > {noted}\nexec gpg "$@"\n')
    program.chmod(0o700)
    keys = PgpKeys(at, binary=str(program))
    keys.import_key(secret)
    assert keys.unwrap(wrapped) == DATA_KEY
    assert noted.read_text().split() == [str(48 * 1024), "20"]
    limits = agents(homes)[at]
    assert limits["Max address space"] == str(48 * 1024 * 1024)
    # An agent stays, and what it does adds up.
    assert int(limits["Max cpu time"]) > 1_000_000
    keys.close()
    assert at not in agents(homes)


def test_what_needs_more_says_so(homes: Path, secret: Secret, wrapped: PgpKey, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = PgpKeys(home(homes, "small"))
    keys.import_key(secret)
    monkeypatch.setattr(gpg_homes, "ADDRESS_SPACE", 8 * 1024 * 1024)
    with pytest.raises(DataKeyError) as caught:
        keys.unwrap(wrapped)
    assert caught.value.message == TOO_MUCH
    with pytest.raises(ConfigError) as refused:
        keys.import_key(secret)
    assert refused.value.message == TOO_MUCH
    keys.close()


def test_a_gpg_that_is_not_there_says_so(homes: Path, wrapped: PgpKey) -> None:
    with pytest.raises(DataKeyError, match="gpg is not installed"):
        PgpKeys(home(homes, "none"), binary="no-such-gpg").unwrap(wrapped)


def test_few_agents_stay_and_every_home_opens_all_the_same(homes: Path, secret: Secret, wrapped: PgpKey) -> None:
    many = [PgpKeys(home(homes, f"many{number}")) for number in range(gpg_homes.AGENTS + 2)]
    for keys in many:
        keys.import_key(secret)
    assert len([at for at in agents(homes) if at.name.startswith("many")]) <= gpg_homes.AGENTS
    for keys in many:
        assert keys.unwrap(wrapped) == DATA_KEY
    assert len([at for at in agents(homes) if at.name.startswith("many")]) <= gpg_homes.AGENTS
    for keys in many:
        keys.close()
    assert not [at for at in agents(homes) if at.name.startswith("many")]


def test_few_gpgs_run_at_a_time_and_an_agent_in_use_stays() -> None:
    ended: list[str] = []
    turns = gpg_homes.Homes(lambda at: ended.append(at.name), gpgs=2, agents=2)
    inside, leave, third = threading.Event(), threading.Event(), threading.Event()

    def long() -> None:
        with turns.use(Path("long")):
            inside.set()
            leave.wait(10)

    def wait() -> None:
        with turns.use(Path("third")):
            third.set()

    first = threading.Thread(target=long)
    first.start()
    assert inside.wait(10)
    for name in ("a", "b", "c"):
        with turns.use(Path(name)):
            pass
    assert ended == ["a", "b"]
    with turns.use(Path("c")):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not third.wait(0.2)
    assert third.wait(10)
    leave.set()
    first.join()
    waiting.join()
    assert "long" not in ended
