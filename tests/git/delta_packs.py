"""Packs that are small and unfold to much: a blob that is a delta of long copies (gitformat-pack(5))."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.repository import Repository

MIB = 1024 * 1024
_COMMIT, _TREE, _BLOB, _REF_DELTA = 1, 2, 3, 7


def zeros(repository: Repository, *, base: int, unfolded: int) -> str:
    """A commit on `main` whose a.yaml is `unfolded` bytes of zeros, stored as a delta of base.bin, which is `base` bytes of zeros.

    A server sends a stored delta as it is where it sends what it is a delta of.
    """
    names = {"a.yaml": _name("blob", unfolded), "base.bin": _name("blob", base)}
    tree = b"".join(b"100644 %s\0%s" % (name.encode(), bytes.fromhex(blob)) for name, blob in names.items())
    tree_name = hashlib.sha1(b"tree %d\0%s" % (len(tree), tree)).hexdigest()
    who = "x <x@example.com> 1700000000 +0000"
    commit = f"tree {tree_name}\nauthor {who}\ncommitter {who}\n\nbomb\n".encode()
    commit_name = hashlib.sha1(b"commit %d\0%s" % (len(commit), commit)).hexdigest()
    delta = _size(base) + _size(unfolded) + _copies(min(base, 0xFF0000), unfolded)
    objects = [
        _head(_COMMIT, len(commit)) + zlib.compress(commit),
        _head(_TREE, len(tree)) + zlib.compress(tree),
        _head(_BLOB, base) + zlib.compress(bytes(base)),
        _head(_REF_DELTA, len(delta)) + bytes.fromhex(_name("blob", base)) + zlib.compress(delta),
    ]
    pack = b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big") + b"".join(objects)
    repository.git("index-pack", "--stdin", stdin=pack + hashlib.sha1(pack).digest())
    repository.reset(commit_name)
    return commit_name


def _name(kind: str, size: int) -> str:
    """The hash of an object of zeros."""
    found = hashlib.sha1(b"%s %d\0" % (kind.encode(), size))
    block = bytes(MIB)
    for _ in range(size // MIB):
        found.update(block)
    found.update(bytes(size % MIB))
    return found.hexdigest()


def _head(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    return _more(bytes([first]), size)


def _size(size: int) -> bytes:
    return _more(bytes([size & 127]), size >> 7)


def _more(written: bytes, rest: int) -> bytes:
    found = bytearray(written)
    while rest:
        found[-1] |= 128
        found.append(rest & 127)
        rest >>= 7
    return bytes(found)


def _copies(most: int, size: int) -> bytes:
    """Copies from offset 0: the opcode says that three bytes of the length follow."""
    found = bytearray()
    while size:
        length = min(most, size)
        found += b"\xf0" + length.to_bytes(3, "little")
        size -= length
    return bytes(found)
