"""Changes in JSON files: their spacing stays, on one line or many."""

import json as standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.values.errors import EmitError
from agent.yaml.edit.splice import splice_json
from agent.yaml.matching import same
from agent.yaml.nodes import Comment, Entry, Mapping
from agent.yaml.read import json

CASES = [
    ("one line", '{"a":"x","b":[1,2]}', '{"a": "y", "b": [1, 3]}', '{"a":"y","b":[1,3]}'),
    ("a new key on one line", '{"a":1}', '{"a": 1, "b": {"c": [true]}}', '{"a":1,"b":{"c":[true]}}'),
    ("spaces", '{ "a" : 1,   "b": 2 }\n', '{"a": 1, "b": "x"}', '{ "a" : 1,   "b": "x" }\n'),
    (
        "a new key on a line of its own",
        '{\n  "a": 1,\n  "b": {\n    "c": [1, 2]\n  }\n}\n',
        '{"a": 1, "n": [], "b": {"c": [1, 2, 3], "d": {"e": [null]}}, "z": "x"}',
        '{\n  "a": 1,\n  "n": [],\n  "b": {\n    "c": [1, 2, 3],\n    "d": {\n      "e": [\n        null\n      ]\n    }\n  },\n  "z": "x"\n}\n',
    ),
    ("tabs", '{\n\t"a": 1\n}', '{"a": 1, "b": {"c": 2}}', '{\n\t"a": 1,\n\t"b": {\n\t\t"c": 2\n\t}\n}'),
    ("keys go", '{"a": 1, "b": 2, "c": 3}', '{"b": 2}', '{"b": 2}'),
    ("everything goes", '{"a": 1}\n', "{}", "{}\n"),
    ("an empty object", "{}\n", '{"a": 1}', '{"a": 1}\n'),
    ("escapes", '{"a": "\\u00e9", "b": "x"}', '{"a": "é", "b": "<é\\u2028\\n\\u0001\\"😀"}', '{"a": "\\u00e9", "b": "<é\\u2028\\n\\u0001\\"😀"}'),
    ("numbers", '{"a": 1e300, "b": 1.50, "c": 0}', '{"a": 1e300, "b": 1.5, "c": 2.0}', '{"a": 1e300, "b": 1.50, "c": 2.0}'),
    ("another type", '{"a": 1, "b": {"c": 1}, "d": [1]}', '{"a": "1", "b": null, "d": {"e": "x"}}', '{"a": "1", "b": null, "d": {"e": "x"}}'),
    ("line breaks of Windows", '{\r\n  "a": 1\r\n}\r\n', '{"a": 1, "b": 2}', '{\r\n  "a": 1,\r\n  "b": 2\r\n}\r\n'),
    ("keys of the same name", '{"a": 1, "a": 2}', '{"a": 1, "a": 3}', '{"a": 1, "a": 3}'),
]  # fmt: skip

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=5)


def tree(text: str) -> Mapping:
    return json.parse(text.encode(), file="wanted.json")


@pytest.mark.parametrize(("before", "wanted", "after"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_only_what_changed_changes(before, wanted, after):
    spliced = splice_json(before.encode(), [tree(wanted)], file="file.json")
    assert spliced.data.decode() == after
    assert spliced.notes == ()
    assert same(json.parse(spliced.data, file="file.json"), tree(wanted))


def test_comments_are_left_out():
    wanted = Mapping((Comment(" none"), Entry("a", 2)))
    assert splice_json(b'{"a":1}', [wanted], file="file.json").data == b'{"a":2}'


def test_what_json_has_no_form_for_is_refused():
    with pytest.raises(EmitError):
        splice_json(b'{"a":1}', [Mapping((Entry("a", float("inf")),))], file="file.json")


@given(OBJECTS, OBJECTS, st.sampled_from([None, 1, 4, "\t"]), st.booleans())
def test_any_object_becomes_any_other(before, after, indent, ascii_only):
    data = standard.dumps(before, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    wanted = tree(standard.dumps(after))
    assert same(json.parse(splice_json(data, [wanted], file="file.json").data, file="file.json"), wanted)
    unchanged = json.parse(data, file="file.json")
    assert splice_json(data, [unchanged], file="file.json").data == data
