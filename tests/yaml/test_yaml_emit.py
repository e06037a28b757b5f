"""What is written is read back as it was, by our reader and by sops itself."""

import subprocess

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from agent.cli import exit_codes
from agent.values.errors import EmitError
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence, Timestamp
from agent.yaml.read import json
from agent.yaml.read import yaml as sealed
from agent.yaml.write import json as json_text
from agent.yaml.write import yaml as emit
from testbed import binaries

CHARACTERS = st.one_of(
    st.sampled_from("\n\n \t:#-'\"|>%@`[]{},&*!?\\\r\x85\u2028\ufeffé😀\x07yn0159.ex_~<="), st.characters(codec="utf-8")
)
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=12),
    st.sampled_from(
        [
            "yes",
            "null",
            "~",
            "1_000",
            "0x1F",
            "12:30:45",
            "2001-01-01",
            "<<",
            "---",
            "",
            ".inf",
            "1e3",
            "=",
            "off",
            "x" * 200,
        ]
    ),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), TEXTS, st.sampled_from([0.5, 1.25e30, -1e-9]),
    st.just(Timestamp("2001-12-14T21:59:43.1Z")),
)  # fmt: skip


def mappings(values, keys=TEXTS):
    return st.dictionaries(keys, values, max_size=4).map(
        lambda found: Mapping(tuple(Entry(key, value) for key, value in found.items()))
    )


VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4).map(lambda found: Sequence(tuple(found))) | mappings(below),
    max_leaves=12,
)
DOCUMENTS = mappings(VALUES)


@given(st.lists(DOCUMENTS, min_size=1, max_size=3))
@example([Mapping((Entry("a", "b c "), Entry("b", "c  "), Entry("c", "d:"), Entry("d", "e: f"), Entry("e", "f #g")))])
@example([Mapping((Entry("a", Sequence((" x\ny", Mapping((Entry("b", "\nz"),))))),))])
@example([Mapping((Entry("a", "\tx\ny"), Entry("<<", "z"), Entry("b", "<<")))])
@example([Mapping((Entry("a", "\udcff" * 60), Entry("b", "\udcff")))])
def test_documents_are_read_back_as_they_were(documents):
    assert sealed.parse(emit.emit(documents), file="f") == documents


WORDS = st.text("abc", min_size=1, max_size=3)


def commented(below):
    """Maps with comments where sops keeps them: anywhere but behind the last value of a map or list that ends in another one."""
    entry = st.tuples(st.lists(WORDS, max_size=2), st.none() | WORDS, below)

    def build(drawn):
        items = []
        for number, (heads, inline, value) in enumerate(drawn):
            items += [Comment(f" {text}") for text in heads]
            if inline and not isinstance(value, Mapping):
                items.append(Comment(f" {inline}", inline=True))
            items.append(Entry(f"k{number}", value))
        return Mapping(tuple(items))

    return st.lists(entry, min_size=1, max_size=3).map(build)


@given(st.recursive(commented(st.integers(0, 9) | WORDS), commented, max_leaves=8))
def test_comments_are_read_back_where_they_were(document):
    assert sealed.parse(emit.emit([document]), file="f") == [document]


@given(st.lists(TEXTS, unique=True, min_size=1))
def test_json_is_read_back_as_it_was(texts):
    document = Mapping(tuple(Entry(text, Sequence((text, 0.5, -3, None, True))) for text in texts))
    assert json.parse(json_text.emit(document), file="f") == document


@pytest.mark.parametrize("indent", [2, 4, 6])
def test_the_indent_is_a_choice(indent):
    document = Mapping((Entry("a", Mapping((Entry("b", Sequence((1,))),))),))
    step = " " * indent
    assert emit.emit([document], indent=indent).decode() == f"a:\n{step}b:\n{step * 2}- 1\n"


RECIPIENT = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"
"""A public key from age's own documentation: these tests only encrypt to it."""


def through_sops(path, data):
    """The file as sops writes it with every value in the clear: its layout of the whole tree."""
    path.write_bytes(data)
    command = [binaries.path("sops"), "encrypt", "--age", RECIPIENT, "--encrypted-regex", "^nothing$", str(path)]
    return subprocess.run(command, check=True, capture_output=True, cwd=path.parent, timeout=60).stdout


def sops_writes(text):
    """Whether sops can read what it makes of a text itself: not where a block scalar begins with a blank, nor `<<` over a scalar."""
    return text != "<<" and not ("\n" in text and text[0] in " \n\t\u2028\u2029")


SOPS_TEXTS = TEXTS.filter(sops_writes)
SOPS_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), SOPS_TEXTS, st.sampled_from([0.5, 1.25e30, -1e-9])
)
SOPS_VALUES = st.recursive(
    SOPS_SCALARS,
    lambda below: st.lists(below, max_size=4).map(lambda found: Sequence(tuple(found))) | mappings(below, SOPS_TEXTS),
    max_leaves=12,
)
WITH_SOPS = settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@WITH_SOPS
@given(st.lists(SOPS_VALUES, min_size=8, max_size=20))
def test_sops_reads_ours_and_writes_the_same_bytes(tmp_path, values):
    document = Mapping(tuple(Entry(f"k{number}", value) for number, value in enumerate(values)))
    ours = emit.emit([document])
    theirs = through_sops(tmp_path / "file.yaml", ours)
    assert theirs[: len(ours) + 6].decode() == (ours + b"sops:\n").decode()
    assert sealed.parse(theirs, file="f")[0].items[:-1] == document.items


def test_comments_survive_sops_where_we_see_them(tmp_path):
    written = (
        b"# head\n\n# of a\na: 1 # one\nb: # of b\n  # first\n  - x # x\n  # second\n  - y: |\n      text\n    # in y\n"
        b"c:\n  d:\n    e: 2\n    # in d\n  # in c\n# last\nf: [1, 2]\n"
    )
    theirs = through_sops(tmp_path / "file.yaml", written)
    ours = sealed.parse(written, file="f")
    assert theirs.startswith(emit.emit(ours))
    assert sealed.parse(theirs, file="f")[0].items[:-1] == ours[0].items


@pytest.mark.parametrize(
    "character", ["\0", "\x01", "\v", "\f", "\x1b", "\x7f", "\x80", "\x9f", "\ufffe", "\uffff", "\udce9"]
)
def test_a_comment_that_no_yaml_can_hold_is_refused(character):
    for items in [
        (Comment(f"a{character}b"), Entry("k", "v")),
        (Entry("k", "v"), Comment(f"{character}b", inline=True)),
        (Entry("k", Sequence((Mapping((Entry("l", 1), Comment(character))),))),),
    ]:
        with pytest.raises(EmitError) as caught:
            emit.emit([Mapping(items)])
        assert exit_codes.of(caught.value) == 4
        assert character not in str(caught.value)


@pytest.mark.parametrize("character", ["\t", "\xa0", "\ufeff", "\ufffd", "\U0001f600", "\U0010ffff"])
def test_a_comment_of_rare_characters_is_read_back(character):
    document = Mapping((Comment(f"{character}a{character}b"), Entry("k", "v")))
    assert sealed.parse(emit.emit([document]), file="f")[0].items == document.items


@pytest.mark.parametrize("mark", ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029"])
def test_a_comment_of_several_lines_is_all_comments(mark):
    for text in (f"a{mark}b: injected", f"{mark}- {mark}{mark}b", f"a{mark}"):
        document = Mapping((Comment(text), Entry("k", Mapping((Entry("l", 1), Comment(text)))), Comment(text)))
        found = sealed.parse(emit.emit([document]), file="f")
        assert [[entry.key for entry in each.entries()] for each in found] == [["k"]]


@WITH_SOPS
@given(st.lists(TEXTS, min_size=8, max_size=30), st.lists(st.integers(-(2**63), 2**63 - 1)), st.floats(1e-300, 1e300))
def test_sops_reads_our_json_and_writes_the_same_bytes(tmp_path, texts, integers, real):
    document = Mapping(
        (
            *(Entry(f"k{number}{text}", text) for number, text in enumerate(texts)),
            Entry("i", Sequence(tuple(integers))),
            Entry("f", Sequence((real, -real))),
            Entry("e", Sequence((Mapping(), Sequence(), None, True))),
        )
    )
    ours = json_text.emit(document)
    theirs = through_sops(tmp_path / "file.json", ours)
    assert theirs.startswith(ours.removesuffix(b"\n}\n") + b',\n\t"sops": {')
    assert json.parse(theirs, file="f").items[:-1] == json.parse(ours, file="f").items
