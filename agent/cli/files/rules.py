"""The `.sops.yaml` that files go by: the one that is named, else the next one upwards. It is loaded by the functions that need it."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.files import content
from agent.values.errors import AgentError, SopsRulesError

if TYPE_CHECKING:
    import argparse

    from agent.sops.rules import CreationRule
    from agent.sops.rules.config import Rules
    from agent.sops.rules.rule_keys import Context
    from agent.sops.stores import Store

_LEVELS = 100


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="FILE", help="default: SOPS_CONFIG, else the nearest .sops.yaml in this folder or above"
    )


def load(path: str | None) -> Rules | None:
    """The `.sops.yaml` at `path`, as --config names it, or the next one from the working directory upwards. Raises SopsRulesError."""
    path = path or os.environ.get("SOPS_CONFIG") or search(".")
    return _read(path) if path else None


def of(config: Rules | None, file: str) -> Rules | None:
    """The rules that a file goes by: `load`'s or, where there are none, the next ones from its own folder upwards."""
    if config is not None or not file:
        return config
    path = search(os.path.dirname(file) or ".")  # as sops joins `..`: by name, links are not followed
    return _read(path) if path else None


def _read(path: str) -> Rules:
    try:
        data = content.read(path)
    except AgentError as error:
        cause = str(error.facts.get("cause") or error.message)
        hint = "is it a file, and may you read it?"
        raise SopsRulesError("the rules cannot be read", hint=hint, file=path, cause=cause) from None
    return _parsed(data, path)


@lru_cache(maxsize=16)
def _parsed(data: bytes, path: str) -> Rules:
    from agent.sops.rules import config

    found = config.parse(data, file=path)
    for number, name in found.unknown:
        _warn_if_misspelt(path, number, name)
    return found


def _warn_if_misspelt(path: str, number: int, name: str) -> None:
    """A rule without its `path_regex` is for every file."""
    from agent.cli import nearest
    from agent.sops.rules import config

    if meant := nearest.suggestion(name, config.FIELDS):
        terminal.warn(f"{path}: a rule has no field {name} (rule {number}): {meant.strip()}")


@lru_cache(maxsize=1024)
def _warn_once(other: str) -> None:
    terminal.warn(f"{other} is not used: the file must be called .sops.yaml")


def search(start: str) -> str:
    """The next `.sops.yaml` upwards. What is called `.sops.yml` is warned of, as sops does."""
    folder = os.path.abspath(start)
    other = found = ""
    for _ in range(_LEVELS):
        if os.path.exists(os.path.join(folder, ".sops.yaml")):
            found = os.path.join(folder, ".sops.yaml")
            break
        if not other and os.path.exists(os.path.join(folder, ".sops.yml")):
            other = os.path.join(folder, ".sops.yml")
        above = os.path.dirname(folder)
        if above == folder:
            break
        folder = above
    if other:
        _warn_once(other)
    return found


def indent(config: Rules | None, store: Store) -> int | None:
    """The indent that `.sops.yaml` asks for."""
    if config is None:
        return None
    if store.single:
        return config.binary_indent
    return config.json_indent if store.name == "json" else config.yaml_indent


def rule_at(config: Rules | None, file: str, *, context: Context = ()) -> CreationRule | None:
    """What `.sops.yaml` says of a file; None where there is none, or it has no rules. Raises SopsRulesError.

    AWS keys of the rule have the encryption `context`.
    """
    found = of(config, file)
    if found is None:
        return None
    return found.match(_relative(file, found.file), context=context)


def _relative(file: str, config: str) -> str:
    """The path that rules see: from the folder of `.sops.yaml`, or absolute for a file elsewhere."""
    absolute = os.path.abspath(file)  # links stay as they are named, as for sops
    folder = os.path.dirname(os.path.abspath(config))
    return absolute.removeprefix(folder + os.sep)
