"""Errors for what signet-render refuses. Its texts are kustomize's and Helm's, made of the files that it was given, in which no value is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, LiteralString

from agent.adapters.render import chart_failures
from agent.values.errors import DefectError, RemoteBaseError, RenderError, RenderLimitError

if TYPE_CHECKING:
    from agent.values.errors import AgentError
    from agent.values.errors.root import Fact

REFUSED: Final[dict[str, tuple[LiteralString, LiteralString]]] = {
    "env": (
        "a name without a value, which kustomize may take from the environment of its process",
        "write NAME= for an empty value",
    ),
    "function": (
        "a function is not run, neither as a program nor in a container",
        "commit what it makes, or write it as a patch or replacement",
    ),
    "helm": ("a chart is not rendered by a kustomization", "commit what helm template prints, and name that file"),
    "kustomization": (
        "there is no kustomization.yaml in this folder, or no such folder",
        "check the path, or write one that lists the folder's files as resources",
    ),
    "plugin": ("a plugin that is no part of kustomize is not run", "commit what it makes, and name that file"),
}
LIMITS: Final[dict[str, LiteralString]] = {
    "aliases": "aliases unfold to more than a renderer takes",
    "charts": "more charts within one another than a renderer takes",
    "depth": "an object is nested too deeply",
    "depth of templates": "templates execute one another too deeply",
    "files": "more files than a renderer takes",
    "hashes": "templates ask for more hashes of passwords than they may",
    "object": "an object is larger than a cluster takes",
    "objects": "more objects than a renderer may give",
    "output": "more output than a renderer may give",
    "path": "a path that a renderer does not take",
    "questions": "templates ask sealed values more questions than they may",
    "reads": "the overlay reads its files too often",
    "result": "a function gives more than it may",
    "seconds": "the templates take longer than they may",
    "steps": "the templates do more than they may",
    "values": "templates make up more values than they may",
    "tree bytes": "files that are together larger than a renderer takes",
}
OPERATORS: Final[dict[str, LiteralString]] = {
    "objects": "split the overlay; limits.render.objects in the operator's file is the limit",
    "output": "split the overlay; limits.render.outputBytes in the operator's file is the limit",
}
"""Limits that the operator sets."""
_CREDENTIAL = re.compile(r"(?<=//)[^/@\s]*@")


def translated(failure: dict[str, Any]) -> AgentError:
    """Ours for one of its failures, with the place where it knows one."""
    place: dict[str, Fact] = {name: failure[name] for name in ("file", "line", "column") if failure.get(name)}
    return _error(failure["kind"], failure.get("what", ""), str(failure.get("text", ""))).with_facts(**place)


def _error(kind: str, what: str, text: str) -> AgentError:
    error: AgentError = DefectError("signet-render rejects the agent's request")
    if kind in chart_failures.KINDS:
        return chart_failures.error(kind, what, text)
    match kind, what:
        case "refused", _ if what in REFUSED:
            message, hint = REFUSED[what]
            error = RenderError(message, hint=hint)
            error = error.with_facts(kind=text) if text else error
        case "remote", _:
            error = RemoteBaseError("remote bases are not fetched", address=_CREDENTIAL.sub("", text))
        case "limit", _ if what in LIMITS:
            error = RenderLimitError(LIMITS[what], hint=OPERATORS.get(what, ""))
        case "build", "missing":
            hint = "commit it, or correct the path"
            error = RenderError("no such file or folder in the repository", hint=hint, path=text)
        case "build", _:
            error = RenderError("kustomize refuses it", says=text)
        case "panic", _:
            error = RenderError("the renderer fails on these files without saying why")
        case _:
            pass
    return error
