"""A changed tree in the text that it came from: what is read once, what could not stay, and what is refused."""

import pytest
from spliced_texts import documents

from agent.values.errors import EmitError
from agent.yaml.edit.originals import YamlOriginal
from agent.yaml.edit.splice import splice
from agent.yaml.matching import same
from agent.yaml.nodes import Comment, Mapping
from agent.yaml.read import yaml
from agent.yaml.write import yaml as written


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
def test_what_could_not_stay_is_reported(before, wanted, notes):
    spliced = splice(before.encode(), documents(wanted), file="file.yaml")
    assert [(note.message.partition(",")[0], note.line) for note in spliced.notes] == notes
    assert all(map(same, yaml.parse(spliced.data, file="file.yaml"), documents(wanted)))


def test_a_change_of_the_number_of_documents_is_written_as_sops_writes_files():
    wanted = documents("a: 1\n---\nb: {c: [2]}\n")
    assert splice(b"a:   1\n", wanted, file="file.yaml", indent=2).data == written.emit(wanted, indent=2)


def test_a_rewritten_file_says_what_is_wanted_where_the_layout_of_sops_does_not():
    spliced = splice(b"a:   1\n", documents("a: 1.0\n---\nb: [2.0]\n"), file="file.yaml")
    assert spliced.data == b"a: 1.0\n---\nb:\n    - 2.0\n"


@pytest.mark.parametrize("text", ["one\nb: injected", "one\r\nb: injected", "one\u2028b: injected"])
def test_a_comment_cannot_hold_more_than_comments(text):
    tree = Mapping((Comment(text), *documents("a: 1\n")[0].items))
    found = yaml.parse(splice(b"# old\na: 1\n", [tree], file="file.yaml").data, file="file.yaml")
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
