"""`spec.render` and `spec.substitute`: what is made of a commit's files before they are merged."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from agent.api.fields import NamespaceName, ObjectName, RepositoryPath, RepositoryUrl
from agent.api.helm import Helm
from agent.api.model import Model, invalid
from agent.api.secret_reference import SecretReference

MOST_PATCHES: Final = 64
LONGEST_PATCH: Final = 16_384
"""Characters."""
MOST_VARIABLES: Final = 256
LONGEST_VALUE: Final = 4096
"""Characters."""

_Affix = Annotated[str, Field(max_length=253)]
_Text = Annotated[str, Field(max_length=512)]
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
_Labels = Annotated[dict[str, _Text], Field(max_length=64)]


class Image(Model):
    """An image of the overlay under another name, tag or digest."""

    name: Annotated[str, Field(min_length=1, max_length=512)]
    """The image's name without tag, as manifests have it."""
    new_name: _Text = ""
    """What to pull instead."""
    new_tag: _Text = ""
    """The tag to pull."""
    digest: _Text = ""
    """The digest to pull, in place of a tag."""


class PatchTarget(Model):
    """The objects that a patch is for. Group, version, kind, name and namespace are regular expressions, as kustomize takes them."""

    group: _Text = ""
    """API group."""
    version: _Text = ""
    """API version."""
    kind: _Text = ""
    """Kind."""
    name: _Text = ""
    """Name."""
    namespace: _Text = ""
    """Namespace."""
    label_selector: _Text = ""
    """Labels that the objects have, as a selector."""
    annotation_selector: _Text = ""
    """Annotations that the objects have, as a selector."""


class Patch(Model):
    """A strategic merge patch or a JSON patch (RFC 6902), as text."""

    patch: Annotated[str, Field(min_length=1, max_length=LONGEST_PATCH)]
    """YAML or JSON. It may not hold secrets, but may refer to them."""
    target: PatchTarget | None = None
    """Which objects. Default: the one that a strategic merge patch names."""


def _names(variables: dict[str, str]) -> dict[str, str]:
    if not all(re.fullmatch(_NAME, name) for name in variables):
        raise invalid("a variable's name has characters other than letters, digits and _")
    return variables


def _distinct_images(images: tuple[Image, ...]) -> tuple[Image, ...]:
    if len({image.name for image in images}) != len(images):
        raise invalid("an image is named twice")
    return images


def _plain(value: str) -> str:
    if "%" in value or ".." in value or value.endswith("/") or "//" in value.partition("://")[2]:
        raise invalid("must be written without %, .., // and a slash at its end")
    return value


class RemoteBase(Model):
    """A repository whose folders an overlay may name, by a full commit that a branch or tag contains."""

    url: Annotated[RepositoryUrl, AfterValidator(_plain)]
    """Address of the repository, as the overlay has it before `//folder?ref=COMMIT`. The operator's `git.remoteBases` has to grant it."""
    credentials: SecretReference | None = None
    """A Secret as for `spec.source.credentials`, which this repository alone is asked with. Without one it is asked anonymously."""


def _distinct_bases(bases: tuple[RemoteBase, ...]) -> tuple[RemoteBase, ...]:
    if len({base.url for base in bases}) != len(bases):
        raise invalid("a repository is named twice")
    return bases


class Kustomize(Model):
    """A folder with a kustomization.yaml, and what is added to it."""

    path: RepositoryPath
    """The folder, from the repository's root."""
    generate: bool = False
    """Whether a folder without a kustomization.yaml is taken as Flux takes it: all `.yaml` and `.yml` files below it are resources, and so
    are folders within that have a kustomization."""
    remote_bases: Annotated[
        tuple[RemoteBase, ...],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        AfterValidator(_distinct_bases),
    ] = ()
    """Repositories that the overlay may name as remote bases. Others are refused."""
    namespace: NamespaceName | None = None
    """kustomize's `namespace`: that of every namespaced object."""
    name_prefix: _Affix = ""
    """What every name begins with."""
    name_suffix: _Affix = ""
    """What every name ends with, before the hash of a generated one."""
    components: Annotated[
        tuple[RepositoryPath, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Components to add, as folders from the repository's root."""
    images: Annotated[
        tuple[Image, ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        AfterValidator(_distinct_images),
    ] = ()
    """Images under another name, tag or digest."""
    patches: Annotated[
        tuple[Patch, ...], Field(max_length=MOST_PATCHES, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Patches that come after those of the folder."""
    labels: _Labels = Field(default_factory=dict)
    """Labels of every object; selectors stay as they are."""
    common_annotations: _Labels = Field(default_factory=dict)
    """Annotations of every object."""


class Render(Model):
    """What builds the objects: exactly one of the two. Without it, manifests count as they are."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "has(self.kustomize) != has(self.helm)",
                    "message": "give exactly one of kustomize and helm",
                }
            ]
        }
    )

    kustomize: Kustomize | None = None
    """A folder with a kustomization.yaml, built as `kustomize build` does, without its secrets: they stay sealed."""
    helm: Helm | None = None
    """A chart, rendered as `helm template` does, without its secrets: they stay sealed."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.kustomize is None) == (self.helm is None):
            raise invalid("give exactly one of kustomize and helm")
        return self

    @property
    def path(self) -> str:
        """The folder that is rendered, from the source's root, or the chart of a server."""
        if self.kustomize is not None:
            return self.kustomize.path
        assert self.helm is not None
        return self.helm.chart.shown

    @property
    def remote_bases(self) -> tuple[RemoteBase, ...]:
        """Repositories that may be named."""
        return self.kustomize.remote_bases if self.kustomize is not None else ()


class VariablesFrom(Model):
    """A Secret or ConfigMap in the Application's namespace: each of its keys is a variable."""

    kind: Literal["Secret", "ConfigMap"]
    """Values of a Secret stay sealed. Those of a ConfigMap are clear text, unless an agent put a secret into it."""
    name: ObjectName
    """Name of the Secret or ConfigMap."""
    optional: bool = False
    """Whether it may be missing."""


class Substitute(Model):
    """`${NAME}` in the objects, as Flux's `postBuild` puts values in."""

    variables: Annotated[
        dict[str, Annotated[str, Field(max_length=LONGEST_VALUE)]],
        Field(
            max_length=MOST_VARIABLES,
            json_schema_extra={
                "x-kubernetes-validations": [
                    {
                        "rule": f"self.all(name, name.matches('^{_NAME}$'))",
                        "message": "a variable's name has characters other than letters, digits and _",
                    }
                ]
            },
        ),
        AfterValidator(_names),
    ] = Field(default_factory=dict)
    """Values by name. One that is a reference to a store, or holds one, is sealed. These win over those of `files` and `from`."""
    files: Annotated[
        tuple[RepositoryPath, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Files of the repository with values: flat maps in YAML or JSON, or lines of `NAME=value` (`.env`), encrypted with SOPS or in the
    clear. A later file wins over an earlier one, and all win over `from`."""
    from_: Annotated[
        tuple[VariablesFrom, ...],
        Field(max_length=16, alias="from", json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Secrets and ConfigMaps of the Application's namespace, read as its ServiceAccount. A later one wins over an earlier one."""
    disclose: Annotated[
        tuple[Annotated[str, Field(max_length=128, pattern=f"^{_NAME}$")], ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """Variables whose sealed values become clear text, for names, hosts and ConfigMaps. The operator's `disclosures` has to allow each."""
    strict: bool = True
    """Whether a variable that has neither a value nor a default is an error. If false, it is empty."""
