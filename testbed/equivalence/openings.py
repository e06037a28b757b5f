"""A render over sealed values, and its objects with the values put in."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.engine.renderers import Cluster
from agent.manifests import hashed, rendered
from agent.manifests.rendered import Output
from agent.values import placeholders
from agent.values.errors import AgentError
from agent.values.expressions import Evaluation
from agent.values.fingerprint import Fingerprinter
from agent.values.hashing import Salts
from agent.values.reveal import reveal
from agent.values.secret import Sealed, Secret
from agent.values.tree import map_leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.engine.renderers import Rendered
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Leaf, Path, Tree

CLUSTER: Final = Cluster("v1.36.3", frozenset({"v1", "apps/v1", "apps/v1/Deployment"}))
_SECONDS: Final = 10
_SALTS: Final = Salts(Fingerprinter.derive(Secret(b"equivalence" * 3, "key"), "applied"), "1")


@dataclass(frozen=True, slots=True)
class Sealing:
    """Sealed leaves of a file of values by name, and the placeholder that stands for each."""

    leaves: Mapping[str, Sealed]
    placeholders: Mapping[str, Placeholder]

    @classmethod
    def of(cls, names: Iterable[str]) -> Sealing:
        leaves = {name: Sealed(f"values.yaml {name}", f"sops:values.yaml#{name}", "str") for name in names}
        return cls(leaves, {name: placeholders.of("sops", leaf.id) for name, leaf in leaves.items()})


@dataclass(frozen=True, slots=True)
class Opened:
    """Objects in the renderer's order, or why one is held; `holds`: every question has the answer that they were rendered for."""

    objects: tuple[Tree | AgentError, ...]
    holds: bool
    unused: tuple[str, ...] = field(default=())

    def trees(self) -> list[Tree]:
        """Raises the first error."""
        for each in self.objects:
            if isinstance(each, AgentError):
                raise each
        return [each for each in self.objects if not isinstance(each, AgentError)]


def opened(given: Rendered, sealing: Sealing, values: Mapping[str, str]) -> Opened:
    """The objects of a render with these values where `sealing` has their placeholders.

    What templates make up is a text that names the function.
    """
    made = {key: Sealed(key, each.function, "str") for key, each in given.generated.items()}
    handed = [sealing.placeholders[name] for name in values]
    sources: dict[Placeholder, Source] = {sealing.placeholders[name]: sealing.leaves[name] for name in values}
    sources.update(given.expressions)
    sources.update(made)
    placed = hashed.placed([each.tree for each in given.objects], sources)
    outputs = [Output(each.file, tree) for each, tree in zip(given.objects, placed.trees, strict=True)]
    found = rendered.read(outputs, placed.sources, handed)
    secrets: dict[str, Secret] = {sealing.placeholders[name]: Secret(text, name) for name, text in values.items()}
    secrets |= {key: Secret(f"made by {leaf.label}", leaf.label) for key, leaf in made.items()}
    known = {**given.expressions, **found.expressions.known}
    evaluation = Evaluation(known, secrets, time.monotonic, time.monotonic() + _SECONDS, _SALTS)
    by_id = {leaf.id: Secret(values[name], name) for name, leaf in sealing.leaves.items() if name in values}
    by_id |= {key: secrets[key] for key in made}

    def leaf(_: Path, each: Leaf) -> Leaf:
        if not isinstance(each, Sealed):
            return each
        value = reveal(by_id[each.id] if each.id in by_id else evaluation.value(found.expressions.known[each.id]))
        return value.decode() if isinstance(value, bytes) else value

    def put_in(each: rendered.ReadOutput) -> Tree | AgentError:
        if each.error is not None:
            return each.error
        try:
            return map_leaves(each.tree, leaf)
        except AgentError as error:
            return error

    return Opened(tuple(map(put_in, found.objects)), all(map(evaluation.holds, given.questions)), found.unused)


def written(values: Tree) -> bytes:
    """A file of values that YAML reads back as it is, whatever characters are in it."""
    text = json.dumps(values, ensure_ascii=False)
    for breaking in "\x7f\x85\u2028\u2029\ufeff":  # YAML reads these as line breaks, or not at all
        text = text.replace(breaking, f"\\u{ord(breaking):04x}")
    return text.encode()
