"""Documents of a YAML text whose tree changes: marks, line breaks, directives and ends."""

import pytest
from spliced_texts import assert_spliced

CASES = [
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
]


@pytest.mark.parametrize(("before", "wanted", "after"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_documents_keep_their_layout(before, wanted, after):
    assert_spliced(before, wanted, after)
