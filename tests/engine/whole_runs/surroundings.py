"""One Application and what stands around it: Git, stores, the cluster, and what users and other tools do there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memory_world import sources
from memory_world.cluster import Traffic, name_of
from memory_world.sealed_files import DataKeys
from memory_world.server import Server

from agent.api import application as applications
from agent.api import names
from agent.api.operator import Limits
from agent.desired import dependencies
from agent.engine.context import Fingerprints
from agent.engine.live import Observer
from agent.manifests import order, ownership
from agent.manifests.ownership import Owner
from agent.values.ids import ApplicationId, ObjectId
from agent.values.secret import Secret
from agent.values.tree import get, get_object, map_leaves
from whole_runs import manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from memory_world.records import Shards

    from agent.api.operator import OperatorSettings
    from agent.desired.dependencies import Name, Neighbour
    from agent.values.tree import Object, Tree

INSTALLATION, NAMESPACE, NAME, UID = "test", "shop", "web", "app-1"
PRINTS = Fingerprints.derive(Secret(b"k" * 32, "test"))
OBSERVER = Observer(INSTALLATION, PRINTS.owners, PRINTS.owned)


class Surroundings:
    """The Application `shop/web` and its world, before any agent runs."""

    def __init__(self, *, operator: OperatorSettings | None = None, **spec: object):
        """`spec` is beside the source, whose `layers` may be given as such."""
        self.git = sources.Git()
        self.charts = sources.Charts()
        self.renderers = sources.Renderers()
        self.stores = sources.Stores()
        self.keys = DataKeys()
        self.sealing_keys = sources.SealingKeys()
        self.audit = sources.Audit()
        self.clock = sources.Clock()
        self.tasks = sources.Tasks(self.clock)
        self.server = Server(time="2026-01-01T00:00:00Z", controllers=[manifests.establish])
        self.traffic = Traffic()
        self.shards: dict[str, Shards] = {}
        self.operator = operator or manifests.operator()
        self.limits = Limits()
        self.others: dict[str, str] = {}
        self.neighbours: dict[Name, Neighbour] = {}
        self.lease = True
        self.drifted: set[str] = set()
        self._application: Object = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": UID, "generation": 0, "annotations": {}},
            "spec": {"source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}}},
        }
        self.spec(**spec)

    @property
    def application(self) -> Object:
        """The Application as the API server has it."""
        return self._application

    # what users do

    def push(self, files: Mapping[str, str]) -> None:
        self.git.push(files)

    def spec(self, *, layers: list[str] | None = None, url: str = "", **fields: object) -> None:
        """Change fields of the spec, which is a new generation."""
        spec = {**get_object(self._application, "spec"), **fields}
        if layers is not None:
            spec["source"] = {**get_object(spec, "source"), "layers": layers}
        if url:
            spec["source"] = {**get_object(spec, "source"), "url": url}
        metadata = get_object(self._application, "metadata")
        number = metadata["generation"]
        assert isinstance(number, int)
        self._application = {**self._application, "metadata": {**metadata, "generation": number + 1}, "spec": spec}

    def annotate(self, **annotations: str) -> None:
        """The Application; `confirm_prune="…"` is `signet-gitops.dev/confirm-prune`."""
        given = {f"{names.GROUP}/{name.replace('_', '-')}": text for name, text in annotations.items()}
        metadata = get_object(self._application, "metadata")
        changed = {**get_object(metadata, "annotations"), **given}
        self._application = {**self._application, "metadata": {**metadata, "annotations": changed}}

    def confirm(self, commit: int | None = None, *, characters: int = 40) -> None:
        """Confirm the deletions of a commit, the newest one."""
        self.annotate(confirm_prune=sources.commit_of(commit or self.git.head_number)[:characters])

    def meanwhile(self, request: str, *happens: object) -> None:
        """What others do right before a request such as `apply ConfigMap/a` lands; one a time."""
        self.traffic.between.setdefault(request, []).extend(happens)  # pyright: ignore[reportArgumentType]

    def put_other(self, name: str) -> None:
        """Another Application of this namespace, with its name as uid."""
        self.others[name] = f"{NAMESPACE}/{name}"
        metadata: Object = {"name": name, "namespace": NAMESPACE, "uid": name}
        self.server.put(ObjectId(names.GROUP, names.KIND, NAMESPACE, name), {**self._application, "metadata": metadata})

    def stands(
        self,
        name: str,
        namespace: str = NAMESPACE,
        *,
        at: int = 0,
        url: str = "",
        needs: tuple[Name, ...] = (),
        **status: str,
    ) -> None:
        """Another Application of the same source, or that of a `url`, which reports that it is ready and healthy `at` a commit, except for
        the conditions in `status`: `Ready="Yaml"`.
        """
        source = {**get_object(self._application, "spec", "source"), **({"url": url} if url else {})}
        depends_on = [{"namespace": each[0], "name": each[1]} for each in needs]
        tree: Object = {
            **self._application,
            "metadata": {"name": name, "namespace": namespace, "uid": name, "generation": 1},
            "spec": {"source": source, "dependsOn": depends_on},
        }
        conditions: list[Tree] = [
            {"type": kind, "status": "False" if kind in status else "True", "reason": status.get(kind, kind)}
            for kind in ("Ready", "Healthy")
        ]
        reported: Object = {"observedGeneration": 1, "conditions": conditions}
        if at:
            reported["checkedRevision"] = f"refs/heads/main@{sources.commit_of(at)[:12]}"
        self.neighbours[namespace, name] = dependencies.neighbour(applications.parse(tree), 1, reported)

    # the cluster

    def live(self, name: str, namespace: str = NAMESPACE) -> Object | None:
        """A live object by `Kind/name`."""
        found = [
            self.server.get(key)
            for key in self.server.objects
            if name_of(key) == name and key.namespace in {namespace, ""}
        ]
        return found[0] if found else None

    def value(self, name: str, *path: str) -> object:
        return get(self.live(name), *path)

    def key(self, name: str) -> ObjectId:
        return next(key for key in self.server.objects if name_of(key) == name and key.namespace in {NAMESPACE, ""})

    def edit(self, name: str, *path: str, to: object, by: str = "kubectl-edit", subresource: str = "") -> None:
        self.server.time = f"2026-01-01T00:00:{self.server.version % 60:02}Z"
        self.server.update(self.key(name), {path: to}, by, subresource=subresource)

    def replace(self, name: str, change: Callable[[Any], object], by: str = "kubectl-edit") -> None:
        """`kubectl edit`, or `replace`: the whole object is written again as `change` leaves a copy of it."""
        self.server.time = f"2026-01-01T00:00:{self.server.version % 60:02}Z"
        copy = map_leaves(self.live(name), lambda _, leaf: leaf)
        assert isinstance(copy, dict)
        change(copy)
        self.server.replace(copy, by)

    def apply(self, text: str, by: str = "kubectl") -> None:
        """`kubectl apply --server-side --force-conflicts` of a manifest."""
        tree = manifests.tree(text)
        self.server.apply(OBSERVER.identify(tree), tree, by)

    def delete(self, name: str) -> None:
        self.server.delete(self.key(name))

    def make(self, text: str, by: str = "another-tool", *, owner: str = "", operation: str = "Update") -> None:
        """What another tool or, with the uid of its `owner`, another Application made."""
        tree = manifests.tree(text)
        if owner:
            key = OBSERVER.identify(tree)
            of = Owner(INSTALLATION, ApplicationId(NAMESPACE, owner, owner))
            tree = ownership.stamp(tree, key, of, PRINTS.owners)
        self.server.create(tree, by, operation)

    def give_to(self, name: str, owner: str) -> None:
        """Another Application takes a live object over."""
        tree = self.live(name)
        assert tree is not None
        of = Owner(INSTALLATION, ApplicationId(NAMESPACE, owner, owner))
        for path, value in manifests.difference(tree, ownership.stamp(tree, self.key(name), of, PRINTS.owners)):
            self.edit(name, *path, to=value, by="signet")

    def make_earlier(self, *, key: bool) -> None:
        """What this Application applied becomes that of one with another uid and, without the `key`, of another installation."""
        of = Owner(INSTALLATION if key else "before", ApplicationId(NAMESPACE, NAME, "app-0"))
        prints = PRINTS if key else Fingerprints.derive(Secret(b"b" * 32, "before"))
        for each in [*self.server.objects]:
            tree = self.server.get(each)
            if tree is None or ownership.claimed(tree) != UID:
                continue
            stamped = ownership.stamp(tree, each, of, prints.owners)
            stamped = order.set_restart_token(stamped, "before") if order.restart_token(tree) else stamped
            for path, value in manifests.difference(tree, stamped):
                self.server.update(each, {path: value}, "signet")

    def hand_over(self, *names: str, to: str = f"{NAMESPACE}/{NAME}") -> None:
        """As `agent recover` does."""
        for name in names:
            self.edit(name, "metadata", "annotations", ownership.ANNOTATION_NEW_OWNER, to=to, by="signet-recover")

    def allow_watching(self) -> None:
        """The agent's role has what it lacked, and watches see that."""
        self.traffic.unwatched.clear()
        self.server.wake()
