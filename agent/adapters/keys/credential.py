"""Where key material is read, to be given to the libraries that use it. Nothing else in this package reveals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values import system
from agent.values.errors import ConfigError
from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.values.text import UTF8_MARK, is_lfs_pointer, is_utf16

if TYPE_CHECKING:
    from typing import LiteralString


def key_text(secret: Secret) -> str:
    """Private keys or a token, as text. Raises ConfigError for what is not UTF-8, or begins with a mark."""
    value = reveal(secret)
    if not isinstance(value, str | bytes):
        raise ConfigError("a key is not text", source=secret.label)
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if refusal := _refusal(data):
        raise ConfigError(refusal, source=secret.label)
    try:
        return value if isinstance(value, str) else value.decode()
    except UnicodeDecodeError:
        raise ConfigError("a key is not text", source=secret.label) from None


def _refusal(data: bytes) -> LiteralString:
    """What a file is that only looks like one of keys."""
    if is_utf16(data):
        return "the file of a key is in UTF-16: save it in UTF-8"
    if data.startswith(UTF8_MARK):
        return "the file of a key begins with a byte order mark: save it in UTF-8 without one"
    if is_lfs_pointer(data):
        return "the file of a key is a pointer of Git LFS, not its content: git lfs pull"
    return ""


def key_bytes(secret: Secret) -> bytes:
    """A key file or a passphrase, as it is."""
    value = reveal(secret)
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def data_key_bytes(secret: Secret) -> bytes:
    """A data key, to be wrapped."""
    value = reveal(secret)
    if not isinstance(value, bytes):
        raise TypeError("a data key is bytes")
    return value


def is_pgp(secret: Secret) -> bool:
    """Whether a text is an armored PGP private key; else it is taken for age identities."""
    return "-----BEGIN PGP PRIVATE KEY BLOCK-----" in key_text(secret)


def read_files(path: str) -> list[Secret]:
    """The key texts of a file, or of the files of a folder, sorted by name; dot-files are left out. Raises ConfigError."""
    # Only here: callers that bring their keys do without.
    from pathlib import Path

    where = Path(path)
    try:
        files = sorted(each for each in where.iterdir() if not each.name.startswith(".")) if where.is_dir() else [where]
        return [Secret(each.read_text("utf-8"), f"file:{each}") for each in files if each.is_file()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the key files that the operator grants cannot be read", path=path, cause=system.cause(error)
        ) from None
