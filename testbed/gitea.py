"""Gitea on loopback: a real forge with one user, whose repositories may have webhooks."""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
import subprocess
from base64 import b64encode
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from testbed import binaries
from testbed.processes import Supervisor, free_port
from testbed.requests import RequestError, request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.processes import Process

_MODULE = "code.gitea.io/gitea"
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
logger.access.MODE = requests
[log.requests]
MODE = console
LEVEL = Info
[indexer]
ISSUE_INDEXER_TYPE = db
[queue]
TYPE = {queue}
"""


class Gitea:
    """A running server. A context manager; its data is in a temporary folder.

    A push passes two queues until its webhook is sent. Those of the type `level`, Gitea's own choice, look for new entries every two
    seconds where there were none for a while; a `channel` does not wait.
    """

    def __init__(self, queue: str = "level") -> None:
        self._queue: str = queue
        self._supervisor: Supervisor = Supervisor()
        self._port: int = free_port()
        self._process: Process | None = None
        self._command: list[str] = []
        self._environment: dict[str, str] = {}
        self.host: str = f"127.0.0.1:{self._port}"
        self.url: str = f"http://{self.host}"
        self.username: str = "dev"
        self.password: str = secrets.token_hex(12)

    def __enter__(self) -> Self:
        program = str(binaries.path("gitea"))
        folder = self._supervisor.folder
        settings = folder / "app.ini"
        user = os.environ.get("USER") or "root"
        _ = settings.write_text(
            _SETTINGS.format(
                folder=folder,
                port=self._port,
                static=_static(),
                key=secrets.token_hex(16),
                user=user,
                queue=self._queue,
            )
        )
        self._command = [program, "--config", str(settings)]
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "USER": user}
        self._run("migrate")
        account = ("--username", self.username, "--password", self.password, "--email", "dev@example.com")
        self._run("admin", "user", "create", *account, "--admin", "--must-change-password=false")
        self._process = self._supervisor.start("gitea", [*self._command, "web"], env=self._environment, cwd=folder)
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

    def create(self, name: str) -> Hosted:
        """A new private repository of its user's, empty."""
        _ = self.call("POST", "/user/repos", {"name": name, "private": True, "default_branch": "main"})
        return Hosted(self, name, self._supervisor.folder / "clones" / name)

    def flush(self) -> None:
        """Wait until it has done what pushes leave in its queues: a webhook that is added meanwhile is for those as well."""
        self._run("manager", "flush-queues")

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What its database holds."""
        with closing(sqlite3.connect(f"file:{self._supervisor.folder}/gitea.db?mode=ro", uri=True)) as database:
            return database.execute(statement, values).fetchall()

    def log(self) -> str:
        """What it printed, a line for each request that it answered among it."""
        return self._process.log.read_text(errors="replace") if self._process else ""

    def _run(self, *arguments: str) -> None:
        _ = subprocess.run([*self._command, *arguments], env=self._environment, check=True, capture_output=True)

    def _answers(self) -> bool:
        try:
            return bool(self.call("GET", "/version"))
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook that was sent: its event, and the status of the answer."""

    event: str
    status: int


class Hosted:
    """A repository of the forge, and a clone of it from which it is pushed to."""

    def __init__(self, forge: Gitea, name: str, clone: Path) -> None:
        self.forge: Gitea = forge
        self.name: str = name
        self.url: str = f"{forge.url}/{forge.username}/{name}.git"
        self._clone: Path = clone
        clone.mkdir(parents=True)
        login = urlsplit(self.url)._replace(netloc=f"{forge.username}:{forge.password}@{forge.host}")
        _ = self._git("init", "--quiet", "--initial-branch", "main")
        _ = self._git("remote", "add", "origin", login.geturl())

    @property
    def path(self) -> str:
        """Of its API."""
        return f"/repos/{self.forge.username}/{self.name}"

    def source(self, branch: str = "main") -> dict[str, object]:
        """`spec.source` for a branch, with the credentials of the Secret `forge`."""
        return {"url": self.url, "revision": {"branch": branch}, "credentials": {"secretName": "forge"}}

    def push(self, files: Mapping[str, str], branch: str = "main") -> str:
        """A commit with these files beside those that are there, pushed to a branch; its hash."""
        _ = self._git("checkout", "--quiet", "-B", branch)
        for name, text in files.items():
            _ = (self._clone / name).write_text(text)
        _ = self._git("add", "--all")
        author = ("-c", "user.name=Dev", "-c", "user.email=dev@example.com")
        _ = self._git(*author, "commit", "--quiet", "--message", "a commit")
        _ = self._git("push", "--quiet", "origin", branch)
        return self._git("rev-parse", "HEAD").strip()

    def push_ref(self, what: str) -> None:
        """`git push origin` of a refspec: `HEAD:refs/tags/v1`, or `:v1`, which deletes one."""
        _ = self._git("push", "--quiet", "origin", what)

    def hook(self, url: str, secret: str, *events: str) -> int:
        """A webhook for these events, by default pushes; its number."""
        config = {"url": url, "content_type": "json", "secret": secret}
        made = {"type": "gitea", "active": True, "events": events or ["push"], "config": config}
        return int(self.forge.call("POST", f"{self.path}/hooks", made)["id"])

    def test(self, hook: int) -> None:
        """Its "Test Delivery": the webhook of a push to the default branch."""
        _ = self.forge.call("POST", f"{self.path}/hooks/{hook}/tests")

    def deliveries(self, hook: int) -> list[Delivery]:
        """What was sent of a webhook, as the forge's own log of deliveries has it."""
        asked = "SELECT event_type, response_content FROM hook_task WHERE hook_id = ? AND response_content <> '' ORDER BY id"
        return [Delivery(event, json.loads(answer)["status"]) for event, answer in self.forge.query(asked, hook)]

    def questions(self) -> int:
        """How often someone asked for its refs with a credential in order to read them."""
        asked = f'"GET /{self.forge.username}/{self.name}.git/info/refs?service=git-upload-pack HTTP/1.1" 200 '
        return len(re.findall(re.escape(asked), self.forge.log()))

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self._clone), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _static() -> Path:
    """The folder of Gitea's module, with its templates and its texts."""
    asked = ["go", "mod", "download", "-json", _MODULE]
    folder = Path(__file__).parent / "go" / "gitea"
    found = subprocess.run(asked, cwd=folder, check=True, capture_output=True, text=True).stdout
    return Path(json.loads(found)["Dir"])
