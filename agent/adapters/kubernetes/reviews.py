"""What the API server says of an account's rights, of its version and of its clock. Nothing here changes the cluster."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from agent.adapters.kubernetes import wire
from agent.adapters.kubernetes.errors import Call
from agent.adapters.kubernetes.session import Request, username
from agent.values.dataclass import dataclass
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from agent.adapters.kubernetes.session import Session
    from agent.engine.ports import Identity
    from agent.values.tree import Object

_GROUP: Final = "authorization.k8s.io"
_VERSION: Final = re.compile(r"v(\d+)\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Access:
    """One request, as RBAC sees it. `resource` may have a subresource: `applications/status`."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """`list secrets`, `patch deployments.apps`, `impersonate serviceaccounts/signet-applier`."""
        group = f".{self.group}" if self.group else ""
        return f"{self.verb} {self.resource}{group}{f'/{self.name}' if self.name else ''}"


async def is_allowed(session: Session, access: Access, account: Identity | None = None) -> bool:
    """Whether a ServiceAccount may send this request; without one, whether the caller may. Raises ForbiddenError, ClusterError."""
    resource, _, subresource = access.resource.partition("/")
    attributes: Object = {
        "verb": access.verb,
        "group": access.group,
        "resource": resource,
        "subresource": subresource,
        "namespace": access.namespace,
        "name": access.name,
    }
    spec: Object = {"resourceAttributes": attributes}
    kind = "SelfSubjectAccessReview"
    if account is not None:
        kind = "SubjectAccessReview"
        groups = ("serviceaccounts", f"serviceaccounts:{account.namespace}", "authenticated")
        spec |= {"user": username(account), "groups": [f"system:{each}" for each in groups]}
    answer = await _post(session, _GROUP, kind, spec)
    return get(answer, "status", "allowed") is True


async def version(session: Session) -> tuple[int, int]:
    """Major and minor version; zeros where it says none."""
    answer = await session.request(Request(Call("GET", "get", kind="version"), "/version"))
    match = _VERSION.match(get_text(wire.decode(answer.body), "gitVersion"))
    return (int(match[1]), int(match[2])) if match else (0, 0)


async def time(session: Session) -> float | None:
    """Unix seconds by the server's clock, cut to whole ones; None where it does not say."""
    answer = await _post(session, "authentication.k8s.io", "SelfSubjectReview", None)
    try:
        return datetime.fromisoformat(get_text(answer, "metadata", "creationTimestamp")).timestamp()
    except ValueError:
        return None


async def _post(session: Session, group: str, kind: str, spec: Object | None) -> Object:
    body: Object = {"apiVersion": f"{group}/v1", "kind": kind}
    if spec is not None:
        body["spec"] = spec
    path = f"/apis/{group}/v1/{kind.lower()}s"
    answer = await session.request(Request(Call("POST", "create", kind=kind), path, body=wire.encode(body)))
    return wire.decode(answer.body)
