"""Names that kustomize generates: their hash, and texts that hold them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import cost
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.render.pool import Renderers
from agent.engine.renderers import Kustomization, SourceTree
from agent.manifests import suffixes
from agent.manifests.suffixes import Standing
from agent.values import derive, placeholders
from agent.values.ids import ApplicationId
from agent.values.secret import Secret
from agent.values.tree import get_object, get_text
from render import build

if TYPE_CHECKING:
    from agent.values.tree import Object

TEXTS = [
    "",
    "a",
    "<&>",
    "\u2028 \u2029 ü 😀",
    '"quoted" \\',
    "a\n b\n",
    "\ttab\r\n",
    "\x7f",
    "x" * 51,
    "x" * 52,
    "x" * 300,
]


async def test_a_hash_is_the_one_that_kustomize_makes() -> None:
    renderers = Renderers(build.built())
    given: dict[str, bytes] = {f"f{number}": text.encode() for number, text in enumerate(TEXTS)}
    lines = [f"- {{name: n{number}, files: [f{number}]}}" for number in range(len(TEXTS))]
    given["kustomization.yaml"] = "\n".join(
        ["configMapGenerator:", *lines, "secretGenerator:", *lines, "- {name: empty, type: example.com/x}"]
    ).encode()
    try:
        result = await renderers.kustomize(ApplicationId("", "", ""), Kustomization("", SourceTree.of(given)))
    finally:
        await renderers.close()
    assert len(result.objects) == 2 * len(TEXTS) + 1
    assert suffixes.find(each.tree for each in result.objects) == (), "none of them is sealed"
    for tree in (each.tree for each in result.objects):
        content: Object = {"kind": tree["kind"], "name": "", "data": tree.get("data", "")}
        if tree["kind"] == "Secret":
            content["type"] = tree["type"]
            shown = get_object(tree, "data")
            for value in shown.values():
                plain = Secret("".join(str(value).split()), "value")
                assert derive.base64_lines(plain) == Secret(str(value), "value")
        hashed = suffixes.parts(get_text(tree, "metadata", "name"))
        assert hashed is not None
        assert derive.kustomize_hash(content) == Secret(hashed[1], "name")


def generated(name: str, value: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}


def test_only_a_name_with_the_hash_of_its_sealed_content_is_a_generated_one() -> None:
    value = placeholders.of("sops", "1")
    suffix = "g2tgk796kc"
    assert [each.key for each in suffixes.find([generated(f"a-{suffix}", value)])] == [f"ConfigMap/a-{suffix}"]
    assert suffixes.find([generated(f"a-{suffix}", value + " ")]) == ()
    assert suffixes.find([generated("a", value), generated("a-2222222222", value), generated(suffix, value)]) == ()


async def test_a_name_is_known_by_all_that_kustomize_hashes() -> None:
    renderers = Renderers(build.built())
    value = placeholders.of("sops", "1")
    files = {
        "raw": b"\xff",
        "kustomization.yaml": b"configMapGenerator:\n- {name: a, literals: [v=%s], files: [raw]}\n",
    }
    given = {**files, "kustomization.yaml": files["kustomization.yaml"] % value.encode()}
    try:
        result = await renderers.kustomize(ApplicationId("", "", ""), Kustomization("", SourceTree.of(given)))
    finally:
        await renderers.close()
    [tree] = [each.tree for each in result.objects]
    assert list(get_object(tree, "binaryData")) == ["raw"]
    [found] = suffixes.find([tree])
    assert found.base == "a"
    without: Object = {key: each for key, each in tree.items() if key != "binaryData"}
    assert suffixes.find([without]) == ()


NAMES = {"db-2222222222": "db-4444444444", "a.db-2222222222": "a.db-5555555555"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db-2222222222", "db-4444444444"),
        ("--secret=db-2222222222", "--secret=db-4444444444"),
        ("x/db-2222222222:db-2222222222,", "x/db-4444444444:db-4444444444,"),
        ("a.db-2222222222", "a.db-5555555555"),
        ("mydb-2222222222", "mydb-2222222222"),
        ("db-2222222222-x", "db-2222222222-x"),
        ("db-22222222222", "db-22222222222"),
        ("db-222222222", "db-222222222"),
        ("", ""),
    ],
)
def test_a_name_is_replaced_where_it_is_a_word_of_its_own(text: str, expected: str) -> None:
    assert suffixes.renamed({"a": [{"b": text}, 1, None]}, NAMES) == {"a": [{"b": expected}, 1, None]}


def test_replacing_names_costs_no_more_for_texts_made_for_it() -> None:
    with cost.at_most(seconds=5):
        suffixes.renamed(
            {"a": "a-2222222222." * 100_000, "b": "a" * 1_000_000 + "-2222222222", "c": "-" * 1_000_000}, NAMES
        )


def test_names_that_stand_are_found_by_those_that_were_rendered() -> None:
    standing = {
        "Secret/db-2222222222": Standing("4444444444", "1", rolls=False),
        "Secret/web-2222222222": Standing("2222222222", "2", rolls=False),
    }
    assert suffixes.names(standing) == {"db-2222222222": "db-4444444444"}


@given(st.lists(st.sampled_from(["a", ".", "-", "-2222222222", "x-2222222222", " ", "2" * 260])).map("".join))
def test_a_name_is_the_longest_word_before_its_hash(text: str) -> None:
    """As if each hash were looked back from by itself."""
    renames = {"x-2222222222": "x-new", "a-2222222222": "a-new", "a.x-2222222222": "ax-new"}
    expected, end = "", 0
    for found in re.finditer(r"-2222222222(?![A-Za-z0-9-])", text):
        before = re.search(r"[a-z0-9.-]{0,253}\Z", text[end : found.start()])
        assert before is not None
        name = before[0] + found[0]
        if name in renames:
            expected += text[end : end + before.start()] + renames[name]
            end = found.end()
    assert suffixes.renamed({"a": text}, renames) == {"a": expected + text[end:]}
