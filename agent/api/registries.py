"""Artifacts of OCI registries: how an Application names one, and which registries the operator allows."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.json_schema import WithJsonSchema

from agent.api.fields import FilePath, Host, repository_url
from agent.api.model import Model, invalid
from agent.api.proxies import Proxy
from agent.api.secret_reference import SecretReference
from agent.values.patterns import name_matches

DOCKER_HUB: Final = ("docker.io", "index.docker.io", "registry-1.docker.io")
"""Names of one registry."""
_HOST: Final = r"(\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?"
_PORT: Final = re.compile(r"(.+):0*([0-9]+)")
_PART: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_URL: Final = rf"^oci://{_HOST}(/{_PART})+$"
_URL_IS: Final = "must be oci://host/path in lower case, without user, tag and digest"
_OPERAND: Final = r"v?([0-9]+|[xX*])(\.([0-9]+|[xX*])){0,2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
_COMPARATOR: Final = rf"(>=|<=|>|<|=|~|\^)? ?{_OPERAND}"
_SET: Final = rf"({_COMPARATOR}((, ?| ){_COMPARATOR})*|{_OPERAND} - {_OPERAND})"
RANGE: Final = rf"^{_SET}( ?\|\| ?{_SET})*$"


def plain(url: str) -> str:
    """`host/path` of a repository, by which all ways to write its URL are one."""
    written, _, path = url.removeprefix("oci://").partition("/")
    match = _PORT.fullmatch(written)
    host, port = (match[1], match[2]) if match else (written, None)
    host = host if port in {None, "443"} else f"{host}:{port}"
    return f"{'docker.io' if host in DOCKER_HUB else host}/{path}"


def _oci_url(value: str) -> str:
    if not re.fullmatch(_URL, value):
        raise invalid(_URL_IS)
    return value


OciUrl = Annotated[
    str,
    StringConstraints(min_length=9, max_length=512),
    AfterValidator(_oci_url),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 9,
            "maxLength": 512,
            "pattern": _URL,
            "x-kubernetes-validations": [{"rule": f'self.matches(r"{_URL}")', "message": _URL_IS}],
        }
    ),
]
"""`oci://host[:port]/path`: a repository of a registry."""


def _source_url(value: str) -> str:
    return _oci_url(value) if value.startswith("oci://") else repository_url(value)


SourceUrl = Annotated[str, StringConstraints(min_length=8, max_length=2048), AfterValidator(_source_url)]
"""A repository of Git or of a registry, as `spec.source` writes it."""
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""SHA-256 of a manifest."""
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
"""As the distribution specification has it."""
RepositoryPattern = Annotated[
    str, StringConstraints(min_length=1, max_length=512, pattern=r"^[a-z0-9*\[][a-z0-9*._:/\[\]-]*$")
]
"""`host/path` in which `*` stands for any run of characters."""
VersionRange = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=RANGE)]
"""A range of semantic versions, as `>=1.2.0 <2.0.0`, `~1.2`, `^1 || ^3`, `1.x`."""


class OciSource(Model):
    """An artifact of an OCI registry."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "[has(self.digest), has(self.tag), has(self.semver)].filter(given, given).size() == 1",
                    "message": "give exactly one of digest, tag and semver",
                }
            ]
        }
    )

    url: OciUrl
    """Address of the repository, `oci://ghcr.io/shop/deploy`. The operator's file lists the registries that the agent may talk to."""
    digest: Digest | None = None
    """Digest of a manifest, `sha256:…`, which pins the Application."""
    tag: Tag | None = None
    """A tag. A tag that is moved is followed."""
    semver: VersionRange | None = None
    """A range of versions, as `>=1.2.0 <2.0.0`, `~1.2` or `1.x`: the newest tag in it is followed. Versions such as `1.3.0-rc.1` count where
    the range names one, as `>=1.2.0-0`. Tags that are no versions do not count; a leading `v` does not matter."""
    credentials: SecretReference | None = None
    """A Secret of type `kubernetes.io/dockerconfigjson`, as `kubectl create secret docker-registry` makes it, or with `username` and
    `password`; and optionally `ca.crt`, the PEM of the authority that signed the registry's certificate. It is sent to this registry alone,
    and to the server that gives out its tokens."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(part is not None for part in (self.digest, self.tag, self.semver)) != 1:
            raise invalid("give exactly one of digest, tag and semver")
        return self

    @property
    def ref(self) -> str:
        """What is followed, as text."""
        return self.tag or self.semver or self.digest or ""


class ArtifactRule(Model):
    """Artifacts of these repositories are taken only where one of these keys signed them."""

    repositories: Annotated[tuple[RepositoryPattern, ...], Field(min_length=1, max_length=64)]
    """Repositories, as `host/path`: `ghcr.io/shop/*`, or `*` for all. The first rule with a pattern that fits decides. A repository that no
    rule fits needs no signature, so end the list with a rule for `*`, or cover each host that a tenant may reach."""
    keys: Annotated[tuple[FilePath, ...], Field(min_length=1, max_length=16)]
    """PEM files with public keys of signers, as `cosign generate-key-pair` writes `cosign.pub`: ECDSA, or RSA of at least 2048
    bits. Of an Ed25519 key only plain signatures are verified, not the Ed25519ph that cosign 3 makes.
    A file may hold several."""

    def serves(self, url: str) -> bool:
        """Whether the rule is for a repository at `oci://host/path`."""
        name = plain(url)
        return any(name_matches(pattern, name) for pattern in self.repositories)


class Servers(Model):
    """Which servers the agent talks to."""

    allowed_hosts: tuple[Host, ...] = ()
    """Hosts that an Application may name, that these may redirect downloads to, and that may give out tokens for them, as `ghcr.io` or
    `registry.example.com:5000`. Without a port, 443 is meant. Empty: none."""
    http_hosts: tuple[Host, ...] = ()
    """Those of them that are spoken to by plain HTTP. Everybody on the way then reads credentials and artifacts."""
    ca_file: FilePath | None = None
    """PEM file of authorities to trust instead of the system's. An Application's `ca.crt` goes before it."""
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    """Total time of one look at a server, or of one download."""
    proxy: Proxy | None = None
    """What these servers are reached by. Without it the agent connects to them itself."""


class RegistrySettings(Servers):
    """Which registries the agent talks to."""

    signatures: tuple[ArtifactRule, ...] = ()
    """Whose cosign signatures artifacts need. Keyless signatures are not taken."""
