"""Scalars that change, in the text that they came from: quotes, tags, styles and anchors."""

import pytest
from spliced_texts import assert_spliced

CASES = [
    (
        "values keep their quotes, comments and gaps",
        """\
a: 'x'   # why
b: "y"
c:   z

d: [1,2]
""",
        """\
a: one # why
b: two
c: 3
d: [1, 'x y']
""",
        """\
a: 'one'   # why
b: "two"
c:   3

d: [1,"x y"]
""",
    ),
    (
        "a value of another type is written for its place",
        """\
a: '5'
b: 5
c: yes
d: ~
e:
f: !!str 5
g: !!int '5'
""",
        """\
a: 5
b: '5'
c: true
d: x
e: y
f: '6'
g: 'no'
""",
        """\
a: 5
b: "5"
c: true
d: x
e: "y"
f: !!str "6"
g: 'no'
""",
    ),
    (
        "a tag that fits stays",
        """\
a: !Ref x
b: !Sub 'y'
c: !!binary aGk=
""",
        """\
a: z
b: w
c: hello
""",
        """\
a: !Ref z
b: !Sub 'w'
c: hello
""",
    ),
    (
        "text of several lines becomes a block scalar",
        """\
a: x # note
b:
  c: y
l:
- z
q: 'z'
""",
        """\
a: |
  one
  two
b:
  c: |-
    one
    two
l:
- |
  x
  y
q: |
  a
  b
""",
        """\
a: |
  one
  two
b:
  c: |-
    one
    two
l:
- |
  x
  y
q: "a\\nb\\n"
""",
    ),
    (
        "a block scalar becomes one line",
        """\
a: |
  one
  two

b:
  c: >- # note
      one
      two

  d: 1
""",
        """\
a: x
b:
  # note
  c: y
  d: 1
""",
        """\
a: x

b:
  c: "y" # note

  d: 1
""",
    ),
    (
        "a block scalar keeps its indent",
        """\
a:
      b: |
            deep
            er
      c: 1
""",
        """\
a:
  b: |-
    other
    text
  c: 1
""",
        """\
a:
      b: |-
            other
            text
      c: 1
""",
    ),
    (
        "explicit keys",
        """\
? a
: 1
? b
? c
: - x
""",
        """\
a: 2
b: 3
c: [y]
""",
        """\
a: 2
b: 3
c:
  - "y"
""",
    ),
    (
        "missing values",
        """\
a:
b:
c: # none
""",
        """\
a: 1
b: {x: 1}
c: x
""",
        """\
a: 1
b:
    x: 1
c: x
""",
    ),
    (
        "unusual numbers are left alone",
        """\
a: 0x1F
b: 1_000
c: +1
d: 2024-1-2
e: 1e3
f: x
""",
        """\
a: 31
b: 1000
c: 1
d: 2024-01-02T00:00:00Z
e: 1000.0
f: y
""",
        """\
a: 0x1F
b: 1_000
c: +1
d: 2024-1-2
e: 1e3
f: "y"
""",
    ),
    (
        "whole floats stay floats",
        """\
a: x
b: y
""",
        """\
a: 1.0
b: -0.0
""",
        """\
a: 1.0
b: -0.0
""",
    ),
    (
        "text that looks like something else is quoted",
        """\
a: x
b: x
c: x
d: x
e: {f: x}
""",
        """\
a: 'yes'
b: '1'
c: ''
d: '# no'
e: {f: 'a, b'}
""",
        """\
a: "yes"
b: "1"
c: ""
d: '# no'
e: {f: "a, b"}
""",
    ),
    (
        "an anchor stays with its new value",
        """\
a: &x one
b: *x
""",
        """\
a: two
b: two
""",
        """\
a: &x two
b: *x
""",
    ),
]


@pytest.mark.parametrize(("before", "wanted", "after"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_values_change_in_place(before, wanted, after):
    assert_spliced(before, wanted, after)
