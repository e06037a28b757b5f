"""Desired state: what a commit asks for, still sealed, with what is held and why.

Fail closed, and no wider: a file that cannot be trusted holds the objects it names or was recorded for; an object that depends on a
held one is held with it. A file that does not parse holds everything where layers are merged, since it is unknown what it would
have changed: then `compute` raises and the last good state stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.desired import cautions
from agent.desired.cautions import Strictness
from agent.manifests import autoscaling, documents, ignoring, layers, order, sealed_secrets, target_namespace
from agent.values.errors import AgentError, HeldError, PlaintextSecretError
from agent.values.expressions import Expressions
from agent.values.ids import ObjectId
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from agent.api.application import IgnoreRule
    from agent.desired.live_variables import LiveKey
    from agent.manifests.documents import Document, ManifestIdentity, Parsed
    from agent.manifests.generated import GeneratedValue
    from agent.manifests.kinds import Kinds
    from agent.manifests.layers import Desired
    from agent.manifests.places import Places
    from agent.manifests.sealed_secrets import SealedValue, Unsealing
    from agent.manifests.suffixes import Standing
    from agent.sops.files.presented import Presented
    from agent.sops.files.sealed import SealedFile
    from agent.values.ids import Revision
    from agent.values.questions import Question


_LENIENT = Strictness()
_NO_EXPRESSIONS = Expressions()


class UnknownChangeError(HeldError):
    """What an Application asks for cannot be known, or is refused as a whole: no new desired state until it can."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(
            "skipping this revision: nothing of it is applied until this is corrected; the last good revision stays in place",
            file=problems[0].file,
        )
        self.problems = problems


@dataclass(frozen=True, slots=True)
class DesiredState:
    """The sealed merge of one commit. `incomplete` says that something is held or unreadable: then nothing is pruned.

    `sealed` are the SOPS files by path, `values` those of SealedSecrets by the id of their leaf. `warnings` hold nothing back.
    `repository` is where its files are from: keys that are granted to a repository open nothing of another one. Of what was rendered,
    `expressions` are what leaves are made of, and `whole` the SOPS files of which a leaf is all that sops prints, `live` where in the cluster
    its value is, both by the leaf's id. `variables` are the names of those with sealed values, by the labels of these.
    `standing` are the names of what was generated, by the rendered ones. Nothing of it counts where one of the `questions` has another answer.
    `generated` are values that templates make up, by the leaf's id.
    `hooks` of a chart are no objects that stand: they run at a change of what does. `unread_hooks` are those of which nothing more is known than
    their names, or files, since they are held. `notes` are a chart's NOTES.txt for its user: untrusted text.
    """

    revision: Revision
    objects: Mapping[ObjectId, Desired]
    sealed: Mapping[str, SealedFile] = field(default_factory=dict[str, "SealedFile"])
    held: Mapping[ObjectId, AgentError] = field(default_factory=dict[ObjectId, AgentError])
    problems: tuple[Problem, ...] = ()
    values: Mapping[str, SealedValue] = field(default_factory=dict[str, "SealedValue"])
    warnings: tuple[Problem, ...] = ()
    repository: str = ""
    expressions: Expressions = _NO_EXPRESSIONS
    whole: Mapping[str, Presented] = field(default_factory=dict[str, "Presented"])
    standing: Mapping[str, Standing] = field(default_factory=dict[str, "Standing"])
    live: Mapping[str, LiveKey] = field(default_factory=dict[str, "LiveKey"])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    questions: tuple[Question, ...] = ()
    generated: Mapping[str, GeneratedValue] = field(default_factory=dict[str, "GeneratedValue"])
    hooks: Mapping[ObjectId, Desired] = field(default_factory=dict[ObjectId, "Desired"])
    unread_hooks: tuple[str, ...] = ()
    notes: str = ""

    @property
    def everything(self) -> Mapping[ObjectId, Desired]:
        """The objects, and the hooks beside them."""
        return {**self.objects, **self.hooks} if self.hooks else self.objects

    @property
    def without_objects(self) -> DesiredState:
        """What it says of the commit: what is held, and why."""
        return DesiredState(self.revision, {}, held=self.held, problems=self.problems)

    @property
    def outline(self) -> DesiredState:
        """What it says of objects without what they hold: which there are and of what files, what is held, what is warned of."""
        return DesiredState(
            self.revision,
            {key: item.outline for key, item in self.objects.items()},
            held=self.held,
            problems=self.problems,
            warnings=self.warnings,
            hooks={key: item.outline for key, item in self.hooks.items()},
            notes=self.notes,
        )

    @property
    def incomplete(self) -> bool:
        return bool(self.held or self.problems)

    def holding(self, more: Mapping[ObjectId, AgentError]) -> DesiredState:
        """The same state with more objects held, and those that depend on them."""
        if not more:
            return self
        held = {**more, **self.held}
        problems = tuple(Problem(error, key) for key, error in more.items() if key not in self.held)
        return replace(self, held=with_dependents(held, self.everything), problems=(*self.problems, *problems))


def compute(
    revision: Revision,
    parsed: Parsed,
    *,
    untrusted: Mapping[str, AgentError],
    refused: Iterable[tuple[str, AgentError]],
    layered: bool,
    kinds: Kinds,
    places: Places,
    recorded: Callable[[str], Collection[ObjectId]],
    unsealing: Unsealing | None = None,
    strict: Strictness = _LENIENT,
    ignore: Sequence[IgnoreRule] = (),
) -> DesiredState:
    """The desired state of a commit.

    `untrusted` names the encrypted files whose MAC or key failed, `refused` the paths that the source did not hand out, `recorded` the
    objects that were applied from a file. With `unsealing`, Secrets stand in the place of SealedSecrets. Raises UnknownChangeError
    where a file cannot be read and layers are merged. `ignore` are the Application's rules of fields that are left to others.
    """
    problems: list[Problem] = [*parsed.failures]
    problems += [Problem(error, file=path) for path, error in refused]
    if problems and layered:
        raise UnknownChangeError(tuple(problems))

    parsed = replace(parsed, documents=target_namespace.moved(parsed.documents, places))
    held: dict[ObjectId, AgentError] = {}
    for failure in parsed.failures:
        for key in {_object_id(each, kinds, places) for each in failure.identities} | {*recorded(failure.file)}:
            held[key] = failure.error
    if strict.clear_values:
        untrusted = {**cautions.untrusted(parsed.documents), **untrusted}
    for path, error in untrusted.items():
        error = error.with_facts(file=path)  # noqa: PLW2901
        problems.append(Problem(error, file=path))
        identities = (documents.identity_of(document.tree) for document in parsed.documents if document.file == path)
        for key in {_object_id(each, kinds, places) for each in identities if each} | {*recorded(path)}:
            held[key] = error

    trusted = [document for document in parsed.documents if document.file not in untrusted]
    warnings = _warnings(trusted, kinds, places, strict)
    merged = layers.merge(
        map(cautions.refuse_plaintext, trusted) if strict.plaintext else trusted,
        kinds=kinds,
        places=places,
        replaced=[(sealed_secrets.API_VERSION, sealed_secrets.KIND)] if unsealing else (),
    )
    replaced = sealed_secrets.replace(merged.objects, unsealing)
    for failure in (*merged.failures, *replaced.failures):
        problems.append(failure)
        named = {failure.object} if failure.object else recorded(failure.file)
        for key in named:
            held[key] = failure.error
    if unsealing:  # what needs the Secret waits with it
        held |= {sealed_secrets.secret_id(key): each for key, each in held.items() if unsealing.serves(key.namespace)}
    held = with_dependents(held, replaced.objects)
    scaled = autoscaling.targets((key, item.tree) for key, item in replaced.objects.items())
    objects = _ignoring(replaced.objects, ignore, scaled)
    warnings = (*warnings, *cautions.autoscaled(objects, scaled))
    return DesiredState(revision, objects, parsed.sealed, held, tuple(problems), replaced.values, warnings)


def _ignoring(
    objects: Mapping[ObjectId, Desired], rules: Sequence[IgnoreRule], scaled: Collection[ObjectId]
) -> Mapping[ObjectId, Desired]:
    """The objects with what is ignored of each: what rules say, and replicas that an autoscaler of the same commit sets."""
    if not rules and not scaled:
        return objects
    replicas = frozenset({autoscaling.POINTER})
    return {
        key: replace(item, ignored=ignoring.of(rules, key, replicas if key in scaled else frozenset()))
        for key, item in objects.items()
    }


def _warnings(given: Iterable[Document], kinds: Kinds, places: Places, strict: Strictness) -> tuple[Problem, ...]:
    def object_of(document: Document) -> ObjectId | None:
        identity = documents.identity_of(document.tree)
        return _object_id(identity, kinds, places) if identity else None

    found = cautions.of(given, object_of)
    if strict.plaintext:  # held, and so a problem
        found = [warning for warning in found if not isinstance(warning.error, PlaintextSecretError)]
    return tuple(found)


def _object_id(identity: ManifestIdentity, kinds: Kinds, places: Places) -> ObjectId:
    key = ObjectId(*identity)
    resource = kinds.of(key)
    scoped = resource is None or resource.namespaced
    return replace(key, namespace=places.of(key.namespace)) if scoped else key


def with_dependents(
    held: Mapping[ObjectId, AgentError], objects: Mapping[ObjectId, Desired]
) -> dict[ObjectId, AgentError]:
    """The held objects and every object that names one of them: no torn release."""
    result = dict(held)
    for key, desired in objects.items():
        if key in result:
            continue
        waits_for = next((need for need in sorted(order.depends_on(desired.tree)) if need in held), None)
        if waits_for is not None:
            result[key] = HeldError(
                "waits for an object that is held", hint="fix what holds that object", object=key, needs=waits_for
            )
    return result
