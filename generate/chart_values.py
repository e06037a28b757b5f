"""The JSON Schema of the values of deploy/chart: what Helm checks before it renders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.api import schema
from agent.installation.choices import Mode

if TYPE_CHECKING:
    from agent.values.tree import Object, Tree

_TEXT: Final[Object] = {"type": "string"}
_SWITCH: Final[Object] = {"type": "boolean"}
_COUNT: Final[Object] = {"type": "integer", "minimum": 1}
_MAP: Final[Object] = {"type": "object"}
_TEXTS: Final[Object] = {"type": "object", "additionalProperties": _TEXT}
_LIST: Final[Object] = {"type": "array", "items": {"type": "object"}}
_SIZE: Final[Object] = {"type": "string", "pattern": "^[1-9][0-9]*(Ki|Mi|Gi|Ti)$"}
_PERCENT: Final[Object] = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}]}


def _fields(**properties: Tree) -> Object:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def of() -> Object:
    """The whole schema, with that of the operator's file in it."""
    operator = {key: value for key, value in schema.operator().items() if key != "$schema"}
    values = _fields(
        image=_fields(
            repository={"type": "string", "minLength": 1},
            tag=_TEXT,
            digest={"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
            pullPolicy={"enum": ["", "Always", "IfNotPresent", "Never"]},
            pullSecrets=_LIST,
        ),
        mode={"enum": [Mode.DEPLOYMENT.value, Mode.DAEMON_SET.value]},
        replicas=_COUNT,
        operator=_fields(secret={"type": "string", "minLength": 1}, file={"anyOf": [{"const": {}}, operator]}),
        vault=_fields(audience={"type": "string", "minLength": 1}),
        crds=_fields(install=_SWITCH),
        serviceAccount=_fields(annotations=_TEXTS),
        resources=_MAP,
        memory=_fields(sizeLimit=_SIZE),
        state=_fields(sizeLimit=_SIZE, existingClaim=_TEXT),
        podAnnotations=_TEXTS,
        podLabels=_TEXTS,
        priorityClass=_fields(create=_SWITCH, name=_TEXT, value={"type": "integer", "maximum": 1_000_000_000}),
        podDisruptionBudget=_fields(enabled=_SWITCH, maxUnavailable=_PERCENT),
        networkPolicy=_fields(enabled=_SWITCH, ingress=_LIST),
        webhooks=_fields(enabled=_SWITCH, ingress=_LIST),
        podMonitor=_fields(enabled=_SWITCH, labels=_TEXTS),
        prometheusRule=_fields(enabled=_SWITCH, labels=_TEXTS),
        nodeSelector=_TEXTS,
        tolerations=_LIST,
        affinity=_MAP,
        topologySpreadConstraints=_LIST,
        extraArgs={"type": "array", "items": _TEXT},
        extraEnv=_LIST,
        extraVolumes=_LIST,
        extraVolumeMounts=_LIST,
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of the chart signet", **values}
