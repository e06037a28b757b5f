"""What a kubeconfig says: which context is meant, and whether what it names is there.

The `kubernetes` package has one error for everything that is wrong with one, whose text may quote the file. So it is looked through first;
kubectl's rules are those of https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from agent.values import system
from agent.values.errors import ConfigError
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.tree import Object, Tree

_MOST_NAMES: Final = 10
_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A context of which everything is there that it names. `program` is what logs its user in, if that is a program."""

    context: str
    namespace: str
    user: str
    program: str = ""


@dataclass(frozen=True, slots=True)
class _Named:
    """An item of a list, and the folder that its paths begin in."""

    tree: Object
    folder: Path


def choose(where: str, context: str | None) -> Chosen:
    """The context of that name, else the current one, of files with `:` between them. Raises ConfigError."""
    try:
        return _choose(where, context)
    except ConfigError as error:
        raise error.with_facts(file=where) from None


def _choose(where: str, context: str | None) -> Chosen:
    files = _read(where)
    name = context or next((found for tree, _ in files if (found := get_text(tree, "current-context"))), "")
    contexts = _items(files, "contexts")
    if not name:
        raise ConfigError(
            "no context of the kubeconfig is chosen",
            hint="kubectl config use-context NAME, or give --context",
            contexts=_shown(contexts),
        )
    if name not in contexts:
        raise ConfigError(
            "the kubeconfig has no such context",
            hint="kubectl config get-contexts lists them",
            context=name,
            contexts=_shown(contexts),
        )
    try:
        return _complete(name, get_object(contexts[name].tree, "context"), files)
    except ConfigError as error:
        raise error.with_facts(context=name) from None


def _complete(name: str, context: Object, files: list[tuple[Object, Path]]) -> Chosen:
    cluster = _named(context, "cluster", _items(files, "clusters"))
    server = get_text(cluster.tree, "cluster", "server")
    if not server:
        raise ConfigError(
            "the cluster of the context has no address",
            hint="kubectl config set-cluster NAME --server https://…",
            cluster=get_text(context, "cluster"),
        )
    _check_files("cluster", cluster)
    chosen = Chosen(name, get_text(context, "namespace") or "default", get_text(context, "user"))
    if not chosen.user and server.startswith("http://"):
        return chosen  # such as kubectl proxy, which does not authenticate its users
    user = _named(context, "user", _items(files, "users"))
    _check_files("user", user)
    return replace(chosen, program=_program(user))


def _read(where: str) -> list[tuple[Object, Path]]:
    """The files that there are, each with its folder."""
    paths = [Path(path).expanduser() for path in where.split(os.pathsep) if path]
    there = [path for path in paths if os.path.lexists(path)]
    if not there:
        raise ConfigError("there is no kubeconfig", hint="name one with --kubeconfig, or in $KUBECONFIG")
    return [(_parsed(path), path.absolute().parent) for path in there]


def _parsed(path: Path) -> Object:
    import yaml  # noqa: PLC0415  # as the package does: few processes read a kubeconfig

    try:
        tree = cast("Tree", yaml.safe_load(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the kubeconfig cannot be read", file=str(path), cause=system.cause(error)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        found = ConfigError("the kubeconfig is not YAML", file=str(path))
        raise (found if mark is None else found.with_facts(line=mark.line + 1, column=mark.column + 1)) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError("the kubeconfig is not YAML", file=str(path)) from None
    if tree is None:
        raise ConfigError(
            "the kubeconfig is empty",
            hint="create it again with your cluster's tool, or use another one",
            file=str(path),
        )
    if not isinstance(tree, dict):
        raise ConfigError(
            "the kubeconfig is not a map", hint="it begins with apiVersion: v1, kind: Config", file=str(path)
        )
    return tree


def _items(files: list[tuple[Object, Path]], field: str) -> dict[str, _Named]:
    """By name; of several files the first that has it."""
    found: dict[str, _Named] = {}
    for tree, folder in files:
        items = tree.get(field)
        if not isinstance(items, list | None):
            raise ConfigError("a field of the kubeconfig is not a list", field=field)
        for item in items or ():
            name = get_text(item, "name")
            if not isinstance(item, dict) or not name:
                raise ConfigError("an item of the kubeconfig has no name", field=field)
            found.setdefault(name, _Named(item, folder))
    return found


def _named(chosen: Object, kind: str, items: Mapping[str, _Named]) -> _Named:
    name = get_text(chosen, kind)
    if not name:
        hint = "kubectl config set-context NAME --cluster NAME --user NAME"
        if kind == "cluster":
            raise ConfigError("the context names no cluster", hint=hint)
        raise ConfigError("the context names no user", hint=hint)
    if name not in items:
        if kind == "cluster":
            raise ConfigError(
                "the context names a cluster that the kubeconfig does not have",
                hint="kubectl config set-cluster adds one",
                cluster=name,
            )
        raise ConfigError(
            "the context names a user that the kubeconfig does not have",
            hint="kubectl config set-credentials adds one",
            user=name,
        )
    return items[name]


def _check_files(kind: str, item: _Named) -> None:
    for field in _FILES[kind]:
        path = get_text(item.tree, kind, field)
        if not path or get_text(item.tree, kind, f"{field}-data"):
            continue
        try:
            with (item.folder / path).open("rb"):
                continue
        except (OSError, ValueError) as error:
            raise ConfigError(
                "a file that the kubeconfig names cannot be read", field=field, path=path, cause=system.cause(error)
            ) from None


def _program(user: _Named) -> str:
    """What the user's `exec` runs. Raises ConfigError where that is not to be found."""
    if "exec" not in get_object(user.tree, "user"):
        return ""
    program = get_text(user.tree, "user", "exec", "command")
    if not program:
        raise ConfigError("the exec plugin of the user has no command", field="exec.command")
    if shutil.which(user.folder / program if "/" in program else program) is None:
        raise ConfigError(
            "the exec plugin that logs the user in is not installed",
            hint="install it, or put its folder into PATH",
            program=program,
        )
    return program


def _shown(items: Mapping[str, _Named]) -> str:
    names = sorted(items)
    more = [f"and {len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return ", ".join([*names[:_MOST_NAMES], *more]) or "none"
