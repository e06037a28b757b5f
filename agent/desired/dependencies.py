"""What an Application waits for by `spec.dependsOn`: others that are ready, healthy and, where they share the source, at its commit.

An Application shows itself to others as a Neighbour, which is made of its spec and its status. That is the one place where a status
decides anything, and all that it decides is when: what is applied then is what Git and the Application's own spec say.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from agent.api import repositories
from agent.values.errors import (
    DependencyCycleError,
    DependencyNotReadyError,
    ForeignDependencyError,
    LimitError,
)
from agent.values.patterns import name_matches
from agent.values.text import excerpt
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from agent.api.application import Application
    from agent.values.errors import AgentError
    from agent.values.ids import Revision
    from agent.values.tree import Object

Name: TypeAlias = "tuple[str, str]"
"""Namespace and name of an Application."""

FARTHEST: Final = 1000
"""Applications that are followed from one to what it depends on, directly or not: a search has an end, whatever tenants write."""
_REVISION: Final = 280
"""Characters of a commit with the longest name that a branch may have."""
_WORD: Final = 64
"""Characters of a condition's reason. It is another's word, so no more of it than one word."""
_SHOWN: Final = 10
"""Applications of a cycle that are named."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An Application as those see it that depend on it.

    `needs` is what it depends on itself; `sources` are its sources: the repository, however the URL is written, the ref, and the commit that it looked at last, as
    its status writes it. `obstacle` says why it is not ready and healthy, in a few words; empty where it is.
    """

    needs: tuple[Name, ...] = ()
    sources: tuple[tuple[str, str, str], ...] = ()
    obstacle: str = ""

    def behind(self, wanted: Mapping[tuple[str, str], str]) -> str | None:
        """The commit of a source that is another than `wanted` has it, by repository and ref; None where there is none."""
        return next((at for repository, ref, at in self.sources if wanted.get((repository, ref), at) != at), None)

    def shares(self, other: Neighbour) -> bool:
        """Whether both follow the same ref of a repository."""
        return not {each[:2] for each in self.sources}.isdisjoint(each[:2] for each in other.sources)

    @property
    def stands(self) -> bool:
        """Whether it is ready and healthy."""
        return not self.obstacle


def needs(application: Application) -> tuple[Name, ...]:
    """The Applications that one names, each once."""
    given = application.spec.depends_on
    return tuple(dict.fromkeys((each.namespace or application.id.namespace, each.name) for each in given))


def neighbour(application: Application | None, generation: int, status: Object) -> Neighbour:
    """How an Application stands. None: its spec is not valid. `status` is its status as the API server has it, and `generation` its own."""
    if application is None:
        return Neighbour(obstacle="its spec is not valid")
    sources = tuple(_checked(application, get_text(status, "checkedRevision")))
    return Neighbour(needs(application), sources, _obstacle(application, generation, status))


def _checked(application: Application, text: str) -> Iterator[tuple[str, str, str]]:
    """The sources with their commits, as a revision names them in their order. Of one that was cut off nothing is known."""
    parts = text.split(", ")
    whole = len(parts) - text.endswith("…")
    for number, (name, source) in enumerate(application.spec.all_sources.items()):
        if number >= whole and text:
            return
        part = parts[number] if number < len(parts) else ""
        yield _repository(source.address), source.ref, part.removeprefix(f"{name} ")[:_REVISION]


def commits(application: Application, revision: Revision) -> dict[tuple[str, str], str]:
    """Those of a revision, by repository and ref, as a status writes them."""
    parts = {"": revision, **dict(revision.further)}
    sources = application.spec.all_sources.items()
    return {(_repository(each.address), each.ref): parts[name].own for name, each in sources if name in parts}


def _obstacle(application: Application, generation: int, status: Object) -> str:
    if application.deleting:
        return "it is being deleted"
    if application.spec.suspend:
        return "it is suspended"
    if get(status, "observedGeneration") != generation:
        return "no agent has handled its spec yet"
    conditions = {kind: _condition(status, kind) for kind in ("Waiting", "Ready", "Healthy")}
    if get_text(conditions["Waiting"], "status") == "True":
        wrong, found = "it waits itself", conditions["Waiting"]
    elif get_text(conditions["Ready"], "status") != "True":
        wrong, found = "it is not ready", conditions["Ready"]
    elif get_text(conditions["Healthy"], "status") != "True":
        wrong, found = "it is not healthy", conditions["Healthy"]
    else:
        return ""
    reason = excerpt(get_text(found, "reason"), _WORD)
    return f"{wrong}: {reason}" if reason else wrong


def _condition(status: Object, kind: str) -> Object:
    """A condition; an empty one where it is not there."""
    found = status.get("conditions")
    for each in islice(found, 32) if isinstance(found, list) else ():
        if isinstance(each, dict) and each.get("type") == kind:
            return each
    return {}


def check(
    application: Application, newest: Revision, neighbours: Mapping[Name, Neighbour], allowed: Sequence[str] = ()
) -> tuple[AgentError, ...]:
    """What speaks against running a commit now; nothing where everything that the Application depends on stands.

    DependencyNotReadyError passes by itself. ForeignDependencyError, DependencyCycleError and LimitError do not. `allowed` are patterns of
    the other namespaces whose Applications it may depend on.
    """
    named = needs(application)
    if not named:
        return ()
    own = application.id.namespace
    foreign = [name for name in named if name[0] != own and not any(name_matches(each, name[0]) for each in allowed)]
    if foreign:
        return tuple(
            ForeignDependencyError(
                "the Application may not depend on Applications of this namespace",
                hint="the operator can grant it with `dependencies` in the operator's file",
                field="spec.dependsOn",
                dependency=_text(name),
            )
            for name in foreign
        )
    circle = _circle((own, application.id.name), named, neighbours)
    if circle is not None:
        return (circle,)
    wanted = commits(application, newest)
    waits = ((name, _wait(neighbours.get(name), wanted)) for name in named)
    return tuple(
        DependencyNotReadyError("waits for an Application that it depends on", dependency=_text(name), because=why)
        for name, why in waits
        if why
    )


def _repository(url: str) -> str:
    """What all ways to write the URL of a repository have in common; the URL itself where servers read it in different ways."""
    return repositories.plain(url) or url


def _wait(found: Neighbour | None, wanted: Mapping[tuple[str, str], str]) -> str:
    """Why a dependency does not stand for these commits; empty where it does."""
    if found is None:
        return "there is no such Application"
    if found.obstacle:
        return found.obstacle
    at = found.behind(wanted)
    if at is None:
        return ""
    return f"it is at {excerpt(at)}" if at else "it has not looked at any commit yet"


def _circle(
    own: Name, first: Collection[Name], neighbours: Mapping[Name, Neighbour]
) -> DependencyCycleError | LimitError | None:
    """The shortest way from an Application back to itself, or that there is too much to look at."""
    came_from: dict[Name, Name] = dict.fromkeys(first, own)
    queue = list(came_from)
    for at in queue:
        if at == own:
            break
        if len(came_from) > FARTHEST:
            return LimitError(
                "the Application depends on too many others, directly or not",
                hint="name fewer in spec.dependsOn",
                field="spec.dependsOn",
                limit=FARTHEST,
            )
        found = neighbours.get(at)
        for name in found.needs if found else ():
            if name not in came_from:
                came_from[name] = at
                queue.append(name)
    if own not in came_from:
        return None
    way = [own]
    while len(way) == 1 or way[-1] != own:
        way.append(came_from[way[-1]])
    names = [_text(name) for name in reversed(way)]
    shown = names if len(names) <= _SHOWN else [*names[: _SHOWN - 1], "…", names[-1]]
    return DependencyCycleError(
        "Applications depend on one another in a circle",
        hint="take one of them out of spec.dependsOn",
        field="spec.dependsOn",
        cycle=" → ".join(shown),
    )


def _text(name: Name) -> str:
    return "/".join(name)
