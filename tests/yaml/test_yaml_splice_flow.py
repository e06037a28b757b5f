"""Flow collections and aliases of a YAML text whose tree changes."""

import pytest
from spliced_texts import assert_spliced

CASES = [
    (
        "flow collections stay flow",
        """\
a: {x: 1, y: [2, 3]}
b: [x, y, z] # t
c: []
""",
        """\
a: {x: 1, n: {k: v}, y: [3, 4]}
b: [y]\x20
c: [1]
""",
        """\
a: {x: 1, "n": {k: v}, y: [3, 4]}
b: ["y"]
c: [1]
""",
    ),
    (
        "flow collections keep their lines",
        """\
a: {
  x: 1,
  y: 2
}
b: [
  one, # first
  two
]
""",
        """\
a: {x: 1, y: 2, z: 3}
b: [uno, # first
 two]
""",
        """\
a: {
  x: 1,
  y: 2,
  z: 3
}
b: [
  uno, # first
  two
]
""",
    ),
    (
        "a file like JSON stays like JSON",
        """\
{
  "a": 1,
  "b": {"c": true}
}
""",
        """\
{"a": "x", "b": {"c": true, "d": ["y"]}, "e": {"f": [1]}}""",
        """\
{
  "a": "x",
  "b": {"c": true, "d": ["y"]},
  "e": {
    "f": [
      1
    ]
  }
}
""",
    ),
    (
        "aliases whose value differs are written out",
        """\
base: &b {x: 1, y: 2}
one: *b
two:
  <<: *b
  z: 3
three: [*b]
""",
        """\
base: {x: 9, y: 2}
one: {x: 1, y: 2}
two:
  <<: {x: 9, y: 2}
  z: 3
three: [{x: 1, y: 2}]
""",
        """\
base: &b {x: 9, y: 2}
one:
  x: 1
  "y": 2
two:
  <<: *b
  z: 3
three: [{x: 1, "y": 2}]
""",
    ),
    (
        "aliases whose value is that of the anchor stay",
        """\
base: &b
  x: 1
one: *b
other: 1
""",
        """\
base: {x: 1}
one: {x: 1}
other: 2
""",
        """\
base: &b
  x: 1
one: *b
other: 2
""",
    ),
    (
        "a map in brackets at the top",
        """\
{a: 1}
""",
        """\
a: 2
sops: {m: x}
""",
        """\
{a: 2, sops: {m: x}}
""",
    ),
    (
        "a flow list takes its comment in as an item",
        """\
l: [a, b] # c
""",
        """\
l: [c, a, b]
""",
        """\
l: [c, a, b]
""",
    ),
]


@pytest.mark.parametrize(("before", "wanted", "after"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_flow_collections_and_aliases_stay(before, wanted, after):
    assert_spliced(before, wanted, after)
