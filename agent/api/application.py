"""`Application`: where manifests come from, what opens their secrets, where they go, and how they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from agent.api import durations, names
from agent.api.durations import Duration
from agent.api.fields import JsonPointer, ManagerPattern, NamePattern, NamespaceName, ObjectName
from agent.api.metadata import CommonMetadata, NamespaceMetadata
from agent.api.model import Model, Problem, invalid, validate
from agent.api.render import Render, Substitute, VariablesFrom
from agent.api.secret_reference import SecretReference
from agent.api.sources import MOST_FURTHER, FurtherSource, Source, distinct
from agent.api.windows import MOST_WINDOWS, SyncWindow
from agent.values.errors import ManifestError
from agent.values.ids import ApplicationId, ObjectId
from agent.values.patterns import name_matches
from agent.values.tree import Object, get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.api.helm import HelmValuesFrom

LEAST_INTERVAL: Final = 10
USUAL_INTERVAL: Final = 300
USUAL_TIMEOUT: Final = 300
MOST_TIMEOUT: Final = 3600
"""Seconds."""
LONGEST_RERUN: Final = 4096
"""Characters."""
MOST_DEPENDENCIES: Final = 32
MOST_POINTERS: Final = 256
"""Of all rules of `spec.ignore` together."""


class Decryption(Model):
    """What opens this Application's SOPS files."""

    keys: Annotated[
        tuple[SecretReference, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Secrets whose every entry holds age identities (`AGE-SECRET-KEY-1…`) or an armored PGP private key. They open files of
    this Application only; keys for several namespaces are the operator's to grant."""


class Destination(Model):
    """Where objects go, and as whom."""

    namespace: NamespaceName | None = None
    """Namespace of objects that name none. Default: the Application's own. Another one has to be granted in the operator's file."""
    namespaces: Annotated[
        tuple[NamePattern, ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
        AfterValidator(distinct),
    ] = ()
    """Further namespaces that objects may name; `*` stands for any run of characters. Each has to be granted in the operator's file, and
    the ServiceAccount needs its rights there."""
    create_namespace: NamespaceMetadata | None = None
    """Creates each namespace that objects go to and that does not exist, with these labels and annotations. One that exists, or that Git
    has itself, is left as it is. What was created is never deleted. The ServiceAccount needs `get`, `create` and `patch` on it."""
    service_account: ObjectName = names.SERVICE_ACCOUNT
    """ServiceAccount of the Application's namespace that every request acts as. What it may not do, the Application cannot
    do. The agent's role lets it act as `signet-applier`; another name needs a rule in the agent's ClusterRole."""


class Sync(Model):
    """How the cluster is brought to the desired state and kept there."""

    mode: Literal["apply", "detect"] = "apply"
    """`apply` applies commits and heals drift at once. `detect` changes nothing and reports what it would do."""
    force: bool = True
    """Whether a field that another field manager owns is taken over. If false, the object fails with the manager's name."""
    timeout: Annotated[
        Duration,
        Field(
            ge=1,
            le=MOST_TIMEOUT,
            json_schema_extra={
                "default": durations.render(USUAL_TIMEOUT),
                "x-kubernetes-validations": [
                    {
                        "rule": "duration(self) >= duration('1s') && duration(self) <= duration('1h')",
                        "message": "must be between 1s and 1h",
                    }
                ],
            },
        ),
    ] = USUAL_TIMEOUT
    """How long the next wave waits until an object with an annotation `signet-gitops.dev/wave` is healthy, from `1s` to `1h`. After that
    the object is reported, and the next wave is applied."""


class IgnoreRule(Model):
    """Fields that are left to others, of the objects that all given selectors fit. One with neither pointers nor managers is an error."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "has(self.jsonPointers) && self.jsonPointers.size() > 0 || has(self.managers) && self.managers.size() > 0",
                    "message": "give jsonPointers or managers",
                }
            ]
        }
    )

    group: Annotated[str, Field(max_length=253)] = "*"
    """API group of the objects, `""` for the core group. `*` stands for any run of characters, in all four selectors."""
    kind: Annotated[str, Field(min_length=1, max_length=63)] = "*"
    """Kind of the objects."""
    namespace: Annotated[str, Field(max_length=63)] = "*"
    """Namespace of the objects, `""` for those that have none."""
    name: Annotated[str, Field(min_length=1, max_length=253)] = "*"
    """Name of the objects."""
    json_pointers: Annotated[
        tuple[JsonPointer, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Fields by JSON pointer (RFC 6901): `/spec/replicas`; in a key, `/` is written `~1` and `~` is `~0`. A step into a list is the
    index of an item in Git, `*` for every item, or the fields that the list merges by, as `name=web` or `port=80,protocol=TCP`. A list
    without such fields is one value: a pointer into it ignores it as a whole. `/data/key` of a Secret is its `stringData` too."""
    managers: Annotated[
        tuple[ManagerPattern, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Field managers, as `metadata.managedFields` names them: whatever one of them owns in a live object is left to it. `*` stands for
    any run of characters."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.json_pointers and not self.managers:
            raise invalid("give jsonPointers or managers")
        return self

    def fits(self, key: ObjectId) -> bool:
        """Whether the rule is for an object."""
        given = ((self.group, key.group), (self.kind, key.kind), (self.namespace, key.namespace), (self.name, key.name))
        return all(name_matches(pattern, text) for pattern, text in given)


def _few_pointers(rules: tuple[IgnoreRule, ...]) -> tuple[IgnoreRule, ...]:
    if sum(len(rule.json_pointers) for rule in rules) > MOST_POINTERS:
        raise invalid("at most 256 pointers in all rules together")
    return rules


class Secrets(Model):
    """Where a secret may stand, in the cluster and in Git."""

    allow: Annotated[
        tuple[Literal["ConfigMap", "Env", "Args"], ...],
        Field(max_length=3, json_schema_extra={"x-kubernetes-list-type": "set"}),
        AfterValidator(distinct),
    ] = ()
    """Places that this Application asks for, each of which the operator's file must allow too: data of a `ConfigMap`, the value
    of a container's `Env` variable, a container's command and `Args`. All are readable by more people than a Secret is;
    `secretKeyRef` and a volume need none of them."""
    plaintext: Literal["warn", "deny"] = "warn"
    """What becomes of a `v1/Secret` with values that anybody reads in Git. `warn` applies it and names it in `status.warnings`; `deny`
    holds it. The operator's file may deny it for all. Empty Secrets and service account tokens are exempt."""


class Dependency(Model):
    """Another Application that has to be ready first."""

    name: ObjectName
    """Its name."""
    namespace: NamespaceName | None = None
    """Its namespace. Default: the Application's own. Another one has to be granted in the operator's file."""


def _distinct_names(sources: tuple[FurtherSource, ...]) -> tuple[FurtherSource, ...]:
    if len({each.name for each in sources}) != len(sources):
        raise invalid("two sources have the same name")
    return sources


class ApplicationSpec(Model):
    """What the user wants."""

    source: Source
    """A Git repository or an artifact of a registry, and which of its files count."""
    sources: Annotated[
        tuple[FurtherSource, ...],
        Field(
            max_length=MOST_FURTHER,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
        AfterValidator(_distinct_names),
    ] = ()
    """Further repositories and artifacts, each in a folder of its name beside the files of `source`."""
    render: Render | None = None
    """What builds the objects. Without it, manifests count as they are."""
    substitute: Substitute | None = None
    """`${NAME}` in the objects, as Flux's `postBuild` puts values in. Without it, such texts stay as they are."""
    common_metadata: CommonMetadata = CommonMetadata()
    """Labels and annotations of every object; those of pods and selectors within them stay as they are."""
    decryption: Decryption = Decryption()
    """What opens this Application's SOPS files."""
    destination: Destination = Destination()
    """Where objects go, and as whom."""
    target_namespace: NamespaceName | None = None
    """Namespace of every namespaced object, whatever it names itself, as Flux's `targetNamespace`: references to ServiceAccounts and
    Services of the same commit follow. Another one than the Application's has to be granted in the operator's file."""
    interval: Annotated[
        Duration,
        Field(
            ge=LEAST_INTERVAL,
            json_schema_extra={
                "default": durations.render(USUAL_INTERVAL),
                "x-kubernetes-validations": [
                    {"rule": "duration(self) >= duration('10s')", "message": "must be 10s or more"}
                ],
            },
        ),
    ] = USUAL_INTERVAL
    """How often Git is asked for a new commit, as hours, minutes and seconds: `90s`, `5m`, `1h30m`. At least `10s`. Applications with the
    same repository and credential share what one of them finds. Drift is seen by watches, whatever the interval."""
    sync: Sync = Sync()
    """How the cluster is brought to the desired state and kept there."""
    depends_on: Annotated[
        tuple[Dependency, ...],
        Field(max_length=MOST_DEPENDENCIES, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Applications that come first: a new commit runs once each of them is `Ready` and `Healthy` and, where it follows the same branch or
    tag of the same repository, has applied that commit. Until then the last commit stays applied and is healed."""
    sync_windows: Annotated[
        tuple[SyncWindow, ...],
        Field(max_length=MOST_WINDOWS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Times at which new commits and changed specs are applied. Without any, and outside all `deny` windows if there is no `allow` window:
    always. Drift is healed and secrets are rotated at any time. The operator's file may have windows too, and none of these opens them."""
    prune: bool = True
    """Whether objects that are in no layer any more are deleted. Deletions that look like a mistake (a Namespace, a CRD, a
    volume, most of the Application) wait for a confirmation."""
    deletion_policy: Literal["orphan", "prune"] = "orphan"
    """What becomes of the objects when the Application itself is deleted: they stay, or go with it."""
    suspend: bool = False
    """Stops everything for this Application: no fetch, no apply, no healing, no pruning."""
    secrets: Secrets = Secrets()
    """Where a secret may stand, in the cluster and in Git."""
    ignore: Annotated[
        tuple[IgnoreRule, ...],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        AfterValidator(_few_pointers),
    ] = ()
    """Fields that are applied when an object is created, and then left to others: what becomes of them is no drift, and they are neither
    overwritten nor removed. Without its rule, a field is as Git says again at the next run."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        """What is built into one namespace says so to kustomize as well, whose transformers know more of an overlay."""
        target, kustomize = self.target_namespace, self.render.kustomize if self.render is not None else None
        if target is None:
            return self
        if self.destination.namespaces or self.destination.namespace not in {None, target}:
            raise invalid("targetNamespace is the only namespace then: leave out the namespaces of destination")
        if self.render is None or kustomize is None:
            return self
        if kustomize.namespace not in {None, target}:
            raise invalid("targetNamespace and render.kustomize.namespace differ")
        overlay = kustomize.model_copy(update={"namespace": target})
        return self.model_copy(update={"render": self.render.model_copy(update={"kustomize": overlay})})

    @model_validator(mode="after")
    def _rendered_without_layers(self) -> Self:
        """The whole repository as a layer holds what is rendered already: with `render`, the default means none."""
        if self.render is None or self.source.layers != (".",):
            return self
        return self.model_copy(update={"source": self.source.model_copy(update={"layers": ()})})

    @property
    def all_sources(self) -> Mapping[str, Source]:
        """Every source by its name; that of `source` is empty."""
        return {"": self.source, **{each.name: each.source for each in self.sources}}

    def source_of(self, path: str) -> str:
        """The name of the source that a file is from."""
        folder = path.partition("/")[0]
        return folder if any(each.name == folder for each in self.sources) else ""

    @property
    def addresses(self) -> str:
        """Of all repositories that files are from."""
        return " ".join((self.source.address, *(f"{each.name}={each.source.address}" for each in self.sources)))

    @property
    def reads(self) -> tuple[VariablesFrom | HelmValuesFrom, ...]:
        """The Secrets and ConfigMaps of the cluster with variables, and then those with values of a chart."""
        helm = self.render.helm if self.render is not None else None
        return (*(self.substitute.from_ if self.substitute else ()), *(helm.values_from if helm else ()))


@dataclass(frozen=True, slots=True)
class Application:
    """An Application object as the API server gave it. Its `.status` is not part of it: status is never input."""

    id: ApplicationId
    generation: int
    resource_version: str
    annotations: dict[str, str]
    finalizers: tuple[str, ...]
    deleting: bool
    spec: ApplicationSpec

    @property
    def namespace(self) -> str:
        """Where its objects go that name no namespace."""
        return self.spec.target_namespace or self.spec.destination.namespace or self.id.namespace

    @property
    def requested_at(self) -> str:
        """The value of the `requested-at` annotation, free text; empty where there is none."""
        return self.annotations.get(names.ANNOTATION_REQUESTED_AT, "")

    @property
    def pushed_at(self) -> str:
        """The value of the `pushed-at` annotation; empty where there is none."""
        return self.annotations.get(names.ANNOTATION_PUSHED_AT, "")

    @property
    def rerun(self) -> str:
        """The value of the `rerun` annotation, as much of it as counts; empty where there is none."""
        return self.annotations.get(names.ANNOTATION_RERUN, "")[:LONGEST_RERUN]


def identify(tree: Object) -> ApplicationId:
    """Who an Application object is, whatever its spec looks like. Raises ManifestError."""
    if get(tree, "apiVersion") != names.API_VERSION or get(tree, "kind") != names.KIND:
        raise ManifestError("not an Application of an API version that this agent knows", hint="compare `agent crds`")
    namespace, name = get_text(tree, "metadata", "namespace"), get_text(tree, "metadata", "name")
    if not namespace or not name:
        raise ManifestError("an Application needs a name and a namespace", field="metadata")
    return ApplicationId(namespace, name, get_text(tree, "metadata", "uid"))


def parse(tree: Object, spec: ApplicationSpec | None = None) -> Application:
    """An Application from its API object. Raises ManifestError with the field's path, never with what stands there.

    `spec` is what stands in it, where that was parsed before.
    """
    application = identify(tree)
    generation = get(tree, "metadata", "generation")
    finalizers = get(tree, "metadata", "finalizers")
    return Application(
        id=application,
        generation=generation if isinstance(generation, int) else 0,
        resource_version=get_text(tree, "metadata", "resourceVersion"),
        annotations={
            name: text for name, text in get_object(tree, "metadata", "annotations").items() if isinstance(text, str)
        },
        finalizers=tuple(text for text in finalizers if isinstance(text, str)) if isinstance(finalizers, list) else (),
        deleting=bool(get_text(tree, "metadata", "deletionTimestamp")),
        spec=spec or _spec(tree, application),
    )


def _spec(tree: Object, application: ApplicationId) -> ApplicationSpec:
    try:
        return validate(ApplicationSpec, get(tree, "spec"))
    except Problem as problem:
        field = f"spec.{problem.field}" if problem.field else "spec"
        error = ManifestError(problem.cause, hint=problem.hint, application=str(application), field=field)
        if problem.also:
            error = error.with_facts(also=", ".join(f"spec.{field}" for field in problem.also))
    raise error
