"""What of a commit can be applied and is hardly meant: secrets in the clear, clear values that the MAC does not hold, variables.

Each is a warning, which changes nothing of what is applied; where the operator or the Application is strict, it is held instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.manifests import autoscaling
from agent.sops.kubernetes import clear
from agent.values.errors import (
    AutoscaledReplicasError,
    ChartError,
    PlaceholderError,
    PlaintextSecretError,
    VariablesError,
)
from agent.values.problems import Problem
from agent.values.tree import get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agent.api.application import Application
    from agent.api.operator import OperatorSettings
    from agent.manifests.documents import Document
    from agent.manifests.layers import Desired
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId


@dataclass(frozen=True, slots=True)
class Strictness:
    """What is held rather than warned of: Secrets in the clear, and SOPS files with `clear_values`."""

    plaintext: bool = False
    clear_values: bool = False


def strictness(settings: OperatorSettings, application: Application | None) -> Strictness:
    """The stricter of what the operator and the Application say."""
    asked = application is not None and application.spec.secrets.plaintext == "deny"
    return Strictness(
        plaintext=asked or settings.secrets.plaintext == "deny", clear_values=settings.sops.clear_values == "hold"
    )


def untrusted(documents: Iterable[Document]) -> dict[str, AgentError]:
    """SOPS files with clear values, by path, each with its error."""
    return {warning.file: warning.error for warning in clear_values(documents)}


def refuse_plaintext(document: Document) -> Document:
    """The document with its error where it is a Secret in the clear."""
    return replace(document, error=_plaintext(document)) if document.plaintext and not document.error else document


def of(documents: Iterable[Document], object_of: Callable[[Document], ObjectId | None]) -> list[Problem]:
    """Warnings: one for each Secret in the clear, one for each SOPS file with clear values, one for all files with variables.

    `object_of` gives the object that a document declares: a warning of a Secret names it.
    """
    given = list(documents)
    found = [
        Problem(_plaintext(document), object_of(document), document.file) for document in given if document.plaintext
    ]
    found += clear_values(given)
    files = dict.fromkeys(document.file for document in given if document.variables)
    if files:
        found.append(
            Problem(VariablesError("text such as ${NAME} is applied as it is written", files=clear.listed(files)))
        )
    return found


def autoscaled(objects: Mapping[ObjectId, Desired], scaled: Mapping[ObjectId, ObjectId]) -> list[Problem]:
    """A warning for each workload whose manifest has replicas, though an autoscaler of the same commit sets them."""
    return [
        Problem(
            AutoscaledReplicasError(
                "an autoscaler sets the replicas, so those of the manifest count only when the object is created",
                autoscaler=scaled[key],
            ),
            key,
            item.files[-1],
        )
        for key, item in objects.items()
        if key in scaled and get(item.tree, *autoscaling.POINTER) is not None
    ]


def unused(labels: Sequence[str]) -> list[Problem]:
    """A warning where sealed values were given to a renderer and stand in nothing that it gave, by their labels."""
    if not labels:
        return []
    error = PlaceholderError(
        "encrypted values are used in none of the rendered objects",
        hint="take them out, or use them",
        values=clear.listed(labels),
    )
    return [Problem(error)]


def skipped(files: Sequence[str]) -> list[Problem]:
    """A warning where hooks of a chart are left out because the Application says so."""
    if not files:
        return []
    error = ChartError(
        "hooks of the chart are left out, as spec.render.helm.hooks says",
        hint="what they do for an installation or an upgrade is yours to do",
        files=clear.listed([*dict.fromkeys(files)]),
    )
    return [Problem(error)]


def elsewhere(files: Sequence[str]) -> list[Problem]:
    """A warning where a chart has hooks that no apply calls for: for tests, rollbacks and the end of a release."""
    if not files:
        return []
    error = ChartError(
        "hooks of the chart for tests, rollbacks and deletion are not run",
        hint="run them yourself where you need them",
        files=clear.listed([*dict.fromkeys(files)]),
    )
    return [Problem(error)]


def _plaintext(document: Document) -> AgentError:
    return PlaintextSecretError(
        "a Secret is in the clear in Git", file=document.file, line=document.line, fields=document.plaintext
    )


def clear_values(documents: Iterable[Document]) -> list[Problem]:
    by_file: dict[str, list[Document]] = {}
    for document in documents:
        if document.unbound:
            by_file.setdefault(document.file, []).append(document)
    return [Problem(_unbound(file, given), file=file) for file, given in by_file.items()]


def _unbound(file: str, given: list[Document]) -> AgentError:
    loose = any(document.mac_only_encrypted for document in given)
    error: AgentError = clear.caution(given[0].unbound, file=file, mac_only_encrypted=loose)
    if given[0].line:
        error = error.with_facts(line=given[0].line)
    return error.with_facts(objects=len(given)) if len(given) > 1 else error
