"""Plain scalars in flow style that end in a colon, such as IPv6 networks: text to kubectl and sops, and an error to libyaml.

The answers are those of sigs.k8s.io/yaml 1.6.0; go.yaml.in/yaml/v3 3.0.4 gives the same.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.values.errors import YamlError
from agent.yaml.edit.originals import YamlOriginal
from agent.yaml.limits import Limits
from agent.yaml.nodes import Entry, Mapping, Sequence
from agent.yaml.read import manifests
from agent.yaml.read import yaml as sealed

TAKEN = [
    ("[10.0.0.1, fd00::]", ["10.0.0.1", "fd00::"]),
    ("{net: fd00::}", {"net": "fd00::"}),
    ("[a:]", ["a:"]),
    ("{b:}", {"b:": None}),
    ("{a:,b}", {"a:": None, "b": None}),
    ("{a: b:, c: d}", {"a": "b:", "c": "d"}),
    ("[a::, b]", ["a::", "b"]),
    ("[a :]", ["a :"]),
    ("[a b:, c d :]", ["a b:", "c d :"]),
    ('{a":}', {'a":': None}),
    ("[a\":, b':]", ['a":', "b':"]),
    ('[ "x" : [1] , z:]', [{"x": [1]}, "z:"]),
    ('{"k":[1], "l":{"m":2}, p: o:}', {"k": [1], "l": {"m": 2}, "p": "o:"}),
    ('["a":, b:]', [{"a": None}, "b:"]),
    ("{x: \"a:]\", v: 'b:}', z: c:}", {"x": "a:]", "v": "b:}", "z": "c:"}),
    ('{x: "a:\n  ]", z: c:}', {"x": "a: ]", "z": "c:"}),
    ("x: |\n  a:]\nv: [b:]\n", {"x": "a:]\n", "v": ["b:"]}),
    ("# a:]\nx: [b:] # c:]\n", {"x": ["b:"]}),
    ("a:]b: c\nd: [e:]", {"a:]b": "c", "d": ["e:"]}),
    ("😀: [é:, \ue000:]", {"😀": ["é:", "\ue000:"]}),
    ("&a a: [&b b:, *b ]", {"a": ["b:", "b:"]}),
]


@pytest.mark.parametrize(("text", "expected"), TAKEN)
def test_a_colon_before_a_comma_or_bracket_is_text(text, expected):
    assert manifests.parse(text.encode(), file="f")[0].tree == expected
    assert plain(sealed.parse(f"v: {text}\n".encode(), file="f")[0].get("v") if text[0] in "[{" else
                 sealed.parse(text.encode(), file="f")[0]) == expected  # fmt: skip


def plain(value):
    if isinstance(value, Mapping):
        return {entry.key: plain(entry.value) for entry in value.entries()}
    return [plain(item) for item in value.values()] if isinstance(value, Sequence) else value


@pytest.mark.parametrize(
    "text",
    [
        "{a:[1]}",
        "[::]",
        "[a:, :b]",
        "[a, :]",
        "{a: :}",
        "[a:{b}]",
        "[::1, fd00::]",
        "{k: ::1}",
        "[a:?]",
        "[a:",
        "[a?b]",
        "[a?]",
        "[http://h/?q=1]",
        "{a: b?}",
        "{a?: b}",
        "{a: [b, {c: d ? e}]}",
        "[a, [b], c?d]",
        "[a ?b]",
    ],
)
def test_what_is_none_to_go_is_refused(text):
    with pytest.raises(YamlError):
        manifests.parse(text.encode(), file="f")
    with pytest.raises(YamlError):
        sealed.parse(f"v: {text}\n".encode(), file="f")


QUESTIONS = [
    ("[?a, b]", [{"a": None}, "b"]),
    ("{? a : b}", {"a": "b"}),
    ("['a?b', \"c?\"]", ["a?b", "c?"]),
    ("{a: [b]}\n---\nc: d?e\n", {"a": ["b"]}),
    ("k: &x\n  l: [m]\ne: [*x ]\no: p?q\n", {"k": {"l": ["m"]}, "e": [{"l": ["m"]}], "o": "p?q"}),
]


@pytest.mark.parametrize(("text", "expected"), QUESTIONS)
def test_a_question_mark_elsewhere_is_read(text, expected):
    assert manifests.parse(text.encode(), file="f")[0].tree == expected


def test_places_are_those_of_the_file():
    original = YamlOriginal("é: [fd00::, b]\nc: d\n".encode(), file="f")
    text = original.text.text
    assert [text[node.content : node.end] for node in original.scalars] == ["é", "fd00::", "b", "c", "d"]
    assert original.documents == [Mapping((Entry("é", Sequence(("fd00::", "b"))), Entry("c", "d")))]
    with pytest.raises(YamlError, match="f:2:4: "):
        manifests.parse(b"a: [fd00::]\nb: ]\n", file="f")


def test_many_and_odd_ones_end():
    many = "[" + "a:, " * 50_000 + "b]"
    assert manifests.parse(many.encode(), file="f")[0].tree == ["a:"] * 50_000 + ["b"]
    odd = "[" + "a :, " * 50_000 + "b]"
    with pytest.raises(YamlError):
        manifests.parse(odd.encode(), file="f", limits=Limits())


_WORDS = st.lists(st.sampled_from(["a", "b:", "c::", "'d:'", '"e:]"', "f g:", "1:", "é:"]), min_size=1, max_size=6)


@given(_WORDS, st.sampled_from([", ", ",", ",\n  "]))
def test_a_list_is_its_items(words, comma):
    found = manifests.parse(f"x: [{comma.join(words)}]\n".encode(), file="f")[0].tree["x"]
    assert found == [word.strip("'\"") for word in words]
