"""Three trees become one: laws of the merge, and what is a conflict."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gitmerge import attributes as path_globs
from agent.gitmerge import markers
from agent.gitmerge.items import form
from agent.gitmerge.merge import merge
from agent.sops.files import conflicts
from agent.sops.format.selection import matcher
from agent.yaml.matching import same
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.read import yaml as sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.yaml.nodes import Value

KEYS = ("a", "b", "c", "d")
scalars = st.sampled_from([1, 1.0, True, "1", "x", "y", "", None, float("nan"), -0.0, 0])
comments = st.builds(Comment, st.sampled_from([" one", " two", ""]))


def lists(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.lists(values | comments, max_size=4).map(lambda items: Sequence(tuple(items)))


def maps(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Mapping]:
    entries = st.lists(st.builds(Entry, st.sampled_from(KEYS), values), max_size=4, unique_by=lambda entry: entry.key)
    leads = st.lists(st.lists(comments, max_size=1), min_size=5, max_size=5)

    def join(found: list[Entry], lead: list[list[Comment]]) -> Mapping:
        items: list[Entry | Comment] = []
        for number, entry in enumerate(found):
            items += [*lead[number], entry]
        return Mapping((*items, *lead[len(found)]))

    return st.builds(join, entries, leads)


values = st.recursive(scalars, lambda inner: lists(inner) | maps(inner), max_leaves=6)
documents = st.lists(maps(values), min_size=1, max_size=2)


def equal(one: tuple[Mapping, ...], other: list[Mapping]) -> bool:
    return len(one) == len(other) and all(map(same, one, other))


@given(documents, documents)
def test_what_one_side_changed_is_taken_as_it_is(base: list[Mapping], side: list[Mapping]) -> None:
    for ours, theirs in ((base, side), (side, base), (side, side)):
        merged = merge(base, ours, theirs)
        assert not merged.conflicts
        assert equal(merged.documents, side)


def leaves(value: Value, path: tuple[object, ...] = ()) -> Iterator[object]:
    """Values by the keys that lead to them; the order of keys does not count."""
    if isinstance(value, Mapping):
        for entry in value.entries():
            yield from leaves(entry.value, (*path, entry.key))
    elif isinstance(value, Sequence):
        for item in value.values():
            yield from leaves(item, (*path, 0))
    else:
        yield (*path, form(value))


def all_leaves(found: tuple[Mapping, ...] | list[Mapping]) -> set[object]:
    return {leaf for document in found for leaf in leaves(document)}


@given(documents, documents, documents)
def test_sides_are_equal_in_rights(base: list[Mapping], ours: list[Mapping], theirs: list[Mapping]) -> None:
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert len(one.conflicts) == len(other.conflicts)
    assert all_leaves(one.documents) == all_leaves(other.theirs)
    assert all_leaves(one.theirs) == all_leaves(other.documents)


@given(documents, documents, documents)
def test_no_value_is_lost_and_none_made_up(base: list[Mapping], ours: list[Mapping], theirs: list[Mapping]) -> None:
    merged = merge(base, ours, theirs)
    kept = all_leaves(merged.documents) | all_leaves(merged.theirs)
    assert kept <= all_leaves(ours) | all_leaves(theirs)
    assert (all_leaves(ours) | all_leaves(theirs)) - all_leaves(base) <= kept


@given(maps(values), maps(values), maps(values))
def test_edits_of_different_places_never_conflict(one: Mapping, other: Mapping, changed: Mapping) -> None:
    def both(left: Mapping, right: Mapping) -> list[Mapping]:
        return [Mapping((Entry("left", left), Entry("right", right)))]

    merged = merge(both(one, other), both(changed, other), both(one, changed))
    assert not merged.conflicts
    assert equal(merged.documents, both(changed, changed))


CASES: dict[str, tuple[str, str, str, str, list[str]]] = {  # base, ours, theirs, merged, conflicts
    "both changed": ("a: 1", "a: 2", "a: 3", "a: 2", ["a"]),
    "changed alike": ("a: 1", "a: 2", "a: 2", "a: 2", []),
    "deep": ("a: {b: 1, c: 1}", "a: {b: 2, c: 1}", "a: {b: 3, c: 2}", "a: {b: 2, c: 2}", ["a.b"]),
    "changed and removed": ("a: 1\nb: 1", "b: 1", "a: 2\nb: 1", "b: 1", ["a"]),
    "added on both sides": ("x: 1", "x: 1\na: 1", "x: 1\nb: 1", "x: 1\na: 1\nb: 1", []),
    "added unlike": ("x: 1", "x: 1\na: 1", "x: 1\na: 2", "x: 1\na: 1", ["a"]),
    "added maps": ("x: 1", "x: 1\na: {b: 1}", "x: 1\na: {c: 1}", "x: 1\na: {b: 1, c: 1}", []),
    "place of what is added": ("a: 1\nb: 1", "a: 1\nx: 1\nb: 1", "a: 1\ny: 1\nb: 2", "a: 1\nx: 1\ny: 1\nb: 2", []),
    "order": ("a: 1\nb: 1", "a: 1\nb: 2", "b: 1\na: 1", "b: 2\na: 1", []),
    "type": ("a: 1", "a: 1.0", "a: '1'", "a: 1.0", ["a"]),
    "items": ("a: [1, 2, 3]", "a: [9, 2, 3]", "a: [1, 2, 8]", "a: [9, 2, 8]", []),
    "the same item": ("a: [1, 2]", "a: [1, 3]", "a: [1, 4]", "a: [1, 3]", ["a[1]"]),
    "items at both ends": ("a: [1]", "a: [0, 1]", "a: [1, 2]", "a: [0, 1, 2]", []),
    "items at one end": ("a: [1]", "a: [1, 2]", "a: [1, 3]", "a: [1, 2, 3]", []),
    "an item removed, another changed": ("a: [1, 2, 3]", "a: [2, 3]", "a: [1, 2, 4]", "a: [2, 4]", []),
    "maps in lists": ("a: [{k: 1, l: 1}]", "a: [{k: 2, l: 1}]", "a: [{k: 1, l: 2}]", "a: [{k: 2, l: 2}]", []),
    "maps with names": (
        "a: [{name: x, v: 1}, {name: y, v: 1}]",
        "a: [{name: y, v: 1}, {name: z, v: 1}]",
        "a: [{name: x, v: 1}, {name: y, v: 2}]",
        "a: [{name: y, v: 2}, {name: z, v: 1}]",
        [],
    ),
    "comments": ("# one\na: 1", "# one\n# ours\na: 1", "# one\n# theirs\na: 2", "# one\n# ours\n# theirs\na: 2", []),
    "added behind a comment": ("a: 1\n# end", "a: 1\n# end\nx: 1", "a: 1\n# end\ny: 1", "a: 1\n# end\nx: 1\ny: 1", []),
    "added behind a comment of a nested map": (
        "s:\n  a: 1\n  # end\nt: 1",
        "s:\n  a: 1\n  # end\n  # mine\n  x: 1\nt: 1",
        "s:\n  a: 1\n  # end\n  # other\n  y: 1\nt: 1",
        "s:\n  a: 1\n  # end\n  # mine\n  x: 1\n  # other\n  y: 1\nt: 1",
        [],
    ),
    "items added behind a comment": (
        "l:\n  - 1\n  # end\nt: 1",
        "l:\n  - 1\n  # end\n  - 2\nt: 1",
        "l:\n  - 1\n  # end\n  - 3\nt: 1",
        "l:\n  - 1\n  # end\n  - 2\n  - 3\nt: 1",
        [],
    ),
    "one adds behind a comment": ("a: 1\n# end", "a: 2\n# end", "a: 1\n# end\ny: 1", "a: 2\n# end\ny: 1", []),
    "the same added behind a comment": (
        "a: 1\n# end",
        "a: 2\n# end\ny: 1",
        "a: 1\n# end\ny: 1",
        "a: 2\n# end\ny: 1",
        [],
    ),
    "a comment removed": ("# one\na: 1\nb: 1", "a: 1\nb: 2", "# one\na: 2\nb: 1", "a: 2\nb: 2", []),
    "documents": ("a: 1\n---\nb: 1", "a: 2\n---\nb: 1", "a: 1\n---\nb: 2", "a: 2\n---\nb: 2", []),
    "a conflict in a document": (
        "a: 1\n---\nb: 1",
        "a: 1\n---\nb: 2",
        "a: 1\n---\nb: 3",
        "a: 1\n---\nb: 2",
        ["document 2: b"],
    ),
    "a document more": ("a: 1", "a: 1\n---\nb: 1", "a: 2", "a: 2\n---\nb: 1", []),
    "no ancestor": ("", "a: 1\nb: 1", "a: 1\nb: 2", "a: 1\nb: 1", ["b"]),
}


@pytest.mark.parametrize("case", CASES)
def test_cases(case: str) -> None:
    base, ours, theirs, expected, conflicts = CASES[case]
    merged = merge(parsed(base), parsed(ours), parsed(theirs))
    assert [each.field for each in merged.conflicts] == conflicts
    assert equal(merged.documents, parsed(expected)), merged.documents


def parsed(text: str) -> list[Mapping]:
    return sealed.parse(f"{text}\n".encode(), file="x") if text else []


lines = st.lists(st.sampled_from([b"a\n", b"b\n", b"c: <<<\n", b"=\n", b"\r\n"]), max_size=8).map(b"".join)


@given(lines, lines)
def test_two_texts_come_back_from_between_markers(ours: bytes, theirs: bytes) -> None:
    marked = markers.marked(ours, theirs)
    assert markers.sides(marked) == (None if ours == theirs else (ours, theirs))
    assert conflicts.any_left(marked) is (ours != theirs)


def test_markers_of_git_with_a_base_and_markers_that_do_not_fit() -> None:
    text = b"a\n<<<<<<< HEAD\nb\n||||||| 1234\nc\n=======\nd\n>>>>>>> topic\ne\n"
    assert markers.sides(text) == (b"a\nb\ne\n", b"a\nd\ne\n")
    assert markers.sides(text.replace(b"=======\n", b"")) is None
    assert markers.sides(b"a\n=======\n") is None


PATTERNS = (
    r"\.secret\.yaml$",
    r"secrets?/.*\.ya?ml$",
    r"^prod/s",
    r"(^|/)db\.env$",
    r"^envs/[^/]+/(.*)\.enc\.(yaml|json)$",
    r"s.*x\.yaml",
    r"^[a-z]+\.ini$",
    r"^a/.*/b/c$",
)
parts = st.sampled_from(
    [
        "secret",
        "secrets",
        "a",
        "b",
        "c",
        "s",
        "x",
        "envs",
        "prod",
        "db",
        ".env",
        ".yaml",
        ".yml",
        ".enc",
        ".json",
        ".ini",
        ".secret",
        "/",
    ]
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_of_rules_have_globs(pattern: str) -> None:
    assert path_globs.globs(pattern)


@pytest.mark.parametrize("pattern", ["", ".*", "a{2}", "(?i)a", r"\bx", "(ab)+", "(", "[a"])
def test_other_patterns_have_none(pattern: str) -> None:
    assert path_globs.globs(pattern) is None


paths = st.lists(parts, min_size=1, max_size=7).map("".join).filter(lambda path: "//" not in f"/{path}/")


@given(paths)
def test_what_a_rule_takes_its_globs_take(path: str) -> None:
    def regex(glob: str) -> str:
        """As gitignore(5) explains a pattern."""
        text = glob.removeprefix("/")
        if "/" not in glob:
            text = "**/" + text
        out = re.escape(text).replace(r"\*\*/", "(?:.*/)?").replace(r"/\*\*", "/.*").replace(r"\*", "[^/]*")
        return out.replace("/[^/]*[^/]*", "/.*")

    for pattern in PATTERNS:
        if matcher(pattern)(path):
            assert any(re.fullmatch(regex(glob), path) for glob in path_globs.globs(pattern) or ()), (pattern, path)


def test_long_lists_of_equal_items_merge_in_little_time() -> None:
    """Which item became which takes difflib hours of them: then all between the first and last change is one."""
    same_items: list[Value] = [0] * 30_000
    versions = (same_items, [1, *same_items[1:]], [*same_items[:-1], 2])
    base, ours, theirs = ([Mapping((Entry("a", Sequence(tuple(items))),))] for items in versions)
    merged = merge(base, ours, theirs)
    assert not merged.conflicts
    assert merged.documents == (Mapping((Entry("a", Sequence((1, *same_items[1:-1], 2))),)),)
    longer = [Mapping((Entry("a", Sequence((2, *same_items, 3))),))]
    assert merge(base, longer, base).documents == tuple(longer)
    assert len(merge(base, longer, theirs).conflicts) == 1
