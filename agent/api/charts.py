"""Where a chart is from: a folder of the source, a registry, or a repository of charts."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, StringConstraints, model_validator
from pydantic.json_schema import WithJsonSchema

from agent.api.fields import RepositoryPath
from agent.api.model import Model, invalid
from agent.api.registries import Digest, OciUrl, VersionRange
from agent.api.secret_reference import SecretReference

_URL: Final = r"^https?://(\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?$"
_URL_IS: Final = "must be https://host/path, the host in lower case, without user, query and fragment"
_RULE: Final = "[has(self.path), has(self.oci), has(self.repository)].filter(given, given).size() == 1"
_ONE: Final = "give exactly one of path, oci and repository"
_NAMED: Final = "give name and version with repository, version or digest with oci, and none of them with path"


def _repository_url(value: str) -> str:
    if not re.fullmatch(_URL, value) or ".." in value.split("/"):
        raise invalid(_URL_IS)
    return value


ChartRepositoryUrl = Annotated[
    str,
    StringConstraints(min_length=9, max_length=512),
    AfterValidator(_repository_url),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 9,
            "maxLength": 512,
            "pattern": _URL,
            "x-kubernetes-validations": [
                {"rule": f'self.matches(r"{_URL}") && !self.contains("/../")', "message": _URL_IS}
            ],
        }
    ),
]
"""The folder that has `index.yaml`."""


class ChartServer(Model):
    """A repository of charts, or a registry's folder of them, and its login."""

    url: Annotated[str, StringConstraints(min_length=9, max_length=512, pattern=r"^(https?|oci)://[^\s@?#]+$")]
    """Its address, as Chart.yaml has it."""
    credentials: SecretReference
    """A Secret as for `chart.credentials`. It is sent to that host alone."""

    def serves(self, url: str) -> bool:
        """Whether a chart of this address is one of its charts."""
        own = self.url.rstrip("/")
        return url.rstrip("/") == own or (own.startswith("oci://") and url.rpartition("/")[0] == own)


class ChartSource(Model):
    """Where a chart is from: exactly one of `path`, `oci` and `repository`."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {"rule": _RULE, "message": _ONE},
                {
                    "rule": "has(self.repository) ? has(self.name) && has(self.version) : !has(self.name)"
                    " && (has(self.oci) ? has(self.version) || has(self.digest)"
                    " : !has(self.version) && !has(self.digest) && !has(self.credentials))",
                    "message": _NAMED,
                },
            ]
        }
    )

    path: RepositoryPath | None = None
    """The chart's folder, from the source's root. Its dependencies are in its folder `charts`, in folders that `file://`
    names, or on servers by the versions in its Chart.lock."""
    oci: OciUrl | None = None
    """A repository of a registry, as `helm pull` takes it: `oci://ghcr.io/stefanprodan/charts/podinfo`. The operator's `oci` lists the
    registries."""
    repository: ChartRepositoryUrl | None = None
    """A repository of charts over HTTPS, whose `index.yaml` names them: `https://charts.example.com/stable`. The operator's `charts` lists the
    hosts."""
    name: (
        Annotated[str, StringConstraints(max_length=250, pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$")] | None
    ) = None
    """The chart's name in `repository`."""
    version: VersionRange | None = None
    """A version, or a range of them, of which the newest is taken: it is looked for when a commit, the spec or the agent is new, and at each
    interval."""
    digest: Digest | None = None
    """What the chart has to be: `sha256:…` of the manifest in a registry, or of the archive in a repository."""
    credentials: SecretReference | None = None
    """A Secret as for `spec.source.oci.credentials`. It is sent to that host alone."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(part is not None for part in (self.path, self.oci, self.repository)) != 1:
            raise invalid(_ONE)
        named = (self.name is not None, self.version is not None, self.digest is not None)
        fits = {
            "path": not any(named) and self.credentials is None,
            "oci": not named[0] and (named[1] or named[2]),
            "repository": named[0] and named[1],
        }
        if not fits[next(part for part in fits if getattr(self, part) is not None)]:
            raise invalid(_NAMED)
        return self

    @property
    def url(self) -> str:
        """The server's address of one that is not in the source; "" for one that is."""
        return self.oci or self.repository or ""

    @property
    def shown(self) -> str:
        """What it is called where an error names it."""
        return self.path or (f"{self.url.rstrip('/')}/{self.name}" if self.name else self.url)
