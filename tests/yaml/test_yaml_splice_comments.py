"""Comments of a YAML text whose tree changes: in place, added, and as items of lists."""

import pytest
from spliced_texts import assert_spliced

CASES = [
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


@pytest.mark.parametrize(("before", "wanted", "after"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_comments_stay_where_they_belong(before, wanted, after):
    assert_spliced(before, wanted, after)
