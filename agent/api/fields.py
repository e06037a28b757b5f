"""Types of fields that several models share: Kubernetes names, paths in a repository, URLs."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints
from pydantic.json_schema import WithJsonSchema

from agent.api.model import invalid

_LABEL: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_SUBDOMAIN: Final = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"

NamespaceName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=_LABEL)]
"""RFC 1123 label."""
ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=_SUBDOMAIN)]
"""RFC 1123 subdomain."""
NamePattern = Annotated[
    str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9*]([a-z0-9.*-]*[a-z0-9*])?$")
]
"""A name in which `*` stands for any run of characters."""

ManagerPattern = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\p{C}]+$")]
"""A field manager, as `metadata.managedFields` names it, in which `*` stands for any run of characters."""

_FIXED: Final = frozenset({"apiVersion", "kind"})
_FIXED_METADATA: Final = frozenset(
    {"name", "namespace", "generateName", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}
)
_MARKED: Final = re.compile(r"/metadata/(labels|annotations)/signet-gitops\.dev~1[^/]*$")


def _json_pointer(value: str) -> str:
    steps = value.split("/")[1:]
    if steps[0] in _FIXED or value == "/metadata" or (steps[0] == "metadata" and steps[1] in _FIXED_METADATA):
        raise invalid("this field identifies the object, so it cannot be ignored")
    if _MARKED.match(value):
        raise invalid("the agent's own labels and annotations cannot be ignored")
    return value


JsonPointer = Annotated[
    str,
    StringConstraints(min_length=2, max_length=512, pattern=r"^(/([^/~\p{C}]|~[01])+)+$"),
    AfterValidator(_json_pointer),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 2,
            "maxLength": 512,
            "pattern": r"^(/([^/~\p{C}]|~[01])+)+$",
            "x-kubernetes-validations": [
                {
                    "rule": "!self.matches('^/(apiVersion|kind|metadata$|metadata/("
                    + "|".join(sorted(_FIXED_METADATA))
                    + ")(/|$))')",
                    "message": "this field identifies the object, so it cannot be ignored",
                }
            ],
        }
    ),
]
"""A JSON pointer (RFC 6901) to a field of an object. Empty steps, which no field of Kubernetes has, are refused."""


def _repository_path(value: str) -> str:
    if value.startswith("/") or "\\" in value or not value.isprintable():
        raise invalid("must be a relative path of the repository")
    parts = [part for part in value.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise invalid("must not leave the repository with ..")
    return "/".join(parts) or "."


RepositoryPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    AfterValidator(_repository_path),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": 512,
            "pattern": r"^[^/\\][^\\]*$",
            "x-kubernetes-validations": [
                {"rule": r"!self.matches('(^|/)\\.\\.(/|$)')", "message": "must not leave the repository with .."}
            ],
        }
    ),
]
"""A folder below the repository's root, normalised: `./base/` is `base`, the root is `.`."""


def _ref_name(value: str) -> str:
    if any(bad in value for bad in ("..", "//", "/.")) or value.endswith(("/", ".", ".lock")):
        raise invalid("not a name that git takes for a branch or tag")
    return value


RefName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=244, pattern=r"^[\p{L}\p{N}_][\p{L}\p{N}_./@+#=,-]*$"),
    AfterValidator(_ref_name),
]
"""A branch or tag without `refs/heads/`; a subset of git-check-ref-format(1)."""

Commit = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
"""A full commit hash."""

Host = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=259, pattern=r"^(\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?$"
    ),
]
"""`host` or `host:port`, lower case."""

_HOST: Final = r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)"
_USER: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
_PATH: Final = r"[A-Za-z0-9._~!$&'()*+,;=:@/%-]*"
_HTTP: Final = rf"https?://{_HOST}(:[0-9]{{1,5}})?(/{_PATH})?"
_SSH: Final = rf"ssh://{_USER}@{_HOST}(:[0-9]{{1,5}})?/{_PATH}|{_USER}@{_HOST}:/?[A-Za-z0-9._~]{_PATH}"
_URL: Final = f"^({_HTTP}|{_SSH})$"
_URL_IS: Final = (
    "must be https://host/path, ssh://user@host/path or user@host:path, without password, query and fragment"
)


def repository_url(value: str) -> str:
    """A `RepositoryUrl`. Raises what a model raises for an invalid value."""
    if not re.fullmatch(_URL, value):
        raise invalid(_URL_IS)
    return value


def _url_schema(longest: int) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "string",
            "minLength": 8,
            "maxLength": longest,
            "pattern": _URL,
            "x-kubernetes-validations": [{"rule": f'self.matches(r"{_URL}")', "message": _URL_IS}],
        }
    )


RepositoryUrl = Annotated[
    str, StringConstraints(min_length=8, max_length=2048), AfterValidator(repository_url), _url_schema(2048)
]
"""HTTPS without user, password, query or fragment; or SSH with a user, as a URL or as scp(1) writes it."""
ShortRepositoryUrl = Annotated[
    str, StringConstraints(min_length=8, max_length=512), AfterValidator(repository_url), _url_schema(512)
]
"""The same where there may be so many that an API server would not take longer ones: it counts what checking all of them may cost."""

StoreAddress = Annotated[
    str,
    StringConstraints(
        min_length=8,
        max_length=512,
        pattern=r"^https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?/?$",
    ),
]


def _file_path(value: str) -> str:
    if not value.startswith("/") or not value.isprintable() or ".." in value.split("/"):
        raise invalid("must be an absolute path without ..")
    return value


FilePath = Annotated[
    str,
    StringConstraints(min_length=2, max_length=1024),
    AfterValidator(_file_path),
    WithJsonSchema({"type": "string", "minLength": 2, "maxLength": 1024, "pattern": "^/"}),
]
"""An absolute path in the agent's container."""
