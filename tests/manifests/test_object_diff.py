import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import tree

from agent.manifests import diff
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import ObjectId
from agent.values.secret import Secret

KEY = Fingerprinter.derive(Secret(b"k" * 32, "key"), "diff")
POD = "apiVersion: v1\nkind: Pod\nspec: "


def lines(before, after, kind="Pod"):
    return [
        (line["path"], line["before"], line["after"])
        for line in diff.describe(diff.compare(before, after), KEY, "uid", ObjectId("", kind, "shop", "a"))
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (POD + "{a: 1}", POD + "{a: 1}", []),
        (POD + "{a: 1}", POD + "{a: 2}", [("spec.a", 1, 2)]),
        (POD + "{a: 1}", POD + "{a: true}", [("spec.a", 1, True)]),
        (POD + "{a: 1}", POD + "{a: '1'}", [("spec.a", 1, "1")]),
        (POD + "{a: 1, b: 2}", POD + "{b: 2, c: {d: 3}}", [("spec.c", None, {"d": 3}), ("spec.a", 1, None)]),
        (POD + "{args: [a, b]}", POD + "{args: [a, c, d]}", [("spec.args[1]", "b", "c"), ("spec.args[2]", None, "d")]),
        (
            POD + "{containers: [{name: a, image: x}, {name: b, image: v}]}",
            POD + "{containers: [{name: b, image: v}, {name: c}]}",
            [("spec.containers[1]", None, {"name": "c"}), ("spec.containers[0]", {"name": "a", "image": "x"}, None)],
        ),
        (
            POD + "{containers: [{name: a}, {name: b, image: v}]}",
            POD + "{containers: [{name: b, image: w}, {name: a}]}",
            [("spec.containers[0].image", "v", "w"), ("spec.containers", ["a", "b"], ["b", "a"])],
        ),
        (
            POD
            + "{}\nmetadata: {name: a, uid: x, generation: 1, resourceVersion: '1', managedFields: []}\nstatus: {a: b}",
            POD + "{}\nmetadata: {name: a, uid: z}\nstatus: {a: c}",
            [],
        ),
    ],
)
def test_changes_are_named_by_field(before, after, expected):
    assert lines(tree(before), tree(after)) == expected


def test_an_object_made_or_removed_is_one_change_a_field():
    given = tree(POD + "{a: 1}")
    assert lines(None, given) == [("", None, given)]
    assert lines(given, None) == [("", given, None)]
    assert lines(None, None) == []


def secret(**data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "shop"}, "data": data}


def test_secrets_are_compared_and_shown_as_fingerprints():
    changed = lines(
        secret(a="canary1", b="same"), secret(a=Secret("canary2", "vault:x"), b=Secret("same", "y")), "Secret"
    )
    ((path, before, after),) = changed
    assert path == "data.a"
    assert before.startswith("fp:")
    assert after.startswith("fp:")
    assert before != after
    assert "canary" not in repr([*diff.compare(secret(a="canary1"), secret(a="canary2"))])


def test_a_new_secret_shows_no_value():
    assert "canary" not in repr(lines(None, secret(a="canary"), "Secret"))


def test_what_a_secret_replaces_is_taken_for_one():
    before = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "canary"}}
    after = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": Secret("other", "vault:x")}}
    assert "canary" not in repr(lines(before, after, "ConfigMap"))
    assert "canary" not in repr(lines(after, before, "ConfigMap"))
    same = {**after, "data": {"a": Secret("canary", "vault:x")}}
    assert (lines(before, same), lines(same, before)) == ([], [])


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=3)
    | st.builds(Secret, st.text(max_size=3), st.just("l")),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=2), below, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["spec", "data", "metadata"]), TREES))
def test_nothing_differs_from_itself(given_tree):
    assert [*diff.compare(given_tree, given_tree)] == []
