"""What a renderer answers is counted before it is read: a tenant's overlay makes it, and a value of two bytes takes a hundred in memory."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.adapters.render import protocol
from agent.values.errors import LimitError
from agent.values.tree import Tree, size

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


def body(*objects: Tree) -> bytes:
    """As the program writes it."""
    lines: list[object] = [{"read": [], "error": {}}, *({"file": "a: {}, [", "object": each} for each in objects)]
    return "\n".join(json.dumps(each, separators=(",", ":"), ensure_ascii=False) for each in lines).encode(
        "utf-8", "surrogatepass"
    )


@given(tree=TREES)
def test_what_one_application_may_have_is_read(tree: Tree) -> None:
    assert protocol.answer(body(tree, tree), 2 * size(tree))["objects"][0]["object"] == tree


@pytest.mark.parametrize("part", [1, 7, 64 * 1024])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES.filter(lambda tree: size(tree) > 20))
def test_more_than_that_is_refused(monkeypatch: pytest.MonkeyPatch, part: int, tree: Tree) -> None:
    monkeypatch.setattr(protocol, "_PART", part)
    with pytest.raises(LimitError) as refused:
        protocol.answer(body(tree, tree), 2 * size(tree) - 20)
    assert "keys and values" in refused.value.message


@pytest.mark.parametrize("values", [b"[]", b"{}", b'{"":[]}', b"0", b'""', b"[0]", b'{"a":0}'])
def test_refusing_takes_no_more_than_the_answer(values: bytes) -> None:
    made = body() + b'\n{"file":"a","object":[' + b",".join([values] * 300_000) + b"]}"
    tracemalloc.start()
    try:
        with pytest.raises(LimitError):
            protocol.answer(made, 200_000)
        assert tracemalloc.get_traced_memory()[1] < 5 * len(made)
    finally:
        tracemalloc.stop()


def test_text_that_looks_like_json_counts_as_text() -> None:
    text = '{"a": [1, 2, {}]}\\"' * 10_000
    assert protocol.answer(body({"data": {"dashboard.json": text}}), 10)["objects"][0]["object"]["data"]
