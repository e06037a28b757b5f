"""Errors for what signet-render refuses of charts. Its texts are Helm's and the chart's, in which no value is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from agent.values.dataclass import dataclass
from agent.values.errors import ChartError, RandomValueError, SealedValueReadError

if TYPE_CHECKING:
    from agent.values.errors import AgentError
    from agent.values.errors.root import Fact


@dataclass(frozen=True, slots=True)
class _Failure:
    """`says` and `names` are what its text and what it names are called, where they are shown."""

    error: type[AgentError]
    message: LiteralString
    hint: LiteralString = ""
    says: str = ""
    names: str = ""


_OF_KIND: Final = {
    "chart": _Failure(ChartError, "Helm refuses the chart", says="says"),
    "values": _Failure(ChartError, "a file of values is not one", says="says"),
    "template": _Failure(ChartError, "a template fails", says="says"),
    "output": _Failure(ChartError, "what a template gives is not YAML", says="says"),
    "sealed": _Failure(SealedValueReadError, "a function reads a sealed value", names="function"),
    "random": _Failure(
        RandomValueError,
        "a template makes up a value, which would be another one each time",
        "set a value for it, or use randAlphaNum or uuidv4, whose values are kept",
        names="function",
    ),
}
_OF_WHAT: Final = {
    ("chart", "dependency"): _Failure(
        ChartError,
        "dependencies of the chart are not in its folder charts",
        "run helm dependency build, and commit the folder charts",
        says="dependencies",
    ),
    ("values", "missing"): _Failure(
        ChartError, "the repository has no such file of values", "check spec.render.helm.valuesFiles"
    ),
    ("values", "schema"): _Failure(ChartError, "the values are not what the chart's schema asks for", says="says"),
    ("values", "reference"): _Failure(
        ChartError,
        "a schema that is not in the chart's own file is not fetched",
        "write it into values.schema.json",
    ),
    ("output", "no object"): _Failure(ChartError, "a template gives something else than an object"),
    ("sealed", "condition"): _Failure(
        SealedValueReadError,
        "a sealed value turns a dependency on or off",
        "whether a dependency is part of the release has to stand in clear text",
        says="condition",
    ),
}
KINDS: Final = _OF_KIND.keys()


def error(kind: str, what: str, text: str) -> AgentError:
    """Ours for one of its failures, which has no place yet."""
    failure = _OF_WHAT.get((kind, what)) or _OF_KIND[kind]
    facts: dict[str, Fact] = {}
    if failure.says and text:
        facts[failure.says] = text
    if failure.names and what:
        facts[failure.names] = what
    return failure.error(failure.message, hint=failure.hint, **facts)
