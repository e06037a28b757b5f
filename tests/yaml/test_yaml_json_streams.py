"""JSON objects one behind the other in one file: kubectl applies all of them, so none may be missed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.values.errors import LimitError, YamlError
from agent.yaml.limits import Limits
from agent.yaml.read import json as sops_json
from agent.yaml.read import manifests


def trees(data, **options):
    return [document.tree for document in manifests.parse(data, file="f", **options)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": 1}\n{"a": 2}\n', [(1, 1), (2, 2)]),
        (b'{"a": 1}{"a": 2} {"a": 3}', [(1, 1), (2, 1), (3, 1)]),
        (b'\xef\xbb\xbf\n {\n"a": 1\n}\r\n\r\n{"a": 2}', [(1, 2), (2, 6)]),
        # kubectl passes over nulls behind an object
        (b'{"a": 1}\nnull\n\n{"a": 2}null{"a": 3}\n', [(1, 1), (2, 4), (3, 4)]),
        (b'{"a": 1}\nnull\nnull', [(1, 1)]),
        (b'{"a": 1}null\n---\n{"a": 2}\n', [(1, 1), (2, 3)]),
        # between `---` too, though kubectl reads YAML from there on and passes over the second of them
        (b'{"a": 1}\n---\n{"a": 2}\n{"a": 3}\n', [(1, 1), (2, 3), (3, 4)]),
        (b'a: 1\n---\n{"a": 2}\n{"a": 3}\n', [(1, 1), (2, 3), (3, 4)]),
        # YAML behind JSON
        (b'{"a": 1}\n\na: 2\n', [(1, 1), (2, 3)]),
        (b'{"a": 1}\n# done\n', [(1, 1)]),
        (b'{"a": 1}\n{"a": 2,}\n', [(1, 1), (2, 2)]),
        # what looks like JSON and is none
        (b"{a: 1}\n", [(1, 1)]),
        (b"{a: 1}\n---\n{a: 2}\n", [(1, 1), (2, 3)]),
        (b'{"a": "}{"}', [("}{", 1)]),
    ],
)
def test_every_object_is_read_with_its_line(data, expected):
    found = manifests.parse(data, file="f")
    assert [(document.tree["a"], document.line) for document in found] == expected
    assert [document.index for document in found] == list(range(len(expected)))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.0", 1),
        ("1e3", 1000),
        ("1.5", 1.5),
        ("18446744073709551615", 18446744073709551615),
        ('"a\\/b"', "a/b"),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\ud83d"', "\ufffd"),
        ('"yes"', "yes"),
    ],
)
def test_values_are_those_of_json(written, value):
    assert trees(f'{{"a": {written}}}\n{{"b": {written}}}'.encode()) == [{"a": value}, {"b": value}]


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"{a: 1}{a: 2}\n", 1, 7),
        (b"{a: 1}\n{a: 2}\n", 2, 1),
        (b"a: 1\n...\na: 2\n", 2, 1),
        (b"- 1\n...\n- 2\n", 2, 1),
        (b'# JSON\n{"a": 1}\n{"a": 2}\n', 3, 1),
    ],
)
def test_what_kubectl_passes_over_is_refused(data, line, column):
    with pytest.raises(YamlError) as caught:
        trees(data)
    assert str(caught.value) == f"f:{line}:{column}: there is more text after the end of this document"


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b'{"a": 1},{"a": 2}\n', 1, 9),
        (b'{"a": 1},\n{"a": 2}\n', 1, 9),
        (b'{"a": 1}\n,{"a": 2}\n', 2, 1),
        (b'{"a": 1}\n  {"a": 2} ]\n', 2, 12),
        (b'{"a": 1}}', 1, 9),
        (b'a: 1\n---\n{"a": 2},\n', 3, 9),
    ],
)
def test_a_comma_or_bracket_between_objects_is_called_that(data, line, column):
    with pytest.raises(YamlError) as caught:
        trees(data)
    assert str(caught.value) == f"f:{line}:{column}: a comma or bracket stands behind this JSON object"


@pytest.mark.parametrize("data", [b"a: 1\n...\n", b"a: 1\n...\n# end\n", b"{a: 1} # end\n", b"- 1\n...\n---\n- 2\n"])
def test_the_end_of_a_document_may_be_marked(data):
    assert trees(data)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{"a": 1}\n{"a": 2, "a": 3}\n', 2),
        (b'{"a": {"b": 1, "b": 2}}\n{"a": 2}\n', 1),
        (b'{"a": 1}\n{"b": [}\n', 2),
        (b'{"a": 1}\n{"b": NaN}{"c": 1e999}\n', 2),
        (b'{"a": 1}\n{"b": "\n', 3),
    ],
)
def test_what_cannot_be_read_says_where(data, line):
    with pytest.raises(YamlError) as caught:
        trees(data)
    assert caught.value.facts["line"] == line


@pytest.mark.parametrize("data", [b'{"a": 1}\n{"b\xff": 1}\n', b'{"a": ["x\xc3"]}\n', b'{"a": "\xed\xa0\x80"}\n'])
def test_bytes_that_are_not_utf_8_are_refused(data):
    with pytest.raises(YamlError, match="bytes that are not UTF-8"):
        trees(data)


def test_lenient_reading_lets_the_last_key_stand():
    assert trees(b'{"a": 1, "a": 2}\n{"b": 3}', strict=False) == [{"a": 2}, {"b": 3}]


@pytest.mark.parametrize("limits", [Limits(depth=3), Limits(values=10)])
def test_limits_hold(limits):
    with pytest.raises(LimitError):
        trees(b'{"a": [[[1]]], "b": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}\n{"a": 1}\n', limits=limits)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"a": 1}\n{"b": {"%s": 1}}\n' % ("k" * 21), 2, "a key is longer"),
        ('{"a": [{"%s": 1}]}\n{"b": 1}\n' % ("k" * 21), 1, "a key is longer"),
        ('{"%s": {"%s": [{"%s": 1}]}}\n' % (("k" * 20,) * 3), 1, "the keys that lead to a value"),
    ],
)
def test_keys_have_a_length_as_in_yaml(text, line, message):
    assert trees(text.encode())
    with pytest.raises(LimitError, match=message) as caught:
        trees(text.encode(), limits=Limits(key=20, path=50))
    assert caught.value.facts["line"] == line
    assert trees(
        b'{"%s": {"%s": 1}, "%s": 1}{"a": 1}' % (b"k" * 20, b"k" * 20, b"l" * 20), limits=Limits(key=20, path=50)
    )


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc\u00e9", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text("xyz", min_size=1), _VALUES, max_size=3), min_size=1, max_size=5), st.data())
def test_a_stream_is_its_objects(objects, data):
    gaps = [data.draw(st.sampled_from(["", "\n", " ", "\r\n\t", "\n---\n"])) for _ in objects]
    text = "".join(
        json.dumps(each, ensure_ascii=data.draw(st.booleans())) + gap for each, gap in zip(objects, gaps, strict=True)
    )
    assert trees(text.encode()) == objects


@pytest.mark.parametrize(
    ("data", "line", "column"), [(b'{"a": 1}{"b": 2}', 1, 9), (b'{"a": 1}\n{"b": 2}\n', 2, 1), (b'{"a": 1},', 1, 9)]
)
def test_several_objects_in_a_file_to_encrypt_are_called_that(data, line, column):
    with pytest.raises(YamlError) as caught:
        sops_json.parse(data, file="f")
    assert str(caught.value) == f"f:{line}:{column}: there is more text behind the JSON object"
    assert "--input-type binary" in caught.value.hint
