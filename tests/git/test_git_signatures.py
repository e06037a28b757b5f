"""Signatures of commits and tags by the real git, ssh-keygen and gpg, held against an operator's files."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from agent.adapters.git import verifying
from agent.api.model import validate
from agent.api.signatures import SignatureRule
from agent.engine.repositories import Demand
from agent.values.errors import (
    ConfigError,
    SignatureError,
    SignerExpiredError,
    SignerRevokedError,
    UnknownSignerError,
    UnsignedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from testbed.repository import Repository

NOW = int(time.time())
PAST = "20200101"
DEV = "dev@example.com"


def ssh_key(folder: Path, name: str, kind: str = "ed25519") -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", path], check=True)
    return path


def ssh_sign(payload: bytes, key: Path, namespace: str = "git") -> bytes:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key)]
    return subprocess.run(command, input=payload, capture_output=True, check=True).stdout


def revocation_list(path: Path, key: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", path, key.with_suffix(".pub")], check=True)


@dataclass(frozen=True, slots=True)
class Gpg:
    """A GnuPG home of one test, without an agent that outlives it."""

    home: Path

    def __call__(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--passphrase", "", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout

    def key(self, name: str, expire: str = "never", at: str = "") -> str:
        when = ["--faked-system-time", at] if at else []
        self(*when, "--quick-generate-key", f"{name} <{name}@example.com>", "ed25519", "sign", expire)
        listed = self("--list-keys", "--with-colons", f"{name}@example.com").decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def sign(self, payload: bytes, key: str, at: str = "") -> bytes:
        when = ["--faked-system-time", at] if at else []
        return self(*when, "--local-user", key, "--detach-sign", "--armor", stdin=payload)


@pytest.fixture
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gpg]:
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    yield Gpg(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


@dataclass(frozen=True, slots=True)
class Signing:
    """Writes commits whose signature is what `sign` gives for their payload, and verifies the branch or a tag."""

    repository: Repository
    mirrors: Mirrors
    source: Callable[..., Source]
    credential: GitCredential
    folder: Path

    def commit(self, sign: Callable[[bytes], bytes] | None = None, *, alter: bytes = b"", date: int = NOW) -> str:
        plain = self.repository.commit({"a.yaml": f"a: {os.urandom(4).hex()}\n"})
        if sign is None:
            return plain
        raw = self.repository.git("cat-file", "commit", plain).encode() + b"\n"
        head, _, message = raw.partition(b"\n\n")
        lines = [
            line.rsplit(b" ", 2)[0] + b" %d +0000" % date if line.startswith(b"committer ") else line
            for line in head.split(b"\n")
        ]
        head = b"\n".join(lines)
        signature = sign(head + b"\n\n" + message).rstrip(b"\n").replace(b"\n", b"\n ")
        signed = head + b"\ngpgsig " + signature + b"\n\n" + message + alter
        commit = self.repository.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=signed)
        self.repository.git("update-ref", "refs/heads/main", commit)
        return commit

    def tag(self, name: str, commit: str, sign: Callable[[bytes], bytes] | None) -> None:
        payload = f"object {commit}\ntype commit\ntag {name}\ntagger D <{DEV}> {NOW} +0000\n\nRelease\n".encode()
        tag = self.repository.git("mktag", stdin=payload + (sign(payload) if sign else b""))
        self.repository.git("update-ref", f"refs/tags/{name}", tag)

    async def verify(self, commit: str, *, tag: str = "", seen: int = NOW, accepted: str = "", **rule: object) -> str:
        fields = {"repositories": ["*"], **rule}
        source = self.source(revision={"tag": tag}) if tag else self.source()
        assert (await self.mirrors.fetch(source, self.credential)).commit == commit
        demand = Demand(validate(SignatureRule, fields), accepted, seen)  # pyright: ignore[reportArgumentType]
        return await self.mirrors.verify(source, self.credential, commit, demand)

    def signers(self, *lines: str, name: str = "signers") -> str:
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)


@pytest.fixture
def signing(
    repository: Repository, mirrors: Mirrors, source: Callable[..., Source], credential: GitCredential, tmp_path: Path
) -> Signing:
    return Signing(repository, mirrors, source, credential, tmp_path)


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
async def test_a_signer_of_each_kind_of_ssh_key(signing: Signing, kind: str) -> None:
    key = ssh_key(signing.folder, "dev", kind)
    commit = signing.commit(lambda payload: ssh_sign(payload, key))
    assert await signing.verify(commit, sshSigners=signing.signers(f"{DEV} {public(key)}")) == DEV


async def test_git_itself_signs_what_is_accepted(signing: Signing) -> None:
    key = ssh_key(signing.folder, "dev")
    parent = signing.commit()
    tree = signing.repository.git("rev-parse", "main^{tree}")
    settings = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "-c", "user.name=D", "-c", f"user.email={DEV}"]
    commit = signing.repository.git(*settings, "commit-tree", "-S", "-p", parent, "-m", "Signed", tree)
    signing.repository.git("update-ref", "refs/heads/main", commit)
    assert await signing.verify(commit, sshSigners=signing.signers(f"{DEV} {public(key)}")) == DEV


class TestOfSshKeys:
    """Each with a commit that `key` signed, whose committer's date is long ago: it never counts."""

    @pytest.fixture
    def key(self, tmp_path: Path) -> Path:
        return ssh_key(tmp_path, "dev")

    @pytest.fixture
    def commit(self, signing: Signing, key: Path) -> str:
        return signing.commit(lambda payload: ssh_sign(payload, key), date=1_000_000_000)

    async def test_of_another_signer(self, signing: Signing, commit: str, tmp_path: Path) -> None:
        signers = signing.signers(f"{DEV} {public(ssh_key(tmp_path, 'other'))}")
        with pytest.raises(UnknownSignerError) as caught:
            await signing.verify(commit, sshSigners=signers)
        assert caught.value.facts["commit"] == commit

    async def test_expired(self, signing: Signing, commit: str, key: Path) -> None:
        signers = signing.signers(f'{DEV} valid-before="{PAST}" {public(key)}')
        with pytest.raises(SignerExpiredError):
            await signing.verify(commit, sshSigners=signers)

    async def test_valid_when_it_was_first_seen(self, signing: Signing, commit: str, key: Path) -> None:
        signers = signing.signers(f'{DEV} valid-before="{PAST}" {public(key)}')
        assert await signing.verify(commit, sshSigners=signers, seen=1_500_000_000) == DEV

    @pytest.mark.parametrize("form", ["keys", "list"])
    async def test_revoked(self, signing: Signing, commit: str, key: Path, form: str) -> None:
        revoked = signing.folder / "revoked"
        if form == "keys":
            revoked.write_text(public(key) + "\n")
        else:
            revocation_list(revoked, key)
        with pytest.raises(SignerRevokedError):
            await signing.verify(commit, sshSigners=signing.signers(f"{DEV} {public(key)}"), sshRevoked=str(revoked))

    async def test_another_revoked(self, signing: Signing, commit: str, key: Path, tmp_path: Path) -> None:
        revoked = signing.signers(public(ssh_key(tmp_path, "other")), name="revoked")
        signers = signing.signers(f"{DEV} {public(key)}")
        assert await signing.verify(commit, sshSigners=signers, sshRevoked=revoked) == DEV

    async def test_for_another_purpose(self, signing: Signing, commit: str, key: Path) -> None:
        with pytest.raises(SignatureError, match="does not verify"):
            await signing.verify(commit, sshSigners=signing.signers(f'{DEV} namespaces="file" {public(key)}'))

    async def test_only_pgp_signers(self, signing: Signing, commit: str, gpg: Gpg) -> None:
        gpg.key("dev")
        path = signing.folder / "keys.gpg"
        path.write_bytes(gpg("--export"))
        with pytest.raises(UnknownSignerError):
            await signing.verify(commit, pgpKeys=str(path))


async def test_a_signature_for_another_purpose(signing: Signing) -> None:
    key = ssh_key(signing.folder, "dev")
    commit = signing.commit(lambda payload: ssh_sign(payload, key, "file"))
    with pytest.raises(SignatureError, match="does not verify"):
        await signing.verify(commit, sshSigners=signing.signers(f"{DEV} {public(key)}"))


async def test_a_commit_that_was_changed_after_it_was_signed(signing: Signing) -> None:
    key = ssh_key(signing.folder, "dev")
    commit = signing.commit(lambda payload: ssh_sign(payload, key), alter=b"And more\n")
    with pytest.raises(SignatureError, match="does not verify"):
        await signing.verify(commit, sshSigners=signing.signers(f"{DEV} {public(key)}"))


class TestOfOpenPgp:
    @pytest.fixture
    def keys(self, signing: Signing, gpg: Gpg) -> Callable[[], str]:
        def written() -> str:
            path = signing.folder / "keys"
            path.write_bytes(gpg("--export", "--armor"))
            return str(path)

        return written

    async def test_a_signer(self, signing: Signing, gpg: Gpg, keys: Callable[[], str]) -> None:
        key = gpg.key("dev")
        commit = signing.commit(lambda payload: gpg.sign(payload, key))
        assert await signing.verify(commit, pgpKeys=keys()) == key

    async def test_keys_that_are_not_armored(self, signing: Signing, gpg: Gpg) -> None:
        key = gpg.key("dev")
        commit = signing.commit(lambda payload: gpg.sign(payload, key))
        path = signing.folder / "keys.gpg"
        path.write_bytes(gpg("--export"))
        assert await signing.verify(commit, pgpKeys=str(path)) == key

    async def test_another_signer(self, signing: Signing, gpg: Gpg, keys: Callable[[], str]) -> None:
        gpg.key("dev")
        path = keys()
        other = gpg.key("other")
        commit = signing.commit(lambda payload: gpg.sign(payload, other))
        with pytest.raises(UnknownSignerError):
            await signing.verify(commit, pgpKeys=path)

    async def test_expired_since(self, signing: Signing, gpg: Gpg, keys: Callable[[], str]) -> None:
        key = gpg.key("dev", "20200201T000000", at="20200101T000000")
        commit = signing.commit(lambda payload: gpg.sign(payload, key, at="20200102T000000"), date=1_577_900_000)
        with pytest.raises(SignerExpiredError) as caught:
            await signing.verify(commit, pgpKeys=keys())
        assert caught.value.facts["signer"] == key
        assert await signing.verify(commit, pgpKeys=keys(), seen=1_578_000_000) == key

    async def test_revoked(self, signing: Signing, gpg: Gpg, keys: Callable[[], str]) -> None:
        key = gpg.key("dev")
        commit = signing.commit(lambda payload: gpg.sign(payload, key))
        certificate = (gpg.home / "openpgp-revocs.d" / f"{key}.rev").read_bytes().replace(b":-----BEGIN", b"-----BEGIN")
        gpg("--import", stdin=certificate)
        with pytest.raises(SignerRevokedError):
            await signing.verify(commit, pgpKeys=keys())

    async def test_a_commit_that_was_changed(self, signing: Signing, gpg: Gpg, keys: Callable[[], str]) -> None:
        key = gpg.key("dev")
        commit = signing.commit(lambda payload: gpg.sign(payload, key), alter=b"And more\n")
        with pytest.raises(SignatureError, match="does not verify"):
            await signing.verify(commit, pgpKeys=keys())

    async def test_two_signatures_in_one(self, signing: Signing, gpg: Gpg, keys: Callable[[], str]) -> None:
        one, two = gpg.key("one"), gpg.key("two")
        commit = signing.commit(
            lambda payload: gpg("--local-user", one, "--local-user", two, "--detach-sign", "--armor", stdin=payload)
        )
        with pytest.raises(SignatureError, match="does not verify"):
            await signing.verify(commit, pgpKeys=keys())

    async def test_a_file_that_holds_no_keys(self, signing: Signing, gpg: Gpg) -> None:
        key = gpg.key("dev")
        commit = signing.commit(lambda payload: gpg.sign(payload, key))
        with pytest.raises(SignatureError):
            await signing.verify(commit, pgpKeys=signing.signers("no key"))
        with pytest.raises(ConfigError, match="cannot be read"):
            await signing.verify(commit, pgpKeys="/nonexistent")


class TestOfTags:
    @pytest.fixture
    def key(self, tmp_path: Path) -> Path:
        return ssh_key(tmp_path, "dev")

    async def test_a_signed_tag_of_an_unsigned_commit(self, signing: Signing, key: Path) -> None:
        commit = signing.commit()
        signing.tag("v1", commit, lambda payload: ssh_sign(payload, key))
        assert await signing.verify(commit, tag="v1", sshSigners=signing.signers(f"{DEV} {public(key)}")) == DEV

    async def test_an_unsigned_tag_of_a_signed_commit(self, signing: Signing, key: Path) -> None:
        commit = signing.commit(lambda payload: ssh_sign(payload, key))
        signing.tag("v1", commit, None)
        assert await signing.verify(commit, tag="v1", sshSigners=signing.signers(f"{DEV} {public(key)}")) == DEV

    async def test_neither(self, signing: Signing, key: Path) -> None:
        commit = signing.commit()
        signing.tag("v1", commit, None)
        with pytest.raises(UnsignedError):
            await signing.verify(commit, tag="v1", sshSigners=signing.signers(f"{DEV} {public(key)}"))

    async def test_a_tag_of_another_signer(self, signing: Signing, key: Path, tmp_path: Path) -> None:
        commit = signing.commit(lambda payload: ssh_sign(payload, key))
        other = ssh_key(tmp_path, "other")
        signing.tag("v1", commit, lambda payload: ssh_sign(payload, other))
        with pytest.raises(UnknownSignerError) as caught:
            await signing.verify(commit, tag="v1", sshSigners=signing.signers(f"{DEV} {public(key)}"))
        assert caught.value.facts["tag"] == "v1"

    async def test_a_tag_that_moved_since_says_nothing_of_the_commit(self, signing: Signing, key: Path) -> None:
        commit = signing.commit()
        signing.tag("v1", commit, None)
        signers = signing.signers(f"{DEV} {public(key)}")
        with pytest.raises(UnsignedError):
            await signing.verify(commit, tag="v1", sshSigners=signers)
        source = signing.source(revision={"tag": "v1"})
        signing.tag("v1", signing.commit(), lambda payload: ssh_sign(payload, key))
        await signing.mirrors.fetch(source, signing.credential)
        demand = Demand(validate(SignatureRule, {"repositories": ["*"], "sshSigners": signers}), "", NOW)
        with pytest.raises(UnsignedError):
            await signing.mirrors.verify(source, signing.credential, commit, demand)


class TestOfEveryCommit:
    @pytest.fixture
    def key(self, tmp_path: Path) -> Path:
        return ssh_key(tmp_path, "dev")

    def rule(self, signing: Signing, key: Path) -> dict[str, object]:
        return {"require": "every", "sshSigners": signing.signers(f"{DEV} {public(key)}")}

    async def test_one_below_is_not_signed(self, signing: Signing, key: Path) -> None:
        below = signing.commit()
        head = signing.commit(lambda payload: ssh_sign(payload, key))
        with pytest.raises(UnsignedError) as caught:
            await signing.verify(head, **self.rule(signing, key))
        assert caught.value.facts["commit"] == below

    @pytest.mark.parametrize("how", ["accepted", "since"])
    async def test_what_is_trusted_needs_none(self, signing: Signing, key: Path, how: str) -> None:
        below = signing.commit()
        signing.commit(lambda payload: ssh_sign(payload, key))
        head = signing.commit(lambda payload: ssh_sign(payload, key))
        assert await signing.verify(head, **self.rule(signing, key), **{how: below}) == DEV

    async def test_the_head_alone_is_asked_for_without_it(self, signing: Signing, key: Path) -> None:
        signing.commit()
        head = signing.commit(lambda payload: ssh_sign(payload, key))
        assert await signing.verify(head, sshSigners=signing.signers(f"{DEV} {public(key)}")) == DEV

    async def test_what_is_merged_needs_one_too(self, signing: Signing, key: Path) -> None:
        base = signing.commit(lambda payload: ssh_sign(payload, key))
        side = signing.repository.commit({"b.yaml": "b: 1\n"}, branch="side", parent=base)
        tree = signing.repository.git("rev-parse", f"{side}^{{tree}}")
        settings = [
            "-c",
            "gpg.format=ssh",
            "-c",
            f"user.signingkey={key}",
            "-c",
            "user.name=D",
            "-c",
            f"user.email={DEV}",
        ]
        merge = signing.repository.git(*settings, "commit-tree", "-S", "-p", base, "-p", side, "-m", "Merge", tree)
        signing.repository.git("update-ref", "refs/heads/main", merge)
        with pytest.raises(UnsignedError) as caught:
            await signing.verify(merge, **self.rule(signing, key), accepted=base)
        assert caught.value.facts["commit"] == side

    async def test_a_commit_that_is_not_there_is_not_trusted(self, signing: Signing, key: Path) -> None:
        signing.commit()
        head = signing.commit(lambda payload: ssh_sign(payload, key))
        with pytest.raises(UnsignedError):
            await signing.verify(head, **self.rule(signing, key), accepted="a" * 40)

    async def test_more_than_are_looked_at(self, signing: Signing, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(verifying, "_MOST_COMMITS", 2)
        for _ in range(3):
            head = signing.commit(lambda payload: ssh_sign(payload, key))
        with pytest.raises(SignatureError, match="more commits"):
            await signing.verify(head, **self.rule(signing, key))
