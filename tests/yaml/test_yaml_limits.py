"""Malformed and hostile files end in our own errors, soon, with the file, the line and no word of what the file holds."""

import random
import resource
from pathlib import Path

import cost
import pytest

from agent.manifests import fields
from agent.values.errors import AgentError, LimitError, YamlError
from agent.yaml.limits import Limits, check_keys
from agent.yaml.read import json, manifests
from agent.yaml.read import yaml as sealed
from tests.yaml import vectors

READERS = [manifests.parse, sealed.parse, json.parse]
YAML_READERS = [manifests.parse, sealed.parse]


def bomb():
    lines = [b"a: &a [x,x,x,x,x,x,x,x,x]"]
    for name, below in zip("bcdefghijklmnop", "abcdefghijklmno", strict=True):
        lines.append(f"{name}: &{name} [{','.join([f'*{below}'] * 9)}]".encode())
    return b"\n".join(lines)


HOSTILE = {
    "flow lists": b"[" * 100_000,
    "flow maps": b"{a: " * 50_000,
    "block lists": b"- " * 100_000,
    "block maps": b"".join(b" " * depth + b"a:\n" for depth in range(2_000)),
    "complex keys": b"? " * 50_000,
    "alias bomb": bomb(),
    "aliases of many nodes": b"a: &a [" + b"x," * 9_000 + b"]\nb: [" + b"*a," * 12 + b"]\n",
    "an anchor in itself": b"a: &a\n  b: [*a]\n",
    "an alias to nothing": b"a: *nowhere\n",
    "aliases nested beyond the depth": b"".join(
        b"a%d: &a%d [[[[[[[[[[*a%d]]]]]]]]]]\n" % (n, n, n - 1) if n else b"a0: &a0 [x]\n" for n in range(30)
    ),
    "65 mebibytes": b"a: " + b"x" * (65 * 1024 * 1024),
    "not text": bytes(range(256)),
    "utf-16 without a mark": "a: 1\n".encode("utf-16-le"),
    "half a character": b"a: \xf0\x9f\n",
    "control characters": b"a: \x01\n",
    "an open quote": b'a: "x\n',
    "a tab for indentation": b"a:\n\tb: 1\n",
    "a newer version": b"%YAML 1.2\n---\na: 1\n",
    "a tag that does not fit": b"a: !!int x\n",
    "a broken binary": b"a: !!binary x\n",
    "a list as a key": b"[a]: b\n",
    "a merge of nothing": b"<<: 5\n",
    "a merge of a list of lists": b"<<: [[a]]\n",
    "a merge of an alias to a list": b"a: &a [{b: 1}]\nc:\n  <<: [*a]\n",
}


@pytest.mark.parametrize("reader", YAML_READERS, ids=["manifests", "sealed"])
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused(reader, data):
    with cost.at_most(seconds=5):
        with pytest.raises((YamlError, LimitError)) as caught:
            reader(data, file="apps/bad.yaml")
        assert caught.value.facts["file"] == "apps/bad.yaml"


@pytest.mark.parametrize(
    "data",
    [
        b"# comment\n" * 100_000 + b"a: 1\n",
        b"a: [\n" + b"# c\n" * 100_000 + b"]\n",
        b"".join(b"- x # a\n" for _ in range(50_000)).join([b"a:\n", b""]),
        b"a: 1 # x\r" + b"# y\r" * 100_000,
    ],
    ids=["lines before", "inside brackets", "behind values", "carriage returns"],
)
def test_many_comments_take_time_in_proportion(data):
    with cost.at_most(seconds=10):
        assert len(sealed.parse(data, file="f")) == 1


FEW = Limits(values=10_000)
MANY = {
    "lines of comments": b"#\n" * 11_000 + b"a: 1\n",
    "carriage returns": b"\r" * 11_000 + b"a: 1\n",
    "items of a flow list": b"a: [" + b"1," * 11_000 + b"1]\n",
    "lists in a flow list": b"a: [" + b"[]," * 11_000 + b"[]]\n",
    "aliases in small documents": b"".join(
        b"---\na: &a [%b]\nb: &b [%b]\nc: [%b]\n" % (b"1," * 10, b"*a," * 10, b"*b," * 9) for _ in range(12)
    ),
}


@pytest.mark.parametrize("data", MANY.values(), ids=MANY)
def test_more_values_or_lines_than_the_limit_are_refused(data):
    assert sealed.parse(data, file="f")
    with pytest.raises(LimitError, match="than the limit"):
        sealed.parse(data, file="f", limits=FEW)


@pytest.mark.parametrize("data", [b'{"a": [' + b"1," * 11_000 + b"1]}", b'{"a": 1' + b"\n" * 11_000 + b"}"])
def test_more_values_or_lines_than_the_limit_are_refused_in_json(data):
    assert json.parse(data, file="f")
    with pytest.raises(LimitError, match="than the limit"):
        json.parse(data, file="f", limits=FEW)


def test_commas_in_text_are_no_values():
    text = json.parse(b'{"a": "' + rb",\"" * 11_000 + b'"}', file="f", limits=FEW).get("a")
    assert text == ',"' * 11_000


@pytest.mark.parametrize("data", [b'{"a": "' + rb"\"" * 200_000, b'{"a": "' + b"x" * 20_000_000 + b"\\"])
def test_text_of_json_that_is_not_closed_is_read_once(data):
    """Read once for each quote in it, the first takes a quarter of an hour."""
    with pytest.raises(YamlError, match="this is not JSON"):
        json.parse(data, file="f")


@pytest.mark.parametrize("data", [b'{"a": ' * 5_000, b"[" * 100_000, b'{"a": [' + b"[" * 200 + b"]" * 200 + b"]}"])
def test_deep_json_is_refused(data):
    with pytest.raises((YamlError, LimitError)):
        json.parse(data, file="f")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb: 2\na: 3\n", "f:3:1: this key appears twice in its map"),
        (b"a:\n  b: x: y\n", "f:2:7: a `key: value` is not allowed here"),
        (b"kind: A\n---\nkind: B\n---\nb: [1\n", "f:6:1: expected `,` or `]` here"),
        (b"kind: A\n---\nb: *x\n", "f:3:4: this alias names no finished anchor before it"),
        (b"kind: A\n--- b: 1\n", "f:2: a document cannot begin on its `---` line"),
        (b"a: .inf\n", "f:1:4: infinity and NaN cannot be written in JSON; quote the value"),
        (rb'a: "x\/y"', r"f:1:4: the escape `\/` is not understood; write `/`"),
        (b"~: 1\n", "f:1:1: this key cannot be written as text; quote it"),
    ],
)
def test_an_error_says_where_and_what(data, message):
    with pytest.raises(AgentError) as caught:
        manifests.parse(data, file="f")
    assert str(caught.value) == message


BROKEN = [
    "{0}: [{0}",
    "a: '{0}",
    "a: *{0}",
    "a: !{0}!x y",
    "%{0} x\n---\n",
    "a: !!int {0}",
    "{0}: 1\n{0}: 2",
    "a: {0}: b",
    "--- {0}",
    'a: "\\{0}"',
    "&{0} &{0} a",
    '{{"{0}": {0}}}',
]


def error_of(reader, data):
    try:
        reader(data, file="f")
    except (YamlError, LimitError) as error:
        return error
    return None


@pytest.mark.parametrize("reader", READERS, ids=["manifests", "sealed", "json"])
def test_no_error_quotes_the_file(reader):
    canary = "c4n4ry"
    errors = [error_of(reader, shape.format(canary).encode()) for shape in BROKEN]
    assert sum(error is not None for error in errors) >= len(BROKEN) - 2
    for error in filter(None, errors):
        assert canary not in f"{error} {error.hint} {error.facts} {error.__cause__}"
        assert error.__suppress_context__ or error.__context__ is None


def damaged(count):
    seeded = random.Random(20_26)
    seeds = [row["yaml"][:2_000] for name in ("kubernetes.jsonl", "sops-comments.jsonl") for row in vectors.read(name)]
    pieces = [
        b"- ",
        b": ",
        b"? ",
        b"&a ",
        b"*a",
        b"<<: ",
        b"# c",
        b"\n",
        b"  ",
        b"|",
        b">",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"'",
    ]
    pieces += [
        b'"',
        b"!!int ",
        b"!x ",
        b"%YAML 1.1\n",
        b"---\n",
        b"...\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\t",
        b"\r",
        b"\xc2\x85",
    ]
    for _ in range(count):
        data = bytearray(seeded.choice([*seeds, b"", seeded.randbytes(30)]))
        for _ in range(seeded.randint(1, 5)):
            at = seeded.randrange(len(data) + 1)
            data[at : at + seeded.randint(0, 2)] = seeded.choice(pieces)
        yield bytes(data)


@pytest.mark.parametrize("reader", READERS, ids=["manifests", "sealed", "json"])
def test_damaged_files_never_end_in_anything_but_our_errors(reader):
    errors = [error for data in damaged(3_000) if (error := error_of(reader, data))]
    assert len(errors) > 100
    assert all(error.facts["file"] == "f" for error in errors)


SERVED = Limits.served(size=5 << 20, depth=150)
KEY = "k" * 513
NESTED = "".join(f"{' ' * level}{'k' * 500}:\n" for level in range(9)) + " " * 9 + "last: 1\n"
LONG_KEYS = {
    "a key": (f"a: 1\nb:\n  {KEY}: 1\n", 3, "a key is longer"),
    "a key in a list": (f"a:\n- {KEY}: 1\n", 2, "a key is longer"),
    "a key in braces": (f'a: {{"{KEY}": 1}}\n', 1, "a key is longer"),
    "a number for a key": (f"a:\n  {'1' * 513}: 1\n", 2, "a key is longer"),
    "keys that lead to a value": (NESTED, 9, "the keys that lead to a value"),
    "keys of an alias": (
        "a: &a\n" + "".join(f"{' ' * (level + 1)}{'k' * 500}:\n" for level in range(5)) + " " * 6 + "last: 1\n"
        "b:\n" + "".join(f"{' ' * (level + 1)}{'k' * 500}:\n" for level in range(4)) + " " * 5 + "last: *a\n",
        None,
        "the keys that lead to a value",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), LONG_KEYS.values(), ids=LONG_KEYS)
def test_keys_have_a_length_where_tenants_write_them(text, line, message):
    assert manifests.parse(text.encode(), file="f")
    with pytest.raises(LimitError, match=message) as caught:
        manifests.parse(text.encode(), file="f", limits=SERVED)
    assert line is None or caught.value.facts["line"] == line
    [document] = sealed.parse(text.encode(), file="f", limits=SERVED)
    with pytest.raises(LimitError, match=message):
        check_keys(document, file="f", limits=SERVED)


def test_keys_side_by_side_have_no_length_together():
    text = "".join(f"{'k' * 500}{number}:\n  a: 1\n" for number in range(100)).encode()
    assert manifests.parse(text, file="f", limits=SERVED)
    [document] = sealed.parse(text, file="f", limits=SERVED)
    check_keys(document, file="f", limits=SERVED)


@pytest.mark.parametrize("parse", [manifests.parse, sealed.parse])
def test_what_aliases_stand_for_is_part_of_a_file_s_size(parse):
    text = b"a: &a " + b"x" * 100_000 + b"\nb: [%s]\n" % b",".join([b"*a"] * 90)
    assert parse(text, file="f")
    with pytest.raises(LimitError, match="aliases make the file larger"):
        parse(text, file="f", limits=Limits(size=1 << 20))


def test_no_long_text_is_remembered():
    """By the thousand, the scalars of all tenants of a month."""
    managed = {"manager": "signet", "operation": "Apply"}
    before = resident()
    for number in range(100):
        text = str(number) + "x" * 1_000_000
        assert manifests.parse(f"a: {text}\n".encode(), file="f")
        owned = {"f:spec": {"f:set": {f'v:"{text}"': {}}}}
        live = {"spec": {"set": [text]}, "metadata": {"managedFields": [managed | {"fieldsV1": owned}]}}
        assert fields.owned_values(live, "signet")
    assert resident() - before < 40 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
