"""What is read and written line by line, against libyaml and against splicing by spans: the same, or not done."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.yaml.edit import attempts as splicing
from agent.yaml.edit import values as leaves
from agent.yaml.edit.originals import YamlOriginal, says
from agent.yaml.edit.splice import splice
from agent.yaml.limits import Limits
from agent.yaml.matching import same_documents
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence, Timestamp
from agent.yaml.read import builder, lines
from agent.yaml.read import yaml as sealed
from tests.yaml.messy_yaml import Messy
from tests.yaml.plain_yaml import SEALED, Plain

ENTRY = b"""\
sops:
    age:
        - enc: |
            -----BEGIN
            -----END
          recipient: age1x
    lastmodified: "2026-01-01T00:00:00Z"
    mac: ENC[AES256_GCM,data:ab,iv:c,tag:d,type:str]
    version: 3.9.1
"""
METADATA = Entry(
    "sops",
    Mapping(
        (
            Entry("age", Sequence((Mapping((Entry("enc", "x\ny\n"), Entry("recipient", "age1y"))),))),
            Entry("lastmodified", "2026-02-02T00:00:00Z"),
            Entry("mac", SEALED),
            Entry("version", "3.13.3"),
        )
    ),
)
NEW = (
    "x", SEALED, "7ab", "12", "1e3", "yes", "true", "null", "~", "", "a\nb\n", "a\nb", "k\n\n", "\n", "a: b", "- x", "#c", "a#b", "é",
    "it's", 'q"', "0x1f", "1:20", "<<", "-", ".5", "a ", "\udcff", "2020-01-01", "a\tb", "\u2028", 12, 1.5, 2.0, -0.0, True, None,
    Timestamp("2020-01-01T00:00:00Z"),
)  # fmt: skip
COMMENTS = (" new", "", "é", " t ", SEALED, "a\nb")


def everything(node):
    """A tree with what `==` leaves out: lines, places, and the types of numbers."""
    if isinstance(node, Mapping | Sequence):
        return type(node), [everything(item) for item in node.items]
    if isinstance(node, Entry):
        return repr(node.key), everything(node.value), node.line
    if isinstance(node, Comment):
        return node.text, node.inline, node.at
    return repr(node)


def trees(documents):
    return [everything(each) for each in documents]


@given(st.integers(0, 2**64), st.sampled_from([0.0, 0.02, 0.2, 1.0]))
@settings(max_examples=1500, deadline=None)
def test_a_file_is_read_as_libyaml_reads_it_or_not_at_all(seed, odd):
    random = Random(seed)
    data = Plain(random, odd).file() if random.random() < 0.8 else Messy(random).file()
    read = lines.read(data, limits=Limits())
    if read is not None:
        assert [everything(read.document)] == trees(builder.build(data, file="f.yaml", limits=Limits()))


def test_tidy_files_are_read_line_by_line():
    files = [Plain(Random(seed), 0.0).file() for seed in range(300)]
    assert sum(lines.read(data, limits=Limits()) is not None for data in files) > 120


@given(st.binary(max_size=40) | st.text("ab:- #\n'\"|{}", max_size=30).map(str.encode))
@settings(max_examples=1000, deadline=None)
def test_any_bytes_are_read_as_libyaml_reads_them_or_not_at_all(data):
    read = lines.read(data, limits=Limits())
    if read is not None:
        assert [everything(read.document)] == trees(builder.build(data, file="f.yaml", limits=Limits()))


@pytest.mark.parametrize(
    ("line", "value"),
    [("a: b%   ", None), ("a:\n  b: c=d#e  ", None), ("- b% ", None), ("a: b% # c", "b%"), ("a: b% c", "b% c"), ("a: b%: c", None), ("a: b%:", None)],
)  # fmt: skip
def test_a_word_ends_before_the_blanks_behind_it_on_every_python(line, value):
    """Before 3.11.5, what a possessive group had tried last stayed part of the match, blanks and all."""
    read = lines.read(f"{line}\n".encode(), limits=Limits())
    assert (None if read is None else read.document.get("a")) == value


@pytest.mark.parametrize(
    ("depth", "taken"), [(3, True), (4, True), (5, False)], ids=["less deep", "as deep as may be", "deeper"]
)
def test_a_file_deeper_than_its_limit_is_left_to_libyaml(depth, taken):
    data = "".join(f"{'  ' * level}k:\n" for level in range(depth - 1)) + "  " * (depth - 1) + "k: v\n"
    assert (lines.read(data.encode(), limits=Limits(depth=4)) is not None) is taken


def changed(node, random: Random, share: float, new):
    if isinstance(node, Mapping | Sequence):
        return type(node)(tuple(changed(item, random, share, new) for item in node.items))
    if isinstance(node, Entry):
        return Entry(node.key, changed(node.value, random, share, new))
    if random.random() > share:
        return node
    if isinstance(node, Comment):
        return Comment(random.choice(COMMENTS), node.inline) if random.random() < 0.5 else node
    return node if node is None and random.random() < 0.5 else random.choice(new)


def bare(document):
    return Mapping(tuple(item for item in document.items if not (isinstance(item, Entry) and item.key == "sops")))


KINDS = ("set", "encrypt", "decrypt", "edit", "rotate")


def change_of(random: Random, kind: str):
    """A file that is read line by line, what it is to say, and the key of an entry to rewrite."""
    read = None
    while read is None:
        data = Plain(random, random.choice([0.0, 0.1])).file()
        if kind in {"decrypt", "edit", "rotate"}:
            data = data.rstrip(b"\n") + random.choice([b"\n", b"\n", b"\n\n"]) + ENTRY
        read = lines.read(data, limits=Limits())
    original = YamlOriginal(data, file="f.yaml")
    # What is rotated is sealed, and that has no layout of its own.
    new = [SEALED] if kind == "rotate" else NEW
    tree = changed(bare(original.documents[0]), random, random.choice([0.1, 0.5, 1]), new)
    entry = random.choice([METADATA, original.documents[0].items[-1]]) if kind == "edit" else METADATA
    wanted = Mapping((*tree.items, entry)) if kind in {"encrypt", "edit", "rotate"} else tree
    return original, wanted, "sops" if kind == "rotate" else ""


@given(st.integers(0, 2**64), st.sampled_from(KINDS))
@settings(max_examples=1000, deadline=None)
def test_new_values_are_written_as_splicing_by_spans_writes_them_or_not_at_all(seed, kind):
    original, wanted, rewrite = change_of(Random(seed), kind)
    found = leaves.substitute(original.read, wanted, indent=4, rewrite=rewrite)
    if found is None:
        return
    text, sure = found
    data = original.text.encode(text, complete=True)
    said = says(original, data, [wanted])
    assert said or not sure
    if not said or same_documents(original.documents, [wanted]):
        return
    if rewrite:
        original = YamlOriginal(splicing.splice(original, [bare(original.documents[0])], indent=4).data, file="f.yaml")
    assert splicing.splice(original, [wanted], indent=4).data == data


@pytest.mark.parametrize("kind", KINDS)
def test_most_new_values_are_written_so(kind):
    changes = [change_of(Random(seed), kind) for seed in range(100)]
    found = [
        leaves.substitute(original.read, wanted, indent=4, rewrite=rewrite) for original, wanted, rewrite in changes
    ]
    assert sum(each is not None for each in found) >= 30


@pytest.mark.parametrize("gone", [0, 2])
def test_a_comment_that_goes_takes_nothing_else_along(gone):
    data = b"#a\nx: y\n#b\n"
    document = YamlOriginal(data, file="f.yaml").documents[0]
    wanted = Mapping((*document.items[:gone], *document.items[gone + 1 :]))
    assert same_documents(sealed.parse(splice(data, [wanted], file="f.yaml").data, file="f.yaml"), [wanted])


@pytest.mark.parametrize(
    "text",
    [
        "password: x\n",
        "password: |\n  a\n  b\n",
        "---\npassword: 'x y'\n",
        "user: x\npassword:\n",
        "password:\n",
        "a: x\nb:\n  c: y\n  d:\ne:\nf: {}\n",
        "a: x # note\n",
        "a:\n  - x\n  - y # note\nb: []\n",
        "a: |\n  x\nb:\nc:\nd:\n",
    ],
)
def test_a_small_file_gets_its_metadata_without_libyaml(text):
    original = YamlOriginal(text.encode(), file="f.yaml")
    document = Mapping((*original.documents[0].items, METADATA))
    found = leaves.substitute(original.read, document, indent=4)
    assert found is not None
    assert splicing.splice(original, [document], indent=4).data == found[0].encode()
