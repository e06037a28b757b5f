"""What a renderer says of values that templates make up, where it lies or where several leaves hold one."""

from __future__ import annotations

import pytest

from agent.manifests import generated
from agent.values import placeholders
from agent.values.errors import PlaceholderError, RandomValueError
from agent.values.expressions import Expression
from agent.values.generated import Generation
from agent.values.questions import Question
from agent.values.secret import Sealed

MADE = {name: placeholders.of("expr", name) for name in "abc"}


def asked(name: str, *args: str, part: str = "") -> Generation:
    return Generation("randAlpha", args, part, name, "chart/templates/a.yaml", 1)


def secret(name: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def settle(*trees: dict, sources: dict | None = None, made: dict | None = None, questions: tuple = ()):
    given = made or {MADE[name]: asked(name, "8") for name in "abc"}
    return generated.settle(trees, sources or {}, given, questions, "shop")


def test_a_sealed_value_is_not_taken_for_one_that_a_template_makes_up() -> None:
    with pytest.raises(PlaceholderError):
        settle(secret("s", a=MADE["a"]), sources={MADE["a"]: Sealed("1", "sops:x#a", "str")})


def test_the_name_is_of_the_leaf_whatever_the_renderer_calls_it() -> None:
    first = settle(secret("s", a=MADE["a"], b=MADE["b"]))
    second = settle(secret("s", a=MADE["b"], b=MADE["c"]))
    assert first.trees == second.trees
    assert first.values.keys() == second.values.keys()


def test_of_several_leaves_the_first_by_name_gives_the_name_and_all_hold_it() -> None:
    found = settle(secret("z", k=MADE["a"]), secret("b", k=MADE["a"], j=f"x{MADE['a']}"))
    (value,) = found.values.values()
    assert [str(each) for each in value.holders] == ["Secret shop/b#data.k", "Secret shop/z#data.k"]
    assert found.errors == {}


def test_what_is_made_of_a_value_follows_its_name() -> None:
    inner = Expression("b64enc", (MADE["a"],))
    outer = Expression("concat", (f"x{inner.placeholder}",))
    sources = {each.placeholder: each for each in (inner, outer)}
    found = settle(secret("s", k=MADE["a"], j=outer.placeholder), sources=sources)
    (name,) = found.values
    renamed = Expression("concat", (f"x{Expression('b64enc', (name,)).placeholder}",))
    assert found.trees[0]["stringData"] == {"k": name, "j": renamed.placeholder}
    assert all(source.placeholder == key for key, source in found.sources.items() if isinstance(source, Expression))


def test_arguments_that_go_round_in_circles_end() -> None:
    made = {MADE["a"]: asked("a", MADE["b"]), MADE["b"]: asked("b", MADE["a"])}
    found = settle(secret("s", k=MADE["a"], j=MADE["b"]), made=made)
    assert len(found.values) == 2


def test_a_question_about_what_no_leaf_holds_is_refused() -> None:
    with pytest.raises(RandomValueError):
        settle(secret("s", k="x"), questions=(Question("eq", (MADE["a"], "x"), False, "a.yaml", 1),))


def test_a_leaf_of_a_list_or_of_metadata_holds_nothing() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"list": [MADE["a"]]}}
    named = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"x": MADE["b"]}}}
    assert settle(pod, named).errors.keys() == {0, 1}
