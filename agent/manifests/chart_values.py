"""Values of a chart: references in them become placeholders, and what templates decide by stays in clear text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent.manifests import presented
from agent.values import placeholders
from agent.values.errors import ManifestError, YamlError
from agent.values.secret import Sealed
from agent.values.tree import map_leaves
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Leaf, Path, Tree


def in_clear(data: bytes, sources: dict[Placeholder, Source], *, file: str) -> bytes:
    """A file of values in the clear whose references are placeholders: as it is where it has none. Raises ReferenceSyntaxError."""
    if b"vault://" not in data and b"lease://" not in data:
        return data
    try:
        found = yaml.parse(data, file=file, strict=False)
    except YamlError:
        return data  # Helm has the words for it
    if len(found) != 1:
        return data
    made = with_references(found[0].tree, sources)
    return data if made == found[0].tree else written(made)


def written(tree: Tree) -> bytes:
    """Values as JSON that any reader of YAML takes: of all characters, JSON writes one plainly that YAML does not have."""
    return json.dumps(tree).replace("\x7f", "\\u007f").encode()


def with_references(tree: Tree, sources: dict[Placeholder, Source], at: Path = ()) -> Tree:
    """Values whose references are placeholders, which are added to `sources`. Raises PlaceholderError, and ReferenceSyntaxError below `at`."""
    placeholders.refuse(json.dumps(tree, ensure_ascii=False))

    def leaf(path: Path, value: Leaf) -> Leaf:
        return presented.text(value, sources, path) if isinstance(value, str) else value

    return map_leaves(tree, leaf, at)


def refuse_booleans(sources: Mapping[Placeholder, Source]) -> None:
    """Templates decide by a boolean what they make, and nothing can be said of one that is sealed. Raises ManifestError."""
    for source in sources.values():
        if isinstance(source, Sealed) and source.type == "bool":
            raise ManifestError(
                "a value is true or false and encrypted, and templates decide by it what they make",
                hint="keep it in clear text: in .sops.yaml, let encrypted_regex name the fields that are secret",
                value=source.label,
            )
