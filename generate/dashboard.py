"""deploy/dashboard.json: a Grafana dashboard with a panel, or two, for every metric that the agent defines.

A counter is shown as a rate, a histogram as its rate and as two quantiles, a gauge as it is, and a time as what has passed since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.adapters.metrics.prometheus import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.adapters.metrics.prometheus import Definition
    from agent.values.tree import Object, Tree

_APPLICATION: Final = ("namespace", "application")
_SOURCE: Final[Object] = {"type": "prometheus", "uid": "${datasource}"}
_QUANTILES: Final = {"half": 0.5, "95 %": 0.95}
_UNITS: Final = {"bytes": "bytes", "seconds": "s"}
"""Of Grafana, by the last word of a gauge's name."""
_COLUMNS: Final = 2
_WIDTH, _HEIGHT = 12, 8


def of() -> Object:
    """The dashboard, as Grafana imports it."""
    panels: list[Tree] = [
        _placed(panel, number)
        for number, panel in enumerate(
            panel for definition in Metrics(version="").definitions for panel in _panels(definition)
        )
    ]
    return {
        "uid": "signet",
        "title": "Signet",
        "tags": ["signet"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_datasource(), *(_variable(label) for label in _APPLICATION)]},
        "panels": panels,
    }


def _panels(definition: Definition) -> Iterator[Object]:
    text, name = definition.text, definition.name
    by = ", ".join(definition.labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in definition.labels) or "all"
    matchers = [f'{label}=~"${label}"' for label in _APPLICATION if label in definition.labels]
    chosen = f"{{{', '.join(matchers)}}}" if matchers else ""
    match definition.kind:
        case "counter":
            yield _panel(f"{text}, per second", "ops", {legend: _sum(by, f"rate({name}{chosen}[$__rate_interval])")})
        case "histogram":
            count = f"rate({name}_count{chosen}[$__rate_interval])"
            buckets = _sum(", ".join(("le", *definition.labels)), f"rate({name}_bucket{chosen}[$__rate_interval])")
            quantiles = {
                f"{words}: {legend}": f"histogram_quantile({quantile}, {buckets})"
                for words, quantile in _QUANTILES.items()
            }
            yield _panel(text, "s", quantiles)
            yield _panel(f"{text}, per second", "ops", {legend: _sum(by, count)})
        case "gauge" if name.endswith("_timestamp_seconds"):
            yield _panel(f"{text}: time since", "s", {legend: f"time() - max by ({by}) ({name}{chosen})"})
        case "gauge":
            unit = _UNITS.get(name.rpartition("_")[2], "short")
            yield _panel(text, unit, {legend: f"max by ({by}) ({name}{chosen})"})
        case "info":
            yield _panel(f"{text}: how many by {by}", "short", {legend: f"count by ({by}) ({name})"})


def _sum(by: str, expression: str) -> str:
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def _panel(title: str, unit: str, queries: dict[str, str]) -> Object:
    targets: list[Tree] = [
        {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
        for number, (legend, expression) in enumerate(queries.items())
    ]
    defaults: Object = {"unit": unit, "min": 0}
    return {
        "type": "timeseries",
        "title": title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }


def _placed(panel: Object, number: int) -> Object:
    row, column = divmod(number, _COLUMNS)
    place: Object = {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    return {"id": number + 1, **panel, "gridPos": place}


def _datasource() -> Object:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(label: str) -> Object:
    within = '{namespace=~"$namespace"}' if label == _APPLICATION[1] else ""
    return {
        "name": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": f"label_values(signet_objects{within}, {label})",
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
