"""A changed tree in the text that it came from: what somebody wrote, what it should say, and what comes out."""

import pytest

from agent.values.errors import EmitError
from agent.yaml import emit, sealed
from agent.yaml.matching import same
from agent.yaml.nodes import Comment, Mapping
from agent.yaml.originals import YamlOriginal
from agent.yaml.splice import splice

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
        "documents keep their marks",
        """\
%YAML 1.1
---
a: 1
...
# next
---
b: 2
---
---
c: 3
""",
        """\
a: 2
---
# next
b: 2
c: 3
---
d: 1
---
c: 4
""",
        """\
%YAML 1.1
---
a: 2
...
# next
---
b: 2
c: 3
---
d: 1
---
c: 4
""",
    ),
    (
        "comments change in place",
        """\
# head

a: 1 # x
b: # y
  c: 1
  # foot

# end
""",
        """\
# HEAD
a: 1 # X
b: # Y
  c: 1
  # FOOT
# END
""",
        """\
# HEAD

a: 1 # X
b: # Y
  c: 1
  # FOOT

# END
""",
    ),
    (
        "comments come",
        """\
a: 1
b:
  c: 2
""",
        """\
# one
a: 1
b:
  # two
  c: 2
  # three
""",
        """\
# one
a: 1
b:
  # two
  c: 2
  # three
""",
    ),
    (
        "comments of lists become items",
        """\
l:
  # one
  - a # two

  # three
  - b
""",
        """\
l:
- one
- two
- a
- three
- b
""",
        """\
l:
  - one
  - two
  - a

  - three
  - b
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
        "line breaks of Windows",
        """\
a: 1\r
b:\r
  c: x\r
""",
        """\
a: |
  y
  z
b:
  c: x
  d: 2
""",
        """\
a: |\r
  y\r
  z\r
b:\r
  c: x\r
  d: 2\r
""",
    ),
    (
        "a byte order mark",
        """\
\ufeffa: 1
""",
        """\
a: 2
""",
        """\
\ufeffa: 2
""",
    ),
    (
        "no last line break",
        """\
a: 1
b: 2""",
        """\
a: 1
b: 3
""",
        """\
a: 1
b: 3""",
    ),
    (
        "a last line break where lines come behind",
        """\
a: 1
b: 2""",
        """\
a: 1
b: 2
c: 3
""",
        """\
a: 1
b: 2
c: 3
""",
    ),
    (
        "a block scalar that the end of the file cut off",
        """\
a: 1
b: |
  x""",
        """\
a: 1
b: x
c: 3
""",
        """\
a: 1
b: "x"
c: 3
""",
    ),
    (
        "notes behind what is unset",
        """\
a: 1 # one
b: 2 # two
""",
        """\
b: 2
""",
        """\
b: 2
""",
    ),
    (
        "a comment of a list goes above the item it stood behind",
        """\
l:
- a # c
""",
        """\
l:
- c
- a
""",
        """\
l:
- c
- a
""",
    ),
    (
        "an item becomes a comment",
        """\
l:
  - c
  - a
""",
        """\
l:
  # c
  - a
""",
        """\
l:
  # c
  - a
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
    (
        "directives and the end of a document",
        """\
%YAML 1.1
%TAG ! tag:x,2000:
---
a: 1
...
""",
        """\
a: 2
sops: {mac: x}
""",
        """\
%YAML 1.1
%TAG ! tag:x,2000:
---
a: 2
sops:
    mac: x
...
""",
    ),
    (
        "what ends a document has sops' layout",
        """\
a:
  b: 1
  c: [1]
""",
        """\
a: {b: 1, c: [1]}
sops:
  age: [{enc: "x\\ny\\n", r: a}]
""",
        """\
a:
  b: 1
  c: [1]
sops:
    age:
        - enc: |
            x
            y
          r: a
""",
    ),
    (
        "each document has it",
        """\
# h
a: 1

---

b: 2
# t
""",
        """\
# h
a: 1
sops: {m: 1}
---
b: 2
# t
sops: {m: 1}
""",
        """\
# h
a: 1
sops:
    m: 1

---

b: 2
# t
sops:
    m: 1
""",
    ),
    (
        "an empty document",
        """\
---
---
a: 1
""",
        """\
sops: {m: 1}
---
a: 1
sops: {m: 1}
""",
        """\
---
sops:
    m: 1
---
a: 1
sops:
    m: 1
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
    (
        "a first key between comments before the document",
        """\
# one
# two
---
a: 1
""",
        """\
# one
new: 0
# two
a: 1
""",
        """\
# one
---
new: 0
# two
a: 1
""",
    ),
]


def documents(text: str):
    return sealed.parse(text.encode(), file="wanted.yaml")


@pytest.mark.parametrize(("before", "wanted", "after"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_only_what_changed_changes(before, wanted, after):
    spliced = splice(before.encode(), documents(wanted), file="file.yaml")
    assert spliced.data.decode() == after
    found = sealed.parse(spliced.data, file="file.yaml")
    assert len(found) == len(documents(wanted))
    assert all(map(same, found, documents(wanted)))


@pytest.mark.parametrize("before", [row[1] for row in CASES], ids=[row[0] for row in CASES])
def test_what_does_not_change_is_the_same_file(before):
    assert splice(before.encode(), documents(before), file="file.yaml").data == before.encode()


def test_a_file_that_was_read_is_not_read_again():
    original = YamlOriginal(b"a: 'x' # c\n", file="file.yaml")
    assert splice(original, documents("a: y # c\n"), file="file.yaml").data == b"a: 'y' # c\n"


@pytest.mark.parametrize(
    ("before", "wanted", "notes"),
    [
        ("a: &x [1]\n\nb: *x\n", "a: [2]\nb: [1]\n", [("an alias is written out", 3)]),
        ("a: 1\nb:\n  ? c\n  ? d\n", "a: 1\nb: {c: 1, d: 2}\n", [("a map or list is rewritten", 2)]),
        ("a: 1\n", "a: 1\n---\nb: 2\n", [("the file is rewritten", 1)]),
    ],
)
def test_what_could_not_stay_is_told(before, wanted, notes):
    spliced = splice(before.encode(), documents(wanted), file="file.yaml")
    assert [(note.message.partition(",")[0], note.line) for note in spliced.notes] == notes
    assert all(map(same, sealed.parse(spliced.data, file="file.yaml"), documents(wanted)))


def test_a_change_of_the_number_of_documents_is_written_as_sops_writes_files():
    wanted = documents("a: 1\n---\nb: {c: [2]}\n")
    assert splice(b"a:   1\n", wanted, file="file.yaml", indent=2).data == emit.emit(wanted, indent=2)


def test_a_file_written_anew_says_what_is_wanted_where_the_layout_of_sops_does_not():
    spliced = splice(b"a:   1\n", documents("a: 1.0\n---\nb: [2.0]\n"), file="file.yaml")
    assert spliced.data == b"a: 1.0\n---\nb:\n    - 2.0\n"


@pytest.mark.parametrize("text", ["one\nb: injected", "one\r\nb: injected", "one\u2028b: injected"])
def test_a_comment_cannot_hold_more_than_comments(text):
    tree = Mapping((Comment(text), *documents("a: 1\n")[0].items))
    found = sealed.parse(splice(b"# old\na: 1\n", [tree], file="file.yaml").data, file="file.yaml")
    assert [list(each.entries()) for each in found] == [list(documents("a: 1\n")[0].entries())]


@pytest.mark.parametrize("text", ["a\x01b", "caf\udce9"])
@pytest.mark.parametrize("before", ["# old\na: 1\n", "a: 1\n---\nb: 2\n", "", "{a: 1}\n", "a: {}\n"])
def test_a_comment_that_no_file_can_hold_is_refused(before, text):
    tree = Mapping((Comment(text), *documents("a: {b: 1}\n")[0].items, Comment(text)))
    with pytest.raises(EmitError):
        splice(before.encode(), [tree], file="file.yaml")


def test_a_comment_that_no_tree_has_is_taken_out_when_the_file_changes():
    spliced = splice(b"a: !!str # secret\n  x\nb: 1\n", documents("a: x\nb: 2\n"), file="file.yaml")
    assert b"secret" not in spliced.data
    assert documents(spliced.data.decode()) == documents("a: x\nb: 2\n")
