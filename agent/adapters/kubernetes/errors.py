"""Refusals of an API server as AgentErrors: by code, reason, field and manager, never in its own words.

Schema errors of a server-side apply come as HTTP 500 without `reason` and quote values; validation messages quote them
too. So a message is only ever *matched* against what is known, and what is taken out of it is a field path, a type name
or an object name.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

import orjson

from agent.adapters.kubernetes import allowed, wire
from agent.manifests import builtin
from agent.values import tree
from agent.values.errors import (
    AgentError,
    ClusterError,
    ClusterUnavailableError,
    ExpiredError,
    FieldConflictError,
    ForbiddenError,
    NotFoundError,
    ObjectInvalidError,
    StaleObjectError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.values.errors import Fact
    from agent.values.ids import ObjectId
    from agent.values.tree import Tree

NO_RIGHT: LiteralString = "RBAC does not allow it"
_HIDDEN: LiteralString = "the API server's message may quote values and is not shown: check this field in Git"
_ALLOWED: LiteralString = "use an allowed value; the API server's message quotes the value and is not shown"
_PATH = r'\.[\w.\[\]"=,/:-]+'
_TYPED = re.compile(
    rf"failed to create typed (?:patch|live) object \([^()]*\): (?:errors:\n\s+)?(?P<field>{_PATH}): "
    r"(?:expected (?P<expected>\w+)|(?P<undeclared>field not declared in schema)|duplicate entries for key)"
)
_UNKNOWN_FIELD = re.compile(
    r'(?:\w+ in version "[\w./-]+" cannot be handled(?: as an? \w+)?: )?strict decoding error: '
    r'unknown field "(?P<field>[\w.\[\]/-]+)"'
)
_MANAGER = re.compile(r'conflict with "(?P<manager>[\w.:/ -]{1,128})"')
_WEBHOOK = re.compile(r'(?:[^"]{0,200}: )?admission webhook "(?P<webhook>[\w.-]+)" denied the request')
_EFFECTS = re.compile(r'admission webhook "(?P<webhook>[\w.-]+)" does not support dry run')
_POLICY = re.compile(r"(?:[^']{0,400} is forbidden: )?ValidatingAdmissionPolicy '(?P<policy>[\w.-]+)'")
_SET_ITEM = re.compile(r'\[=(?:"[^"]*"\]|[^\]]*+(?:\]|\Z))')
_RULES_LEFT_OUT = "<nil>"
"""The field of the note that rules in CEL were not tried since the schema refuses the object: no cause of its own."""
_UNSAFE = re.compile(r'[^\w.\[\]"=,/:-]')
_UNDECLARED: LiteralString = "field is not in the schema of this kind"
_RIGHT = re.compile(
    r'" cannot (?P<verb>[a-z]{1,20}) resource "(?P<resource>[a-z0-9./-]{1,253})" in API group "(?P<group>[a-z0-9.-]{0,253})"'
)
"""What RBAC says that a user lacks."""
_FORBIDDEN: tuple[tuple[str, LiteralString, LiteralString], ...] = (
    ("exceeded quota", "the namespace's quota is used up", "see its ResourceQuota objects"),
    ("failed quota", "a quota of the namespace requires more fields", "see its ResourceQuota objects"),
    ("violates PodSecurity", "the namespace's pod security level does not allow this", "see its labels"),
    (
        "cannot impersonate",
        "the agent may not act as this ServiceAccount",
        "grant the agent `impersonate` on it, or name another one in spec.destination.serviceAccount",
    ),
)
_CAUSES: dict[str, LiteralString] = {
    "FieldValueRequired": "field is required",
    "FieldValueInvalid": "field has an invalid value",
    "FieldValueTypeInvalid": "field has the wrong type",
    "FieldValueNotSupported": "field has a value that is not supported",
    "FieldValueForbidden": "field may not be set like this",
    "FieldValueDuplicate": "two items have the same key",
    "FieldValueTooLong": "value is too long",
    "FieldValueTooMany": "list has too many items",
    "FieldValueNotFound": "field names something that does not exist",
}


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked of the API server: `verb` as RBAC and metrics call it. It gives an error its facts."""

    method: str
    verb: str
    object: ObjectId | None = None
    kind: str = ""
    namespace: str = ""
    identity: str = ""

    def facts(self) -> dict[str, Fact]:
        facts: dict[str, Fact] = {"verb": self.verb}
        if self.object is not None:
            facts["object"] = self.object
        elif self.kind:
            facts["kind"] = self.kind
            if self.namespace:
                facts["namespace"] = self.namespace
        if self.identity:
            facts["identity"] = self.identity
        return facts


@dataclass(frozen=True, slots=True)
class _Cause:
    field: str
    reason: str
    message: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class _Status:
    """A `v1/Status`; all empty where the answer is none, as with plain-text answers of proxies and of 429."""

    given: bool = False
    reason: str = ""
    kind: str = ""
    name: str = ""
    message: str = dataclasses.field(default="", repr=False)
    causes: tuple[_Cause, ...] = ()


def translate(code: int, body: bytes, call: Call) -> AgentError:
    """The error for an answer of HTTP status `code`, 300 or more."""
    return _translate(code, _parse(body), call).with_facts(**call.facts())


def _translate(code: int, status: _Status, call: Call) -> AgentError:
    match code:
        case 400 | 405 | 406 | 413 | 415 | 422:
            found = _raced(code, status, call) or _invalid(code, status, call)
        case 401:
            found = ForbiddenError(
                "the API server does not accept the credential", hint="log in again or renew the token"
            )
        case 403:
            found = _forbidden(status, call)
        case 404:
            found = _missing(status, call)
        case 409:
            found = _conflict(status)
        case 410:
            found = ExpiredError("the resource version is no longer kept")
        case 429 | 502 | 503 | 504:
            found = ClusterUnavailableError("the API server is overloaded or not ready", code=code)
        case _ if code >= 500 and _is_schema_error(status):
            found = _typed(status)
        case _ if code >= 500 and code != 501:
            found = ClusterUnavailableError("the API server failed", code=code)
        case _:
            found = ClusterError("the API server refused the request", code=code)
    return found


def is_schema_error(body: bytes) -> bool:
    """Whether a 500 is really the object's fault: it comes again however often it is sent."""
    return _is_schema_error(_parse(body))


def _is_schema_error(status: _Status) -> bool:
    return (
        status.given
        and not status.reason
        and status.message.startswith(("failed to create typed ", "failed to convert "))
    )


def is_status(body: bytes) -> bool:
    """Whether an answer is a `v1/Status`: a 404 that is none means that the path itself is not served."""
    return _parse(body).given


def is_taken(body: bytes, name: str) -> bool:
    """Whether a 409 says that the name of a new object is taken, and that alone."""
    status = _parse(body)
    return status.reason == "AlreadyExists" and status.name == name and _denied(status) is None


def safe_field(path: str) -> str:
    """A field path without the items of sets, which are values, in a safe character set, without the leading dot."""
    return _UNSAFE.sub("?", _SET_ITEM.sub("[]", path))[:256].removeprefix(".")


def _parse(body: bytes) -> _Status:
    try:
        found: Tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if tree.get_text(found, "kind") != "Status":
        return _Status()
    # the API server goes through maps, so the same refusal comes in another order each time
    causes = sorted(
        (tree.get_text(cause, "field"), tree.get_text(cause, "reason"), tree.get_text(cause, "message"))
        for cause in wire.maps(found, "details", "causes")
        if tree.get_text(cause, "field") != _RULES_LEFT_OUT
    )
    return _Status(
        True,
        tree.get_text(found, "reason"),
        tree.get_text(found, "details", "kind"),
        tree.get_text(found, "details", "name"),
        tree.get_text(found, "message"),
        tuple(_Cause(*cause) for cause in causes),
    )


def _raced(code: int, status: _Status, call: Call) -> AgentError | None:
    if any(cause.field == "metadata.uid" for cause in status.causes):
        return StaleObjectError("another object with this name has replaced it")
    if code == 422 and call.verb == "patch" and not status.causes:
        return StaleObjectError("a test of the patch failed: the object changed in the meantime")
    return None


def _invalid(code: int, status: _Status, call: Call) -> AgentError:
    if code == 413:
        return ObjectInvalidError("object is larger than the API server accepts")
    if status.causes:
        fields = list(dict.fromkeys(safe_field(cause.field) for cause in status.causes))
        message: LiteralString = _CAUSES.get(status.causes[0].reason, "object is invalid")
        found = ObjectInvalidError(message, hint=_HIDDEN, field=fields[0])
        if takes := _allowed(status.causes, fields[0], call):
            found = ObjectInvalidError(message, hint=_ALLOWED, field=fields[0], allowed=takes)
        return found.with_facts(fields=", ".join(fields[:8])) if len(fields) > 1 else found
    if (unknown := _UNKNOWN_FIELD.match(status.message)) is not None:
        return ObjectInvalidError(_UNDECLARED, field=safe_field(unknown["field"]), hint="remove or rename it")
    return _denied(status) or ObjectInvalidError("the API server rejects this object", code=code, hint=_HIDDEN)


def _allowed(causes: Sequence[_Cause], field: str, call: Call) -> str:
    """What the field takes, by the first of its causes that says so."""
    built_in = call.object is not None and call.object.group in builtin.GROUPS
    said = (
        allowed.of(each.reason, each.message, built_in=built_in) for each in causes if safe_field(each.field) == field
    )
    return next(filter(None, said), "")


def _denied(status: _Status) -> AgentError | None:
    if (webhook := _WEBHOOK.match(status.message)) is not None:
        return ObjectInvalidError("an admission webhook denied the request", webhook=webhook["webhook"])
    if (webhook := _EFFECTS.search(status.message)) is not None:
        return ObjectInvalidError("an admission webhook does not support dry run", webhook=webhook["webhook"])
    if (policy := _POLICY.match(status.message)) is not None:
        return ObjectInvalidError("an admission policy denied the request", policy=policy["policy"])
    return None


def _forbidden(status: _Status, call: Call) -> AgentError:
    if any(cause.reason == "NamespaceTerminating" for cause in status.causes):
        return ForbiddenError("the namespace is being deleted")
    if (denied := _denied(status)) is not None:
        return denied
    for mark, message, hint in _FORBIDDEN:
        if mark in status.message:
            return ForbiddenError(message, hint=hint)
    hint = (
        "bind a role that allows it to the Application's ServiceAccount" if call.identity else "bind a role that does"
    )
    found = ForbiddenError(NO_RIGHT, hint=hint)
    right = _RIGHT.search(status.message)
    if right is None:
        return found
    # an apply is a patch, and a create where nothing stands yet
    verbs = "create, patch" if right["verb"] in {"create", "patch"} else right["verb"]
    return found.with_facts(rule=f'apiGroups: ["{right["group"]}"], resources: [{right["resource"]}], verbs: [{verbs}]')


def _missing(status: _Status, call: Call) -> AgentError:
    if not status.given:
        return NotFoundError(
            "the API server does not serve this kind", hint="is its CustomResourceDefinition installed?"
        )
    if status.kind == "namespaces" and (call.object is None or call.object.kind != "Namespace"):
        return NotFoundError("the namespace does not exist", hint="create it, or commit it before what goes in")
    return NotFoundError("no such object")


def _conflict(status: _Status) -> AgentError:
    conflicts = [cause for cause in status.causes if cause.reason == "FieldManagerConflict"]
    if not conflicts:
        return StaleObjectError("the object changed in the meantime")
    managers: dict[str, None] = {}
    for cause in conflicts:
        match = _MANAGER.match(cause.message)
        managers[match["manager"] if match else "unknown"] = None
    return FieldConflictError(
        "another manager owns a field",
        hint="remove the field from one of the two, or set spec.sync.force: true to take it over",
        fields=", ".join(dict.fromkeys(safe_field(cause.field) for cause in conflicts[:8])),
        managers=", ".join(sorted(managers)),
    )


def _typed(status: _Status) -> AgentError:
    match = _TYPED.match(status.message)
    if match is None:
        if "illegal base64 data at input byte" in status.message:
            return ObjectInvalidError("a value is not base64", hint="put clear text into stringData, or encode it")
        return ObjectInvalidError("object does not fit the schema of its kind", hint=_HIDDEN)
    place = safe_field(match["field"])
    if match["expected"]:
        hint: LiteralString = "quote it to make it a string" if match["expected"] == "string" else ""
        return ObjectInvalidError("field has the wrong type", field=place, expected=match["expected"], hint=hint)
    if match["undeclared"]:
        return ObjectInvalidError(_UNDECLARED, field=place, hint="remove or rename it")
    return ObjectInvalidError("two items have the same key", field=place, hint="remove one of them")
