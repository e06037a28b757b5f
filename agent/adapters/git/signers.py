"""Whether a signature is one of the operator's signers', by OpenSSH's and GnuPG's own verifiers.

ssh-keygen(1) and gpgv(1) keep no state and ask nothing: signature and keys reach them as files in memory, the payload by a pipe. Only their
exit codes and gpgv's status lines count. All of it blocks, and is for worker threads.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.adapters.bounds import children
from agent.adapters.git import credential
from agent.values.errors import (
    ConfigError,
    SignatureError,
    SignerExpiredError,
    SignerRevokedError,
    UnknownSignerError,
)
from agent.values.text import cut

if TYPE_CHECKING:
    from agent.adapters.git.signed_objects import Signed
    from agent.api.signatures import SignatureRule

_MOST_BYTES: Final = 1024 * 1024
"""Of a file with signers."""
_SECONDS: Final = 20
"""That one verification may take."""
_ADDRESS_SPACE: Final = 64 * 1024 * 1024
"""Of a verifier, which runs in the turn of a git and needs less."""
_MOST_NAMES: Final = 16
"""Lines of the signers' file that one key may have."""
_ARMORED: Final = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\s(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL
)
_SIGNER: Final = 128
"""Characters of a signer's name that are shown."""


@dataclass(frozen=True, slots=True)
class Signers:
    """The signers of a rule, as their files were when it was made: a bounded copy each."""

    ssh: bytes
    revoked: bytes | None
    pgp: bytes

    @classmethod
    def of(cls, rule: SignatureRule) -> Signers:
        """Raises ConfigError."""
        pgp = _read(rule.pgp_keys)
        armored = _ARMORED.findall(pgp)
        return cls(
            _read(rule.ssh_signers),
            None if rule.ssh_revoked is None else _read(rule.ssh_revoked),
            b"".join(map(_dearmored, armored)) if armored else pgp,
        )

    def check(self, signed: Signed, seen: int) -> str:
        """The signer, for a commit or tag that was first seen at `seen`, in Unix seconds. Raises SignatureError."""
        return self._ssh(signed, seen) if signed.kind == "ssh" else self._pgp(signed, seen)

    def _ssh(self, signed: Signed, seen: int) -> str:
        known = base64.b64encode(signed.key) in self.ssh
        # a certificate is a signer's by its authority, whose key the signature does not name
        if not known and b"cert-authority" not in self.ssh:
            raise _unknown("SSH")
        at = time.strftime("verify-time=%Y%m%d%H%M%SZ", time.gmtime(seen))
        with ExitStack() as stack:
            files = [
                stack.enter_context(credential.in_memory(name, content))
                for name, content in (("signature", signed.signature), ("signers", self.ssh))
            ]
            signature, signers = (f"/proc/self/fd/{each}" for each in files)
            found = _run(["ssh-keygen", "-Y", "find-principals", "-s", signature, "-f", signers, "-O", at], b"", files)
            names = found.stdout.decode("utf-8", "replace").splitlines() if found.returncode == 0 else []
            for name in names[:_MOST_NAMES]:
                command = [
                    "ssh-keygen",
                    "-Y",
                    "verify",
                    "-n",
                    "git",
                    "-I",
                    name,
                    "-s",
                    signature,
                    "-f",
                    signers,
                    "-O",
                    at,
                ]
                if _run(command, signed.payload, files).returncode != 0:
                    continue
                if self.revoked is not None:
                    files.append(stack.enter_context(credential.in_memory("revoked", self.revoked)))
                    command += ["-r", f"/proc/self/fd/{files[-1]}"]
                    if _run(command, signed.payload, files).returncode != 0:
                        raise SignerRevokedError(
                            "the commit is signed with a key that the operator revoked", signer=cut(name, _SIGNER)
                        )
                return cut(name, _SIGNER)
        if names:
            raise SignatureError("the signature does not verify")
        if not known:
            raise _unknown("SSH")
        raise SignerExpiredError("the commit is signed with a key that was not valid when the commit was first seen")

    def _pgp(self, signed: Signed, seen: int) -> str:
        if not self.pgp:
            raise _unknown("OpenPGP")
        with (
            credential.in_memory("signature", signed.signature) as signature,
            credential.in_memory("keys", self.pgp) as keys,
        ):
            command = ["gpgv", "--weak-digest", "SHA1", "--weak-digest", "RIPEMD160", "--status-fd", "1"]
            command += ["--keyring", f"/proc/self/fd/{keys}", "--", f"/proc/self/fd/{signature}", "-"]
            answer = _run(command, signed.payload, [signature, keys])
        status = _Status.of(answer.stdout)
        if status.unknown:
            raise _unknown("OpenPGP")
        if status.verdict == "REVKEYSIG":
            raise SignerRevokedError("the commit is signed with a key that is revoked", signer=status.key)
        if status.verdict == "EXPKEYSIG" and status.expired <= seen:
            raise SignerExpiredError(
                "the commit is signed with a key that was expired when the commit was first seen", signer=status.key
            )
        if status.verdict not in {"GOODSIG", "EXPKEYSIG"} or not status.key:
            raise SignatureError("the signature does not verify")
        return status.key


@dataclass(frozen=True, slots=True)
class _Status:
    """gpgv's status lines about one signature (doc/DETAILS of GnuPG); no verdict where there are several signatures.

    `key` is the fingerprint of the primary key, `expired` the Unix second at which it or the subkey did.
    """

    verdict: str = ""
    key: str = ""
    expired: int = 0
    unknown: bool = False

    @classmethod
    def of(cls, output: bytes) -> _Status:
        lines = [
            line.split()[1:] for line in output.decode("ascii", "replace").splitlines() if line.startswith("[GNUPG:] ")
        ]
        by_name: dict[str, list[list[str]]] = {}
        for name, *rest in lines:
            by_name.setdefault(name, []).append(rest)
        verdicts = [
            name
            for name in ("GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG")
            for _ in by_name.get(name, ())
        ]
        if len(verdicts) != 1 or len(by_name.get("NEWSIG", ())) != 1:
            return cls()
        if verdicts == ["ERRSIG"]:
            return cls("ERRSIG", unknown="NO_PUBKEY" in by_name)
        valid = by_name.get("VALIDSIG", [])
        expired = [int(rest[0]) for rest in by_name.get("KEYEXPIRED", ()) if rest and rest[0].isdecimal()]
        return cls(verdicts[0], valid[0][-1] if len(valid) == 1 and valid[0] else "", min(expired, default=0))


def _run(command: list[str], payload: bytes, descriptors: list[int]) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which(command[0])
    if program is None:
        raise ConfigError(
            "a program that verifies signatures is not installed",
            hint="install OpenSSH's client and gpgv",
            program=command[0],
        )
    bounded = children.bounded([program, *command[1:]], address_space=_ADDRESS_SPACE, cpu_seconds=_SECONDS)
    environment = {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": "/nonexistent",
        "GNUPGHOME": "/nonexistent",
        **children.ENVIRONMENT,
    }
    try:
        return subprocess.run(  # noqa: S603 - programs and options are literals
            bounded,
            input=payload,
            capture_output=True,
            timeout=_SECONDS,
            env=environment,
            pass_fds=descriptors,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SignatureError("the signature takes too long to verify") from None


def _unknown(kind: str) -> UnknownSignerError:
    return UnknownSignerError("the commit is signed with a key that belongs to no signer", kind=kind)


def _read(path: str | None) -> bytes:
    if path is None:
        return b""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError:
        raise ConfigError("a file with signers cannot be read", field="git.signatures", file=path) from None
    if len(content) > _MOST_BYTES:
        raise ConfigError("a file with signers is too large", field="git.signatures", file=path, limit=_MOST_BYTES)
    return content


def _dearmored(block: bytes) -> bytes:
    """The packets of a block; its checksum is left out."""
    headers, separator, body = block.replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = (body if separator else headers).split()
    try:
        return base64.b64decode(b"".join(line for line in lines if not line.startswith(b"=")), validate=True)
    except ValueError:
        raise ConfigError("a file with signers is not an armored OpenPGP key", field="git.signatures") from None
