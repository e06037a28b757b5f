"""`agent set` and `agent unset` do to a file what sops does, and change no line that they need not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.sops.files import places
from agent.values.errors import NoSuchPlaceError, PlaceShapeError
from agent.yaml.nodes import Entry, Mapping, Sequence
from agent.yaml.read import json as sops_json

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

    from agent.yaml.nodes import Value

PLAIN = """\
# about a
a: 1   # why

list:
- one
# in between
- {k: "v"}
map:
    deep:
        er: "x"
text: 'quoted'
nothing: null
"""
SETS = [
    ('["a"]', '"text"'),
    ('["a"]', "2"),
    ('["a"]', "-1e3"),
    ('["a"]', "2.50"),
    ('["a"]', "true"),
    ('["a"]', "null"),
    ('["a"]', '{"x": 1, "y": {"z": [1, 2.5, "three", null]}}'),
    ('["a"]', "{}"),
    ('["a"]', '"multi\\nline\\ttext \\u00e9 \\ud83d\\ude00"'),
    ('["new"]', '"n"'),
    ('["new"]["under"]["it"]', '"n"'),
    ('["new"][0]', '"n"'),
    ('["new"][3]["k"]', '"n"'),
    ('["a"]["b"]', '"n"'),
    ('["nothing"]["b"]', '"n"'),
    ('["map"]["deep"]["er"]', '"y"'),
    ('["map"]["deep"]', '"y"'),
    ('["map"][0]', '"y"'),
    ('["list"][0]', '"y"'),
    ('["list"][1]', '"y"'),
    ('["list"][2]["k"]', '"y"'),
    ('["list"][2]["k2"]', '{"a": "b"}'),
    ('["list"][3]', '"y"'),
    ('["list"][9]["z"]', '"y"'),
    ("['text']", '"y"'),
    ("[\"a']", '"y"'),
    ('["with.dot"]["and space"]', '"y"'),
    ("[0]", '"y"'),
    ("5][", '"y"'),
]


@pytest.fixture
def file(shell: Shell) -> Path:
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=PLAIN.encode())
    assert made.code == 0, made.err
    shell.write("theirs.yaml", made.out)
    return shell.write("s.yaml", made.out)


@pytest.mark.parametrize(("path", "value"), SETS)
def test_what_is_set_is_what_sops_sets(shell: Shell, file: Path, path: str, value: str) -> None:
    theirs = shell.sops("set", "theirs.yaml", path, value)
    ours = shell.agent("set", "s.yaml", path, value)
    assert (ours.code, ours.out) == (theirs.code, b""), ours.err
    assert shell.sops("decrypt", "s.yaml").out == shell.sops("decrypt", "theirs.yaml").out
    assert shell.agent("decrypt", "--sops-format", "s.yaml").out == shell.sops("decrypt", "s.yaml").out


@pytest.mark.parametrize(
    "path",
    [
        '["a"]',
        '["map"]["deep"]',
        '["map"]["deep"]["er"]',
        '["list"]',
        '["list"][0]',
        '["list"][1]',
        '["list"][2]["k"]',
        '["list"][9]',
        '["none"]',
        '["map"]["none"]["er"]',
        '["map"][0]',
        '["a"]["b"]',
        '["list"]["b"]',
        '["list"][-1]',
        "",
        "a",
    ],
)
def test_what_is_unset_is_what_sops_unsets(shell: Shell, file: Path, path: str) -> None:
    for flags in ((), ("--idempotent",)):
        before = file.read_bytes()
        theirs = shell.sops("unset", *flags, "theirs.yaml", path)
        ours = shell.agent("unset", *flags, "s.yaml", path)
        assert (ours.code, ours.out) == (theirs.code, b""), ours.err
        assert shell.sops("decrypt", "s.yaml").out == shell.sops("decrypt", "theirs.yaml").out
        assert ours.code == 0 or file.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "plain"), [("s.json", '{"a": 1, "b": [2]}'), ("s.env", "a=1\n# c\nb=2\n"), ("s.ini", "[b]\na = 1\n")]
)
def test_files_of_other_types(shell: Shell, name: str, plain: str) -> None:
    shell.write(name, plain)
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, name).code == 0
    shell.write(f"theirs-{name}", (shell.folder / name).read_bytes())
    for arguments in (
        ["set", "FILE", '["b"]["a"]' if name == "s.ini" else '["a"]', '"x y"'],
        ["unset", "FILE", '["b"]'],
    ):
        assert shell.agent(*(name if each == "FILE" else each for each in arguments)).code == 0
        assert shell.sops(*(f"theirs-{name}" if each == "FILE" else each for each in arguments)).code == 0
        assert shell.sops("decrypt", name).out == shell.sops("decrypt", f"theirs-{name}").out


def changed_lines(before: str, after: str) -> set[str]:
    old = before.splitlines()
    return {line.strip().split(":")[0] for line in after.splitlines() if line not in old}


def test_only_touched_lines_change(shell: Shell, file: Path) -> None:
    before = file.read_text()
    assert shell.agent("set", "s.yaml", '["map"]["deep"]["er"]', '"y"').code == 0
    after = file.read_text()
    assert changed_lines(before, after) - {"lastmodified"} == {"er", "mac"}
    assert len(after.splitlines()) == len(before.splitlines())
    assert shell.agent("unset", "s.yaml", '["text"]').code == 0
    assert changed_lines(after, file.read_text()) <= {"lastmodified", "mac"}
    kept = PLAIN.replace('"x"', '"y"').replace("text: 'quoted'\n", "")
    assert shell.agent("decrypt", "s.yaml").out.decode() == kept


def test_the_value_from_a_file_or_standard_input(shell: Shell, file: Path) -> None:
    assert shell.agent("set", "--value-stdin", "s.yaml", '["a"]', stdin=b'"from stdin"\n').code == 0
    assert shell.agent("decrypt", "--extract", '["a"]', "s.yaml").out == b"from stdin"
    shell.write("value.json", ' {"in": "a file"} ')
    assert shell.agent("set", "--value-file", "s.yaml", '["a"]', "value.json").code == 0
    assert shell.agent("decrypt", "--extract", '["a"]["in"]', "s.yaml").out == b"a file"
    assert "--value-stdin" in shell.agent("set", "--help").out.decode().split("is visible to every user")[1]


def test_an_idempotent_set_writes_nothing_where_nothing_changes(shell: Shell, file: Path) -> None:
    shell.agent("set", "s.yaml", '["a"]', "7")
    before = file.read_bytes()
    assert shell.agent("set", "--idempotent", "s.yaml", '["a"]', "7").code == 0
    assert file.read_bytes() == before
    assert shell.agent("set", "s.yaml", '["a"]', "8", "--idempotent").code == 0
    assert file.read_bytes() != before


def test_an_error_tells_no_value(shell: Shell, file: Path) -> None:
    before = file.read_bytes()
    for value in ("canary", '{"canary": canary}', '["canary"]', '"canary", "x": 1', '"canary"} {"a": 1'):
        result = shell.agent("set", "s.yaml", '["a"]', value)
        assert result.code == 7
        assert "canary" not in result.err
    assert file.read_bytes() == before


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('ab"\\é\n', max_size=4),
    lambda inner: st.dictionaries(st.text("abc", max_size=2), inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(st.sampled_from(["a", "b", "", 0, 1, 2]), min_size=1, max_size=4).map(tuple)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3), PATHS, VALUES)
def test_what_is_put_is_found_and_can_be_taken_out(
    data: dict[str, object], path: tuple[str | int, ...], value: object
) -> None:
    document = sops_json.parse(json.dumps(data).encode(), file="x")
    new = _tree(value)
    try:
        changed = places.put(document, path, new)
        found = places.find(changed, path)
    except (PlaceShapeError, NoSuchPlaceError):
        # A number where there is a map, a name where there is a list, or a number beyond the end.
        return
    assert places.same(found, new)
    assert (changed is document) == places.same(changed, document)
    assert places.put(changed, path, new) is changed
    without = places.take(changed, path)
    assert _leaves(without) <= _leaves(changed)
    if isinstance(path[-1], str):
        with pytest.raises(NoSuchPlaceError):
            places.take(without, path)


def _tree(value: object) -> Value:
    [entry] = sops_json.parse(json.dumps({"x": value}).encode(), file="x").items
    assert isinstance(entry, Entry)
    return entry.value


def _leaves(node: object) -> int:
    if isinstance(node, Mapping):
        return 1 + sum(_leaves(each.value) for each in node.entries())
    return 1 + sum(map(_leaves, node.values())) if isinstance(node, Sequence) else 1


@pytest.mark.parametrize("name", ["s.env", "s.ini"])
def test_a_null_is_refused_where_it_has_no_form(shell: Shell, name: str) -> None:
    """sops writes it, and cannot decrypt what it wrote."""
    shell.write(name, "[x]\na = b\n" if name == "s.ini" else "a=b\n")
    assert shell.agent("encrypt", "--age", shell.recipient, "-i", name).code == 0
    before = (shell.folder / name).read_bytes()
    done = shell.agent("set", name, '["x"]["a"]' if name == "s.ini" else '["a"]', "null")
    assert (done.code, (shell.folder / name).read_bytes()) == (4, before)
    assert "a null cannot be written to this type of file" in done.err


@pytest.mark.parametrize("name", ["s.env", "s.ini"])
def test_a_number_that_was_set_is_shown_as_programs_get_it(shell: Shell, name: str) -> None:
    place = '["x"]["a"]' if name == "s.ini" else '["a"]'
    shell.write(name, "[x]\na = b\n" if name == "s.ini" else "a=b\n")
    assert shell.agent("encrypt", "--age", shell.recipient, "-i", name).code == 0
    assert shell.agent("set", name, place, "5").code == 0
    assert shell.agent("decrypt", name).out == shell.sops("decrypt", name).out


@pytest.mark.parametrize("value", ["12345678901234567890123", "18446744073709551616"])
def test_a_number_that_sops_would_round_is_refused_and_nothing_written(shell: Shell, file: Path, value: str) -> None:
    before = file.read_bytes()
    ours = shell.agent("set", "s.yaml", '["a"]', value)
    assert (ours.code, ours.out) == (7, b"")
    assert "more digits than SOPS keeps" in ours.err
    assert file.read_bytes() == before
