"""What is known of one Application between its runs: a value that a run takes, and of which it gives the next one.

It is as old as one epoch: whatever ends that ends the state too. What was stored is in the `ledger`; live facts belong to the watches.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from agent.desired.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.renderers import Rendered
    from agent.engine.settled import Settled
    from agent.manifests.documents import ParsedFile
    from agent.values.ids import ObjectId, Revision
    from agent.values.problems import Problem

_UNASKED: Final = Gate()

Place: TypeAlias = "tuple[str, str, int]"
"""Path, blob and layer of a file."""


@dataclass(frozen=True, slots=True)
class Disclosed:
    """The names of the variables that are disclosed, and fingerprints of what stores had for them, by reference."""

    names: tuple[str, ...] = ()
    stores: Mapping[str, str] = field(default_factory=dict[str, str])


NOTHING: Final = Disclosed()


@dataclass(frozen=True, slots=True)
class Compiled:
    """What was compiled last, and of what: the Application's `generation`, and a digest of the `content`, every path with its blob.

    `desired_digests` are the fingerprints of its objects, `commit` the newest that has this content, `variables` the version of those that
    the cluster holds, `disclosed` what is known of those that are. The same generation and content give the same, so nothing is compiled twice, unless something is held: a key may be there by now.
    `asked` is the fingerprint of what the spec asked of it, `rendered` how many bytes of memory what was rendered takes.
    """

    desired: DesiredState
    generation: int
    content: str
    desired_digests: Mapping[ObjectId, str]
    commit: str
    variables: str = ""
    disclosed: Disclosed = NOTHING
    asked: str = ""
    rendered: int = 0

    def serves(self, commit: str, variables: str) -> bool:
        """Whether compiling this commit with these variables would give the same."""
        return commit == self.commit and variables == self.variables and not self.desired.incomplete


@dataclass(frozen=True, slots=True)
class Tried:
    """A version of the `variables` with which the last good commit could not be compiled, empty where they could not be read, and why."""

    variables: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A commit that holds more than is taken, read by a `generation` of the Application, and why."""

    commit: str
    generation: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a renderer gave last, placeholders and all, and the `key` of what it was asked: equal files give the same again.

    Of a chart, `version` is that of the cluster it was rendered for, `now` the time that its templates had, and `upgrades` whether they saw that
    something of the release stands.
    """

    key: str
    result: Rendered
    version: str = ""
    now: int = 0
    upgrades: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """`applied` is the desired state that was applied last, `checked` the commit that was looked at last.

    `parsed` holds files by path, blob and layer, `verified` the blob by path of each SOPS file of `compiled` whose MAC verified, `untaken`
    those of a commit that was read since and could not be compiled. `unread` says why the newest commit could not be taken, until it can;
    `refused` is one of which nothing is read again. `gate` says whether the newest may run.
    `tried` is there while the last good commit cannot be compiled with the values that variables have by now.
    `release` warns of a release of Helm that stands beside the Application. `settled` is there while the last run had nothing to do.
    """

    compiled: Compiled | None = None
    applied: DesiredState | None = None
    checked: Revision | None = None
    parsed: Mapping[Place, ParsedFile] = field(default_factory=dict["Place", "ParsedFile"])
    verified: Mapping[str, str] = field(default_factory=dict[str, str])
    untaken: Mapping[str, str] = field(default_factory=dict[str, str])
    unread: tuple[Problem, ...] = ()
    refused: Refused | None = None
    tried: Tried | None = None
    rendering: Rendering | None = None
    gate: Gate = _UNASKED
    release: Problem | None = None
    settled: Settled | None = None

    @property
    def desired(self) -> DesiredState | None:
        return self.compiled.desired if self.compiled else None

    def refusal(self, commit: str, generation: int) -> tuple[Problem, ...]:
        """Why nothing of a commit is read again, where that is so."""
        refused = self.refused
        return refused.problems if refused and (refused.commit, refused.generation) == (commit, generation) else ()

    @property
    def outline(self) -> State:
        """The same as far as Git is asked for it."""
        known = self.without_manifests
        if self.compiled is None:
            return known
        desired = self.compiled.desired.without_objects
        return replace(known, compiled=replace(self.compiled, desired=desired, desired_digests={}))

    @property
    def without_manifests(self) -> State:
        """The same, of which the next run reads everything again."""
        return replace(self, compiled=None, applied=None, parsed={}, rendering=None, settled=None)
