"""What the API server's audit log says: a `Call` an event, with the agents distinguished by the ids of their tokens."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.values.tree import Object, Tree

ANNOTATION_COMMIT = "handover/commit"
"""On every object of the scenarios: the number of the commit that last changed it."""

_CREDENTIAL = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was answered. `agent` is the label of the agent that sent it, empty for anybody else's.

    `resource` is the plural, with the subresource (`applications/status`). `received` and `completed` are Unix seconds of the API server.
    `uid` is the object's, and `version` its resourceVersion afterwards, 0 where the answer has none, as that of a deletion. `number` is
    what ANNOTATION_COMMIT says, 0 where there is none. `status` is what was written to an Application's.
    """

    agent: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    received: float
    completed: float
    uid: str = ""
    version: int = 0
    number: int = 0
    status: Object | None = None

    @property
    def succeeded(self) -> bool:
        return 200 <= self.code < 300

    @property
    def object(self) -> str:
        """`configmaps/settings`."""
        return f"{self.resource}/{self.name}"


def parse(event: Object, agent_of: Callable[[str], str]) -> Call | None:
    """The Call of an audit event (audit.k8s.io/v1); None where it is none: no object, another stage, a dry run.

    `agent_of` gives the label of a credential id. With impersonation the log has the agent as `user`, and its tenant's ServiceAccount
    as `impersonatedUser`.
    """
    reference = get_object(event, "objectRef")
    if get(event, "stage") != "ResponseComplete" or not reference or "dryRun=All" in get_text(event, "requestURI"):
        return None
    credentials = get(event, "user", "extra", _CREDENTIAL)
    answer = get_object(event, "responseObject")
    subject = get_object(answer, "details" if get(answer, "kind") == "Status" else "metadata")
    code, subresource = get(event, "responseStatus", "code"), get_text(reference, "subresource")
    return Call(
        agent=agent_of(str(credentials[0])) if isinstance(credentials, list) and credentials else "",
        verb=get_text(event, "verb"),
        resource=get_text(reference, "resource") + (f"/{subresource}" if subresource else ""),
        namespace=get_text(reference, "namespace"),
        name=get_text(reference, "name") or get_text(subject, "name"),
        code=code if isinstance(code, int) else 0,
        received=_seconds(get_text(event, "requestReceivedTimestamp")),
        completed=_seconds(get_text(event, "stageTimestamp")),
        uid=get_text(subject, "uid"),
        version=int(get_text(subject, "resourceVersion") or 0),
        number=int(get_text(subject, "annotations", ANNOTATION_COMMIT) or 0),
        status=_status(get(event, "requestObject")) if subresource == "status" else None,
    )


def _status(body: Tree) -> Object | None:
    """The status in a merge, an apply or a JSON patch of a status subresource."""
    if not isinstance(body, list):
        return get_object(body, "status") or None
    return next((get_object(each, "value") for each in body if get(each, "path") == "/status"), None)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Log:
    """The audit log of a control plane, read as it grows. `credentials` gives label and token ids of every agent."""

    def __init__(self, file: Path, credentials: Callable[[], Mapping[str, str]]) -> None:
        self._file: Path = file
        self._credentials: Callable[[], Mapping[str, str]] = credentials
        self._at: int = 0
        self._calls: list[Call] = []
        self._lock: threading.Lock = threading.Lock()

    def read(self) -> list[Call]:
        """Every call so far, in the order of the log. Safe from several threads."""
        agents = self._credentials()
        with self._lock, self._file.open("rb") as lines:
            _ = lines.seek(self._at)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._at += len(line)
                call = parse(json.loads(line), lambda credential: agents.get(credential, ""))
                if call is not None:
                    self._calls.append(call)
            return list(self._calls)
