"""Keys and items that come to a YAML text, go from it, move or change their kind."""

import pytest
from spliced_texts import assert_spliced

CASES = [
    (
        "a new key stands where the tree has it",
        """\
a:
  x: 1

  # about y
  y: 2

b: 3
""",
        """\
a:
  x: 1
  n: new
  # about y
  y: 2
  last: {p: [1, {q: r}]}
b: 3
c: 4
""",
        """\
a:
  x: 1
  "n": new

  # about y
  y: 2
  last:
    p:
      - 1
      - q: r

b: 3
c: 4
""",
    ),
    (
        "a new first item",
        """\
# head
a:
  x: 1
l:
- 2
""",
        """\
first: 0
# head
a:
  w: 0
  x: 1
l:
- 1
- 2
""",
        """\
first: 0
# head
a:
  w: 0
  x: 1
l:
- 1
- 2
""",
    ),
    (
        "keys and items come to lists",
        """\
l:
- a: 1
  b: 2
- c
""",
        """\
l:
- z: 0
  a: 1
  b: 2
  d: 3
- c
- d
""",
        """\
l:
- z: 0
  a: 1
  b: 2
  d: 3
- c
- d
""",
    ),
    (
        "a key goes with its comment and one blank line",
        """\
a: 1

# about b
b: 2

c: 3
""",
        """\
a: 1
c: 3
""",
        """\
a: 1

c: 3
""",
    ),
    (
        "comments that stay outlive their key",
        """\
a: 1
# about b
b: 2 # inline
c: 3
""",
        """\
a: 1
# about b
# inline
c: 3
""",
        """\
a: 1
# about b
# inline
c: 3
""",
    ),
    (
        "items go",
        """\
l:
  - a
  # about b
  - b
  - c: 1
    d: 2
  - e
""",
        """\
l:
- a
- e
""",
        """\
l:
  - a
  - e
""",
    ),
    (
        "the first key behind a dash goes",
        """\
l:
- a: 1
  b: 2
-   c: 1
    # about d
    d: 2
""",
        """\
l:
- b: 2
- # about d
  d: 2
""",
        """\
l:
- b: 2
-   # about d
    d: 2
""",
    ),
    (
        "what is emptied is written in brackets",
        """\
a:
  x: 1
  y: 2
b:
- 1
c: 3
""",
        """\
a: {}
b: []
c: 3
""",
        """\
a: {}
b: []
c: 3
""",
    ),
    (
        "the end goes",
        """\
a: 1

# about b
b:
  c: 2
  # end of b
""",
        """\
a: 1
""",
        """\
a: 1
""",
    ),
    (
        "a renamed key keeps its place",
        """\
a: 1

old: 2

c: 3
""",
        """\
a: 1
new: 2
c: 3
""",
        """\
a: 1

new: 2

c: 3
""",
    ),
    (
        "keys move",
        """\
a: 1
b: 2
c:
  d: 3
""",
        """\
c:
  d: 3
a: 1
b: 2
""",
        """\
c:
  d: 3
a: 1
b: 2
""",
    ),
    (
        "a value becomes a map or list",
        """\
a: 1 # c
b: x
l:
- y
""",
        """\
a: # c
  k: v
b: [1]
l:
- {z: 1}
""",
        """\
a: # c
    k: v
b:
- 1
l:
- z: 1
""",
    ),
    (
        "a map or list becomes a value",
        """\
a:
  k: v
b: {x: 1}\x20
l:
- x: 1
  y: 2
- z
""",
        """\
a: 1
b: two
l:
- 3
- z
""",
        """\
a: 1
b: two\x20
l:
- 3
- z
""",
    ),
]


@pytest.mark.parametrize(("before", "wanted", "after"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_keys_and_items_come_and_go(before, wanted, after):
    assert_spliced(before, wanted, after)
