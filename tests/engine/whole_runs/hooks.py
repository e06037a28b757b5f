"""Charts with hooks, with the real renderer, and a cluster whose Jobs and Pods end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_world import sources
from memory_world.cluster import name_of

from whole_runs.endings import COMPLETE
from whole_runs.installation import Installation

if TYPE_CHECKING:
    from memory_world.server import Change, Server

    from agent.engine.renderers import RenderPort
    from agent.values.tree import Object, Tree

VALUES = "host: example.com\nimage: web:1\npassword: ''\n"
SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {host: {{ .Values.host | quote }}}
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: {{ .Values.password | quote }}}
"""
SETTLED = ["apply ConfigMap/settings"]


def hook(
    name: str, events: str, *, weight: int | None = None, policy: str = "", kind: str = "Job", extra: str = ""
) -> str:
    """A Job or Pod that is a hook for these events."""
    annotations = [f"helm.sh/hook: {events}"]
    annotations += [f'helm.sh/hook-weight: "{weight}"'] if weight is not None else []
    annotations += [f"helm.sh/hook-delete-policy: {policy}"] if policy else []
    return marked(name, annotations, kind=kind, extra=extra)


def marked(name: str, annotations: list[str], *, kind: str = "Job", extra: str = "", naming: str = "name") -> str:
    """One with these annotations."""
    lines = "".join(f"    {each}\n" for each in annotations)
    head = f"metadata:\n  {naming}: {name}\n  annotations:\n{lines}"
    pod = 'restartPolicy: Never, containers: [{name: a, image: "{{ .Values.image }}"}]'
    if kind == "Job":
        return f"apiVersion: batch/v1\nkind: Job\n{head}spec:\n{extra}  template: {{spec: {{{pod}}}}}\n"
    if kind == "Pod":
        return f"apiVersion: v1\nkind: Pod\n{head}spec: {{{pod}}}\n"
    return f"apiVersion: v1\nkind: {kind}\n{head}"


def chart(values: str = VALUES, **templates: str) -> dict[str, str]:
    named = {f"chart/templates/{name}.yaml": text for name, text in templates.items()}
    head = {"chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.2.3\n", "chart/values.yaml": values}
    return {**head, **named}


class Cluster:
    """What its controllers make of Jobs and Pods: `ends` says how each ends, by its name, where it does not complete; "" never."""

    def __init__(self, world: Installation) -> None:
        self.ends: dict[str, str] = {}
        self.ran: list[str] = []
        self._world = world
        world.server.controllers.append(self._control)

    def _control(self, server: Server, change: Change) -> None:
        key, tree = change.key, change.tree
        if tree is None or change.before is not None or key.kind not in {"Job", "Pod"}:
            return
        self.ran.append(name_of(key))
        how = self.ends.get(key.name, "Complete")
        if how:
            self.end(name_of(key), how)

    def end(self, name: str, how: str = "Complete") -> None:
        if name.startswith("Pod/"):
            path: tuple[str, ...] = ("status", "phase")
            value: Tree = "Succeeded" if how == "Complete" else how
        else:
            path, value = ("status", "conditions"), [{**COMPLETE[0]} if how == "Complete" else _failed()]
        self._world.edit(name, *path, to=value, by="kube-controller-manager", subresource="status")


def _failed() -> Object:
    return {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "canary-of-the-program"}


def world(
    renderers: RenderPort, files: dict[str, str], *, spec: dict[str, object] | None = None, **helm: object
) -> tuple[Installation, Cluster]:
    made = Installation(
        files=files,
        render={"helm": {"chart": {"path": "chart"}, **helm}},
        sync={"timeout": "60s"},
        **(spec or {}),  # pyright: ignore[reportArgumentType]
    )
    made.renderers = sources.Renderers(renderers)
    made.stores.write("kv/db", password="hunter2")
    return made, Cluster(made)
