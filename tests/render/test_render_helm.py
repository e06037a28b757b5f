"""What signet-render makes of a chart over sealed values, once they are opened, is what Helm's functions make of them in the clear."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import charts
import pytest
from openings import opened, render, render_plain

from agent.yaml.read import manifests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.adapters.render.pool import Renderers
    from agent.values.tree import Tree

VALUES: dict[str, str] = {
    "easy": "s3cretPassw0rd",
    "special characters": "p@ss:w/rd?&=%+#'\"\\<>{}[]!*|$~`^ ,;",
    "yes": "yes",
    "a number with a zero": "0123",
    "a comment": "a # b",
    "a map": "p: q",
    "an alias": "*x",
    "a float": "1e3",
    "digits": "12345678",
    "PEM": "-----BEGIN KEY-----\nMIIE+/=\n\nabc\n-----END KEY-----\n",
    "several lines": "line one\n  line two\n\n\tline four",
    "Unicode": "ü€𝄞 ß\u2028 \u00a0é",
    "JSON": '{"a": ["b", null]}',
    "spaces around": "  x\t",
    "control characters": "a\tb\x01\x7f\u0085",
    "long": "x" * 300 + " " + "y" * 200,
}


AS_YAML = {"what is written back from YAML"}
"""Charts that write YAML as text: ours has quotes around values where Helm's may have none, and is the same YAML."""

LOSES = {
    ("values as YAML and JSON", "special characters"),
    ("values as YAML and JSON", "control characters"),
    ("a certificate in blocks", "PEM"),
    ("a certificate in blocks", "spaces around"),
    ("a certificate in blocks", "control characters"),
    ("a certificate in blocks", "Unicode"),
    ("an ini file with several lines", "Unicode"),
    ("a certificate within a configuration", "Unicode"),
    ("what is written back from YAML", "control characters"),
    ("values that may be templates", "control characters"),
    ("an ini file with several lines", "control characters"),
    ("a certificate within a configuration", "control characters"),
}
"""Values that break the YAML around them in plain Helm, or lose white space at their ends there: ours are whole."""


def comparable(objects: Sequence[Tree], *, texts_are_yaml: bool = False) -> list[str]:
    """Objects in no order, without what is another one by design: the digests of sealed values that everybody may see."""

    def plain(key: str, tree: Tree) -> Tree:
        if isinstance(tree, dict):
            return {name: "" if name.startswith("checksum/") else plain(name, each) for name, each in tree.items()}
        if texts_are_yaml and isinstance(tree, str) and key == "yaml":
            return [each.tree for each in manifests.parse(tree.encode(), file="text")]
        return [plain(key, each) for each in tree] if isinstance(tree, list) else tree

    return sorted(json.dumps(plain("", each), sort_keys=True) for each in objects)


@pytest.mark.parametrize("name", charts.CHARTS)
async def test_a_chart_over_sealed_values_gives_what_it_gives_over_plain_ones(renderers: Renderers, name: str) -> None:
    """Without a placeholder no guard does anything, so the objects over plain values are those of Helm's functions."""
    row = charts.CHARTS[name]
    given = await render(renderers, row)
    assert given.error is None, given.error
    for kind, value in VALUES.items():
        values = {"a": value, "b": value + "-b"}
        objects, holds = opened(given, values)
        assert holds
        plain = await render_plain(renderers, row, values)
        if (name, kind) in LOSES:
            assert plain.error is not None or comparable(objects) != comparable([each.tree for each in plain.objects])
            continue
        assert plain.error is None, plain.error
        expected = comparable([each.tree for each in plain.objects], texts_are_yaml=name in AS_YAML)
        assert comparable(objects, texts_are_yaml=name in AS_YAML) == expected, kind
