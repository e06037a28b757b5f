from collections.abc import Mapping, Sequence
from subprocess import Popen
from typing import ClassVar, Protocol

class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...

class StatusHandler:
    returncode: int
    stderr: str
    data: bytes
    def __init__(self, gpg: GPG) -> None: ...
    def handle_status(self, key: str, value: str) -> None: ...

class ListKeys(StatusHandler, list[dict[str, object]]): ...

class GPG:
    result_map: ClassVar[dict[str, type[StatusHandler]]]
    def __init__(
        self,
        gpgbinary: str = ...,
        gnupghome: str | None = ...,
        *,
        options: Sequence[str] | None = ...,
        env: Mapping[str, str] | None = ...,
    ) -> None: ...
    def make_args(self, args: list[str], passphrase: object) -> list[str]: ...
    def _open_subprocess(self, args: list[str], passphrase: object = ...) -> Popen[bytes]: ...
    def import_keys(self, key_data: bytes) -> StatusHandler: ...
    def decrypt_file(self, fileobj_or_path: _Reader, *, extra_args: list[str] | None = ...) -> StatusHandler: ...
    def encrypt_file(
        self,
        fileobj_or_path: _Reader,
        recipients: str,
        *,
        always_trust: bool = ...,
        extra_args: list[str] | None = ...,
    ) -> StatusHandler: ...
    def list_keys(self, secret: bool = ..., keys: str | None = ...) -> ListKeys: ...
