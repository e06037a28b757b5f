"""`spec.render.helm`: a chart, its release and its values."""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints
from pydantic.json_schema import WithJsonSchema

from agent.api.charts import ChartServer, ChartSource
from agent.api.fields import ObjectName
from agent.api.model import Model, invalid

LONGEST_VALUES: Final = 262_144
"""Characters of `values` as JSON."""
DEEPEST_VALUES: Final = 64
_PREFIX: Final = "secrets://"
_KEY: Final = r"[A-Za-z0-9._-]+"
_STEP: Final = r"[^.\\\[\]{}=,\p{C}]+"


class HelmValuesFrom(Model):
    """A key of a Secret or ConfigMap in the Application's namespace, with values."""

    kind: Literal["Secret", "ConfigMap"]
    """Values of a Secret stay sealed, those of a ConfigMap are clear text."""
    name: ObjectName
    """Name of the Secret or ConfigMap."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=f"^{_KEY}$")] = "values.yaml"
    """The key that holds them, as YAML."""
    target_path: Annotated[str, StringConstraints(max_length=512, pattern=rf"^({_STEP}(\.{_STEP})*)?$")] = ""
    """The one value that the key's whole text is, by names with dots between them: `auth.password`. Without it, the text is YAML with any
    number of values."""
    optional: bool = False
    """Whether the object or the key may be missing."""


def _values(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(values)) > LONGEST_VALUES:
        raise invalid("longer than 262144 characters")
    level: list[JsonValue] = [values]
    for _ in range(DEEPEST_VALUES):
        level = [inner for each in level for inner in _within(each)]
        if not level:
            return values
    raise invalid("nested deeper than 64 levels")


def _within(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, dict):
        return [*value.values()]
    return value if isinstance(value, list) else []


def _without_prefix(path: str) -> str:
    bare = path.removeprefix(_PREFIX)
    if "://" in bare or not bare:
        raise invalid("must be a path of the repository, with secrets:// before it or without")
    return bare


def _file(value: str) -> str:
    if value.startswith("/") or "\\" in value or not value.isprintable() or ".." in value.split("/"):
        raise invalid("must be a path of the repository")
    return "/".join(part for part in value.split("/") if part not in {"", "."})


ValuesFile = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    AfterValidator(_without_prefix),
    AfterValidator(_file),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 512}),
]
"""A file of the repository. helm-secrets' prefix `secrets://` is taken off."""


class Helm(Model):
    """A chart, rendered as `helm template` does, without its secrets: they stay sealed."""

    chart: ChartSource
    """Where the chart is from."""
    dependencies: Annotated[
        tuple[ChartServer, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Logins of servers that Chart.lock of a chart in the source has charts of. Others are asked without one; the operator says which may be asked
    at all."""
    release_name: Annotated[str, StringConstraints(max_length=53, pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$")] = ""
    """Name of the release, which templates see. Default: the Application's name."""
    values_files: Annotated[
        tuple[ValuesFile, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Files of the repository with values, from its root, encrypted with SOPS or in the clear. A later file wins over an earlier one, and
    all win over `valuesFrom`. helm-secrets' prefix `secrets://` may stand before a path."""
    values_from: Annotated[
        tuple[HelmValuesFrom, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Secrets and ConfigMaps of the Application's namespace with values, read as its ServiceAccount. A later one wins over an earlier one,
    and all win over the values of the chart."""
    values: Annotated[
        dict[str, JsonValue],
        AfterValidator(_values),
        WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    ] = Field(default_factory=dict)
    """Values, which win over all others. A text that is a reference to a store, or holds one, is sealed."""
    crds: Literal["apply", "skip"] = "apply"
    """Whether the objects in the chart's folder `crds` are applied, first and at every change: Helm itself never changes them again."""
    hooks: Literal["apply", "skip"] = "apply"
    """What becomes of the chart's hooks for installing and upgrading: they run once for what the release holds, or `skip` leaves them out. Hooks
    for tests, rollbacks and the end of a release are always left out."""
