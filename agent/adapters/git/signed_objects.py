"""Commits and tags as Git stores them, taken apart: what was signed, and by what signature.

What Git itself signs and verifies (gitformat-signature(5)): of a commit all but the header with the signature, of a tag all before it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final, Literal

from agent.values.errors import SignatureError, UnsignedError

_HEADER: Final = b"gpgsig"
_BEGINS: Final = re.compile(rb"^-----BEGIN (PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----", re.MULTILINE)
_SSH: Final = re.compile(rb"-----BEGIN SSH SIGNATURE-----\s([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----\s*")
_PGP: Final = re.compile(rb"-----BEGIN PGP SIGNATURE-----\n.*\n-----END PGP SIGNATURE-----\s*", re.DOTALL)
_LONGEST: Final = 16 * 1024
"""Bytes of a signature."""
_BEGIN: Final = re.compile(rb"tree [0-9a-f]{40}\n(?:parent [0-9a-f]{40}\n)*author [^\n]*\ncommitter [^\n]*(?:\n|$)")
"""How Git reads a commit: a parent elsewhere is none to it, and the commits that lead to it would go unseen."""
_ONCE: Final = frozenset({b"tree", b"parent", b"author", b"committer"})
_MAGIC: Final = b"SSHSIG\0\0\0\1"


@dataclass(frozen=True, slots=True)
class Signed:
    """A payload and its detached, armored signature. `key` is the public key that an SSH signature names, in OpenSSH's binary form."""

    kind: Literal["ssh", "pgp"]
    payload: bytes
    signature: bytes
    key: bytes = b""


def of_commit(raw: bytes) -> Signed:
    """Raises UnsignedError, SignatureError."""
    head, _, message = raw.partition(b"\n\n")
    begin = _BEGIN.match(head)
    if begin is None:
        raise SignatureError("the commit is not written as Git writes one")
    kept = [begin[0].removesuffix(b"\n")]
    signature: list[bytes] = []
    within = False
    for line in head[begin.end() :].split(b"\n"):
        within = within and line.startswith(b" ")
        name, _, rest = line.partition(b" ")
        if within:
            signature.append(line[1:])
        elif name == _HEADER and not signature:
            within = True
            signature.append(rest)
        elif name.startswith(_HEADER):
            raise SignatureError("the commit has signatures besides the one that can be verified")
        elif name in _ONCE:
            raise SignatureError("the commit is not written as Git writes one")
        elif line:
            kept.append(line)
    if not signature:
        raise UnsignedError("the commit is not signed")
    return _signed(b"\n".join(kept) + b"\n\n" + message, b"\n".join(signature) + b"\n")


def of_tag(raw: bytes, commit: str, name: str) -> Signed | None:
    """None where the tag is not this commit's, or has another name. Raises UnsignedError, SignatureError."""
    if not raw.startswith(b"object %s\ntype commit\ntag %s\n" % (commit.encode(), name.encode())):
        return None
    begins = [match.start() for match in _BEGINS.finditer(raw)]
    if not begins:
        raise UnsignedError("the tag is not signed", hint="sign it: git tag --sign")
    return _signed(raw[: begins[-1]], raw[begins[-1] :])


def _signed(payload: bytes, signature: bytes) -> Signed:
    if len(signature) > _LONGEST:
        raise SignatureError("the signature is too long", limit=_LONGEST)
    if _PGP.fullmatch(signature):
        return Signed("pgp", payload, signature)
    ssh = _SSH.fullmatch(signature)
    if ssh is None:
        raise SignatureError("not a signature that can be verified", hint="sign with an SSH key or OpenPGP")
    try:
        blob = base64.b64decode(b"".join(ssh[1].split()), validate=True)
    except binascii.Error:
        blob = b""
    size = int.from_bytes(blob[len(_MAGIC) : len(_MAGIC) + 4])
    key = blob[len(_MAGIC) + 4 :][:size]
    if not blob.startswith(_MAGIC) or not key or len(key) != size:
        raise SignatureError("the SSH signature cannot be read")
    return Signed("ssh", payload, signature, key)
