"""What the operating system refuses, in words: the only place where a number of an OSError gets a meaning."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_CAUSES: Final[Mapping[int, str]] = {
    errno.ENOENT: "no such file or folder",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.EEXIST: "it exists already",
    errno.ENOTEMPTY: "the folder is not empty",
    errno.ELOOP: "it is a link, or links lead in a circle",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be too large",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the device failed",
    errno.EBUSY: "it is in use",
    errno.ETXTBSY: "it is in use",
    errno.EAGAIN: "it is in use",
    errno.EBADF: "it is closed",
    errno.EPIPE: "its reader has stopped reading",
    errno.ESTALE: "it no longer exists on the file server",
    errno.ENXIO: "there is no such device, or no process reads it",
    errno.ENODEV: "there is no such device",
    errno.ENOEXEC: "it is not a program",
    errno.E2BIG: "the arguments and the environment are too long",
    errno.ENOMEM: "no memory left",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.EADDRINUSE: "the address is in use",
    errno.EADDRNOTAVAIL: "this machine does not have the address",
    errno.EAFNOSUPPORT: "this machine does not have addresses of this kind",
    errno.ECONNREFUSED: "the connection was refused",
    errno.ECONNRESET: "the connection broke",
    errno.EHOSTUNREACH: "the host cannot be reached",
    errno.ENETUNREACH: "the network cannot be reached",
    errno.ETIMEDOUT: "no answer in time",
}
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def cause(error: OSError | ValueError) -> str:
    """Why a file, an address or a program cannot be used; a ValueError is of a name that no system takes."""
    if not isinstance(error, OSError):
        return "bytes that are not text" if isinstance(error, UnicodeError) else "not a name that a file can have"
    number = error.errno or 0
    if number < 0:  # of getaddrinfo
        return "the name is not known"
    return _CAUSES.get(number) or f"the system refuses it, {errno.errorcode.get(number, 'for no known reason')}"
