"""Git over SSH on loopback with deploy keys: asyncssh in a thread of this process, and `git upload-pack` behind it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import asyncssh

from testbed.processes import free_port
from testbed.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Generator

_SECONDS = 30
_COPIED = 64 * 1024


def host_key(kind: str = "ssh-ed25519") -> asyncssh.SSHKey:
    """A new key of one of SSH's types, such as `ssh-rsa` or `ecdsa-sha2-nistp256`."""
    return asyncssh.generate_private_key(kind)  # pyright: ignore[reportUnknownMemberType]


def public(key: asyncssh.SSHKey) -> str:
    """`type base64`, without comment."""
    return " ".join(key.export_public_key().decode().split()[:2])


@dataclass(slots=True)
class _Doings:
    """What the server does and has seen. `stall` is where it stops answering: `key` or `command`; `offers` are user and public key."""

    root: Path
    grants: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    stall: str = ""
    flood: bool = False
    words: bytes = b""
    offers: list[tuple[str, str]] = field(default_factory=list["tuple[str, str]"])
    commands: list[str] = field(default_factory=list[str])
    methods: list[str] = field(default_factory=list[str])


class SshServer:
    """A running server. A context manager; a temporary folder holds the bare repositories.

    `grant` lets a public key read repositories by name. Of its `doings`, `stall`, `flood` (output without end) and `words` (to stderr, before
    a command ends) may be changed while it runs; `offers` are the keys that clients showed, `commands` what they ran, and `methods` what
    else they tried to log in by.
    """

    def __init__(self, *host_keys: asyncssh.SSHKey, **options: object) -> None:
        """`options` are those of asyncssh.listen."""
        self.folder: Path = Path(tempfile.mkdtemp(prefix="signet-testbed-ssh-"))
        self.host_keys: tuple[asyncssh.SSHKey, ...] = host_keys or (host_key(),)
        self.certificates: tuple[asyncssh.SSHCertificate, ...] = ()
        self.port: int = free_port()
        self.netloc: str = f"127.0.0.1:{self.port}"
        self.doings: _Doings = _Doings(self.folder)
        self._options: dict[str, object] = options
        self._loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self._thread: threading.Thread = threading.Thread(target=self._loop.run_forever, name="ssh-server", daemon=True)
        self._listener: asyncssh.SSHAcceptor | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        asyncio.run_coroutine_threadsafe(self._drain(), self._loop).result(_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def known_hosts(self) -> str:
        """The lines of all host keys."""
        return "".join(f"[127.0.0.1]:{self.port} {public(key)}\n" for key in self.host_keys)

    def start(self) -> None:
        """Listen, on the same port each time, with the host keys as they are now."""
        self._listener = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_SECONDS)

    def stop(self) -> None:
        """Refuse connections, and cut those that are open."""
        if self._listener is not None:
            asyncio.run_coroutine_threadsafe(self._close(self._listener), self._loop).result(_SECONDS)
            self._listener = None

    @contextlib.contextmanager
    def away(self) -> Generator[None]:
        """Within it the server is stopped."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def create(self, name: str, *keys: asyncssh.SSHKey) -> Repository:
        """A new bare repository that these keys may read, at `ssh://git@127.0.0.1:<port>/<name>.git`."""
        for key in keys:
            self.grant(name, key)
        return Repository.create(self.folder / f"{name}.git", f"ssh://git@{self.netloc}/{name}.git")

    def grant(self, name: str, key: asyncssh.SSHKey) -> None:
        self.doings.grants.setdefault(public(key), set()).add(name)

    def revoke(self, key: asyncssh.SSHKey) -> None:
        """The key is refused from now on."""
        _ = self.doings.grants.pop(public(key), None)

    async def _listen(self) -> asyncssh.SSHAcceptor:
        doings = self.doings
        return await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: _Server(doings),
            server_host_keys=list(self.host_keys),
            server_host_certs=list(self.certificates),
            process_factory=partial(_serve, doings),
            encoding=None,
            **self._options,
        )

    async def _close(self, listener: asyncssh.SSHAcceptor) -> None:
        listener.close()
        await listener.wait_closed()
        for connection in list(_Server.open):
            connection.abort()

    async def _drain(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            _ = task.cancel()
        _ = await asyncio.gather(*tasks, return_exceptions=True)


class _Server(asyncssh.SSHServer):
    open: set[asyncssh.SSHServerConnection] = set()  # noqa: RUF012  # of this process

    def __init__(self, doings: _Doings) -> None:
        self._doings: _Doings = doings
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        _Server.open.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._connection is not None:
            _Server.open.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        del password
        self._doings.methods.append(f"password of {username}")
        return False

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> bool:
        del lang, submethods
        self._doings.methods.append(f"keyboard-interactive of {username}")
        return False

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if self._doings.stall == "key":
            await asyncio.sleep(_SECONDS)
        self._doings.offers.append((username, public(key)))
        if self._connection is not None:
            self._connection.set_extra_info(key=public(key))
        return username == "git" and public(key) in self._doings.grants


async def _serve(doings: _Doings, process: asyncssh.SSHServerProcess[bytes]) -> None:
    command = shlex.split(process.command or "")
    doings.commands.append(process.command or "")
    if doings.stall == "command":
        await asyncio.sleep(_SECONDS)
    name = command[1].lstrip("/").removesuffix(".git") if len(command) == 2 else ""
    allowed = doings.grants.get(process.channel.get_extra_info("key", ""), set())
    if doings.words or command[0] != "git-upload-pack" or name not in allowed:
        process.stderr.write(doings.words or b"ERROR: Repository not found.\n")
        process.exit(128)
        return
    if doings.flood:
        with contextlib.suppress(asyncssh.Error, OSError):
            while True:
                process.stdout.write(b"003f" + b"f" * 40 + b" refs/heads/flood\n")
                process.stderr.write(b"x" * 4096)
                await process.stdout.drain()
        return
    backend = await asyncio.create_subprocess_exec(
        *("git", "upload-pack", str(doings.root / f"{name}.git")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "GIT_PROTOCOL": process.env.get("GIT_PROTOCOL", "")},
    )
    assert backend.stdin is not None
    assert backend.stdout is not None
    _ = await asyncio.gather(_copy(process.stdin, backend.stdin), _copy(backend.stdout, process.stdout))
    process.exit(await backend.wait())


class _Reader(Protocol):
    async def read(self, n: int) -> bytes: ...


class _Writer(Protocol):
    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    def write_eof(self) -> None: ...


async def _copy(source: _Reader, target: _Writer) -> None:
    with contextlib.suppress(asyncssh.Error, OSError):
        while data := await source.read(_COPIED):
            target.write(data)
            await target.drain()
        target.write_eof()
