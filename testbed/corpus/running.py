"""A unit by the agent's own code, without a key; and its objects by an API server's dry run, as tenants apply them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from agent.api.application import ApplicationSpec
from agent.api.model import Problem as SpecProblem
from agent.api.model import validate
from agent.api.render import Kustomize, Render, Substitute
from agent.api.sources import Source
from agent.cli.applications import desired, tree_flags, worktree
from agent.desired.compiler import UnknownChangeError
from agent.manifests import builtin, references
from agent.values.dataclass import replace
from agent.values.errors import AgentError
from agent.values.secret import Sealed
from agent.values.tree import map_leaves
from testbed import agent as agents
from testbed.requests import RequestError

if TYPE_CHECKING:
    from pathlib import Path as Folder

    from agent.cli.applications.desired import Declared
    from agent.cli.applications.worktree import RenderedFiles, Target
    from agent.values.tree import Leaf, Object, Path, Tree
    from testbed.cluster import Cluster
    from testbed.corpus.units import Unit

SECONDS: Final = 60
"""For one unit to be rendered, and as many for its objects."""
STAND_IN: Final = "stand-in"
NAMESPACE: Final = "corpus"
"""For objects without a namespace."""


@dataclass(slots=True)
class Outcome:
    """What came of a unit. `why` is the reason for which nothing was rendered, with the file where one is known. `held` and `refused` count objects by reason.

    `namespaces` are those that its objects name: one Application goes to one.
    """

    unit: Unit
    why: str = ""
    detail: str = ""
    objects: int = 0
    applied: int = 0
    held: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    namespaces: int = 0
    seconds: float = 0.0

    @property
    def rendered(self) -> bool:
        return not self.why

    @property
    def whole(self) -> bool:
        """Whether every object of it applies."""
        return self.rendered and not self.held and not self.refused and self.applied == self.objects


@dataclass(slots=True)
class Runner:
    """Units of one folder, one after the other. Without a `cluster` nothing is applied."""

    folder: Folder
    cluster: Cluster | None
    _tokens: dict[str, str] = field(default_factory=dict[str, str])
    _files: RenderedFiles | None = None

    def run(self, unit: Unit) -> Outcome:
        begin, found = time.monotonic(), Outcome(unit, why=unit.refused)
        if not found.why:
            with contextlib.redirect_stderr(io.StringIO()):  # kinds that no cluster was asked for
                declared = self._rendered(unit, found)
            if declared is not None:
                self._look(declared, found)
        found.seconds = time.monotonic() - begin
        return found

    def _rendered(self, unit: Unit, found: Outcome) -> Declared | None:
        try:
            target = self._target(unit)
            if self._files is None:
                self._files = worktree.rendered_files(target)
            return asyncio.run(asyncio.wait_for(desired.compute(target, None, None, files=self._files), SECONDS))
        except TimeoutError:
            found.why = f"longer than {SECONDS} s"
        except SpecProblem as problem:
            found.why, found.detail = "Spec", str(problem)
        except UnknownChangeError as error:
            found.why, found.detail = _first(desired.problems_of(error)[0].error)
        except AgentError as error:
            found.why, found.detail = _first(error)
        return None

    def _target(self, unit: Unit) -> Target:
        base = worktree.target(
            tree_flags.Asked(
                folder=str(self.folder),
                layers=None,
                application=None,
                namespace="",
                sealing_key=[],
                operator_file=None,
                kustomize=None,
                generate=False,
                helm=None,
                values=[],
                release="",
                source=[],
            )
        )
        render = Render(kustomize=validate(Kustomize, _tree(unit.kustomize))) if unit.kustomize is not None else None
        # Flux is not strict by default.
        given = {"variables": unit.variables, "strict": False}
        substitute = validate(Substitute, cast("Tree", given)) if unit.variables is not None else None
        layers = () if render is not None else (unit.path or ".",)
        source = Source.model_construct(layers=layers, include=(), exclude=())
        spec = ApplicationSpec.model_construct(render=render, substitute=substitute)
        return replace(base, source=source, spec=spec)

    def _look(self, declared: Declared, found: Outcome) -> None:
        steps = [step.assembled for step in desired.planned(declared).steps]
        found.held = Counter(error.reason for error in declared.state.held.values())
        found.held.update(
            each.error.reason for each in declared.state.problems if each.object not in declared.state.held
        )
        found.objects = len(steps) + found.held.total()
        found.namespaces = len({step.id.namespace for step in steps if step.id.namespace})
        until = time.monotonic() + SECONDS
        for step in steps if self.cluster is not None else ():
            if time.monotonic() > until:
                found.refused[f"longer than {SECONDS} s"] += 1
                continue
            why = self._applied(filled(step.tree), step.id.namespace or NAMESPACE)
            found.applied += not why
            if why:
                found.refused[why] += 1

    def _applied(self, manifest: Object, namespace: str) -> str:
        """Why the API server does not take an object from the tenant; empty where it does."""
        cluster = self.cluster
        assert cluster is not None
        try:
            path = cluster.path(cast("dict[str, Any]", manifest))
        except (KeyError, RequestError):
            return f"no kind {manifest.get('kind')} of {str(manifest.get('apiVersion')).partition('/')[0]}: its CRD is missing"
        status, answer = cluster.request(
            "PATCH",
            f"{path}?fieldManager=corpus&force=true&dryRun=All",
            manifest,
            token=self._token(namespace),
            content_type="application/apply-patch+yaml",
        )
        if status < 400:
            return ""
        reason = cast("dict[str, Any]", answer).get("reason", "") if isinstance(answer, dict) else ""
        return f"{status} {reason}".rstrip()

    def _token(self, namespace: str) -> str:
        assert self.cluster is not None
        if namespace not in self._tokens:
            agents.tenant(self.cluster, namespace)
            self._tokens[namespace] = self.cluster.service_account_token(namespace, "signet-applier")
        return self._tokens[namespace]


def filled(manifest: Object) -> Object:
    """With a text for every sealed value and reference: what stands in for what only a key opens."""

    def fill(path: Path, leaf: Leaf) -> Leaf:
        text = STAND_IN
        if builtin.is_core_secret(manifest) and path[0] == "data":
            text = base64.b64encode(text.encode()).decode()
        return text if isinstance(leaf, Sealed) or references.find({"leaf": leaf}) else leaf

    found = map_leaves(manifest, fill)
    assert isinstance(found, dict)
    return found


def _first(error: AgentError) -> tuple[str, str]:
    return error.reason, str(error)


def _tree(given: object) -> Tree:
    """Without what is not set."""
    return cast("Tree", {key: value for key, value in cast("dict[str, Any]", given).items() if value is not None})
