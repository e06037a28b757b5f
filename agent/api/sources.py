"""Where manifests come from: a repository of Git, or an artifact of a registry."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from agent.api.fields import Commit, NamespaceName, RefName, RepositoryPath, RepositoryUrl, ShortRepositoryUrl
from agent.api.model import Model, invalid
from agent.api.registries import OciSource, VersionRange
from agent.api.secret_reference import SecretReference

TAGS: Final = "refs/tags/*"


class SourceRevision(Model):
    """What to deploy of the repository. Exactly one of the four."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "[has(self.branch), has(self.tag), has(self.semver), has(self.commit)].filter(given, given).size() == 1",
                    "message": "give exactly one of branch, tag, semver and commit",
                }
            ]
        }
    )

    branch: RefName | None = None
    """A branch. Its newest commit is deployed, and every later one as it appears."""
    tag: RefName | None = None
    """A tag, annotated or not. A tag that is moved is followed."""
    semver: VersionRange | None = None
    """A range of versions, as `>=1.2.0 <2.0.0`, `~1.2` or `1.x`: the newest tag in it is followed. Versions such as `1.3.0-rc.1` count where
    the range names one, as `>=1.2.0-0`. Tags that are no versions do not count; a leading `v` does not matter."""
    commit: Commit | None = None
    """A full commit hash, which pins the Application. A branch or tag of the repository must lead to it: what a server holds of forks and
    pull requests alone is not taken."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(part is not None for part in (self.branch, self.tag, self.semver, self.commit)) != 1:
            raise invalid("give exactly one of branch, tag, semver and commit")
        return self

    @property
    def ref(self) -> str:
        """What to ask the server for: `refs/heads/main`, `refs/tags/v1`, the hash, or all tags and behind a space which of them count."""
        if self.branch is not None:
            return f"refs/heads/{self.branch}"
        if self.tag is not None:
            return f"refs/tags/{self.tag}"
        if self.semver is not None:
            return f"{TAGS} {self.semver}"
        return self.commit or ""


def distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    """Raises what a model raises for an invalid value."""
    if len(set(value)) != len(value):
        raise invalid("this list has a duplicate item")
    return value


Glob = Annotated[str, Field(min_length=1, max_length=512)]
Globs = Annotated[tuple[Glob, ...], Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"})]
MOST_SUBMODULES: Final = 16


class SubmoduleRepository(Model):
    """A repository that submodules may name, or several whose addresses begin alike."""

    url: ShortRepositoryUrl
    """Address of the repository, or what addresses begin with up to a slash: `https://git.example.com/platform` covers all repositories
    below it. Written as `.gitmodules` says it; one that begins with `./` or `../` there is an address beside that of its own repository."""
    credentials: SecretReference | None = None
    """A Secret as for `spec.source.credentials`, which these repositories alone are asked with. Without one they are asked anonymously."""

    def serves(self, url: str) -> bool:
        """Whether a submodule may name the repository at `url`."""
        own = self.url.rstrip("/").removesuffix(".git")
        return any(f"{form}/".startswith(f"{own}/") for form in (url, url.removesuffix(".git")))


Submodules = Annotated[
    tuple[SubmoduleRepository, ...],
    Field(max_length=MOST_SUBMODULES, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]
_ONE_SOURCE: Final = ConfigDict(
    json_schema_extra={
        "x-kubernetes-validations": [
            {
                "rule": "has(self.oci) != has(self.url) && has(self.url) == has(self.revision)",
                "message": "give url and revision, or oci",
            },
            {
                "rule": "!has(self.oci) || !has(self.credentials)",
                "message": "the credentials of a registry belong into oci.credentials",
            },
            {
                "rule": "!has(self.oci) || !has(self.submodules)",
                "message": "an artifact of a registry has no submodules",
            },
        ]
    }
)


class Source(Model):
    """A Git repository or an artifact of a registry, and which of its files count."""

    model_config = _ONE_SOURCE

    url: RepositoryUrl | None = None
    """Address of the repository: `https://host/path`, whose user and password belong into `credentials`, or over SSH
    `ssh://user@host/path` or `user@host:path`. The operator's file lists the hosts that the agent may talk to, and says whether plain
    HTTP is taken."""
    revision: SourceRevision | None = None
    """What to deploy of the repository."""
    oci: OciSource | None = None
    """An artifact of an OCI registry, in the place of `url` and `revision`: its files count as those of a commit do."""
    layers: Annotated[
        tuple[RepositoryPath, ...],
        Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        AfterValidator(distinct),
    ] = (".",)
    """Folders that are merged in this order: an object of a later layer is merged onto the one with the same identity of an
    earlier layer, by Kubernetes' rules. `[base, envs/prod]` is a base and its production overlay. Below a layer all
    `*.yaml`, `*.yml` and `*.json` files count except names that begin with a dot. With `spec.render` there are none by default; those
    that are given are merged onto what is rendered."""
    include: Globs = ()
    """Globs of paths, relative to the repository, of which a file must match one. `*` stays within a folder, `**` crosses
    folders. Empty: every file."""
    exclude: Globs = ()
    """Globs of paths that do not count, even where `include` names them."""
    credentials: SecretReference | None = None
    """A Secret with `username` and `password` for the Git server, and optionally `ca.crt`, the PEM of the authority that
    signed its certificate. In place of them `githubAppID`, `githubAppInstallationID` and `githubAppPrivateKey` of a GitHub App, and
    `githubAppBaseURL` of GitHub Enterprise. Over SSH, with the deploy key's private half as `identity`, the host keys to expect as `known_hosts`, and
    optionally the key's passphrase as `password`."""
    submodules: Submodules = ()
    """Repositories whose submodules are read, each at the commit that this one names, in its folder. Others are not followed. Their
    hosts have to be allowed in the operator's file. Empty: none."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.oci is None) == (self.url is None) or (self.url is None) != (self.revision is None):
            raise invalid("give url and revision, or oci")
        if self.oci is not None and self.credentials is not None:
            raise invalid("the credentials of a registry belong into oci.credentials")
        if self.oci is not None and self.submodules:
            raise invalid("an artifact of a registry has no submodules")
        return self

    def submodule(self, url: str) -> SubmoduleRepository | None:
        """The entry that covers a submodule's repository, of several the one that says most; None where it is not to be followed."""
        return max((each for each in self.submodules if each.serves(url)), key=lambda each: len(each.url), default=None)

    @property
    def address(self) -> str:
        """Of the repository that the files are from."""
        return (self.oci.url if self.oci is not None else self.url) or ""

    @property
    def ref(self) -> str:
        """What is followed: a ref or hash of Git; a tag, a range or a digest of a registry."""
        if self.oci is not None:
            return self.oci.ref
        return self.revision.ref if self.revision is not None else ""

    @property
    def commit(self) -> str | None:
        """The commit that pins it; None where it may move."""
        return self.revision.commit if self.revision is not None else None

    @property
    def tag(self) -> str | None:
        """The tag of Git that it follows, if it follows one."""
        return self.revision.tag if self.revision is not None else None

    @property
    def semver(self) -> str | None:
        """The range of versions, among the tags of Git, that it follows, if it follows one."""
        return self.revision.semver if self.revision is not None else None

    @property
    def login(self) -> SecretReference | None:
        """The Secret with the credentials."""
        return self.oci.credentials if self.oci is not None else self.credentials


MOST_FURTHER: Final = 8


class FurtherSource(Model):
    """Another repository or artifact, whose files stand in a folder beside those of `spec.source`."""

    model_config = _ONE_SOURCE

    name: NamespaceName
    """Its name, and the folder that its files stand in: of a source called `platform`, the file `base/web.yaml` is
    `platform/base/web.yaml`, in `spec.source.layers`, for overlays, charts, files of values and of variables. `spec.source` may have no such folder."""
    url: RepositoryUrl | None = None
    """Address of the repository, as in `spec.source`."""
    revision: SourceRevision | None = None
    """What to deploy of it."""
    oci: OciSource | None = None
    """An artifact of an OCI registry, in the place of `url` and `revision`."""
    include: Globs = ()
    """Globs of paths, relative to this repository, of which a file of a layer must match one. Empty: every file."""
    exclude: Globs = ()
    """Globs of paths of layers that do not count."""
    credentials: SecretReference | None = None
    """A Secret as for `spec.source.credentials`, which this repository alone is asked with. Without one it is asked anonymously."""
    submodules: Submodules = ()
    """Repositories whose submodules are read, as in `spec.source`."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _ = self.source
        return self

    @cached_property
    def source(self) -> Source:
        """It as a source of its own, of which no layer counts yet."""
        return Source(
            url=self.url,
            revision=self.revision,
            oci=self.oci,
            include=self.include,
            exclude=self.exclude,
            credentials=self.credentials,
            submodules=self.submodules,
        )
