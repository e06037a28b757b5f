"""Gitea on loopback: a real forge with one user, whose repositories may have webhooks.

It is built apart from the other programs, because it takes some seven minutes of processor time.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from base64 import b64encode
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from testbed.binaries import BuildError
from testbed.processes import Supervisor, free_port
from testbed.requests import RequestError, request

if TYPE_CHECKING:
    from testbed.processes import Process

VERSION = "v1.26.0"
_MODULE = "code.gitea.io/gitea"
_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags=-s -w")
_SETTINGS = """\
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
RUN_USER = {user}
WORK_PATH = {folder}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {static}
APP_DATA_PATH = {folder}/data
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {folder}/gitea.db
[repository]
ROOT = {folder}/repositories
[security]
INSTALL_LOCK = true
SECRET_KEY = {key}
[webhook]
ALLOWED_HOST_LIST = loopback
[log]
LEVEL = Warn
[indexer]
ISSUE_INDEXER_TYPE = db
"""


def build() -> tuple[Path, Path]:
    """The program, built when it is missing, and the folder of its module with templates. Raises BuildError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signet" / "testbed"
    go, target = shutil.which("go"), cache / f"gitea-{VERSION}-linux-x86_64"
    if go is None:
        raise BuildError("go is missing: Gitea is built with Go 1.26 or newer")
    found = subprocess.run(
        [go, "mod", "download", "-json", f"{_MODULE}@{VERSION}"], capture_output=True, text=True, check=True
    )
    folder = Path(json.loads(found.stdout)["Dir"])
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = target.with_suffix(f".{os.getpid()}")
        command = [go, "build", *_FLAGS, "-tags", "sqlite sqlite_unlock_notify", "-o", str(made), "."]
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, "CGO_ENABLED": "1"}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BuildError(f"cannot build Gitea {VERSION}\n{done.stderr[-2000:]}")
        _ = made.rename(target)
    return target, folder


class Gitea:
    """A running server. A context manager; its data is in a temporary folder."""

    def __init__(self) -> None:
        self._supervisor: Supervisor = Supervisor()
        self._port: int = free_port()
        self._process: Process | None = None
        self.url: str = f"http://127.0.0.1:{self._port}"
        self.username: str = "dev"
        self.password: str = secrets.token_hex(12)

    def __enter__(self) -> Self:
        program, static = build()
        folder = self._supervisor.folder
        settings = folder / "app.ini"
        user = os.environ.get("USER") or "root"
        _ = settings.write_text(
            _SETTINGS.format(folder=folder, port=self._port, static=static, key=secrets.token_hex(16), user=user)
        )
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "USER": user}
        command = [str(program), "--config", str(settings)]
        _ = subprocess.run([*command, "migrate"], env=env, check=True, capture_output=True)
        account = ["--username", self.username, "--password", self.password, "--email", "dev@example.com"]
        create = ["admin", "user", "create", *account, "--admin", "--must-change-password=false"]
        _ = subprocess.run([*command, *create], env=env, check=True, capture_output=True)
        self._process = self._supervisor.start("gitea", [*command, "web"], env=env, cwd=folder)
        self._process.wait_ready(self._answers, 60.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.stop()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """A request to its API; the answer. Raises RequestError, OSError."""
        login = b64encode(f"{self.username}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        url = f"{self.url}/api/v1{path}"
        status, answer = request(method, url, body, headers=headers)
        if status >= HTTPStatus.BAD_REQUEST:
            raise RequestError(method, url, status, answer)
        return answer

    def _answers(self) -> bool:
        try:
            return bool(self.call("GET", "/version"))
        except OSError:
            return False
