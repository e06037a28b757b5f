"""Dataclasses of our own do as the standard library's."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from agent.values import dataclass as ours


def classes(module: Any) -> tuple[type, type]:
    """A frozen class and one that is not, made by `ours` or `dataclasses`."""

    @module.dataclass(frozen=True, slots=True)
    class Point:
        """A point."""

        x: int
        y: int = 0
        tags: list[str] = module.field(default_factory=list[str], compare=False)
        token: str = module.field(default="", repr=False)

        origin = "here"

        @property
        def sum(self) -> int:
            return self.x + self.y

        @classmethod
        def at(cls, place: int) -> Any:
            return cls(place, place)

    @module.dataclass(slots=True)
    class Counter:
        count: int = 0
        seen: dict[str, int] = module.field(default_factory=dict[str, int])

        def __repr__(self) -> str:
            return "a counter"

    return Point, Counter


@pytest.fixture(params=["ours", "ours, of which there are many values", "the standard library's"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    if request.param.startswith("the"):
        return classes(dataclasses)
    pair: tuple[Any, Any] = classes(ours)
    if "many" in request.param:
        point, counter = pair
        assert all(point(n) == point(n) for n in range(100))
        assert all(counter(n) == counter(n) for n in range(100))
    return pair


def test_a_class_with_few_values_is_not_compiled() -> None:
    point: Any
    point, _ = classes(ours)
    made = point.__init__
    assert [point(n).x for n in range(10)] == [*range(10)]
    assert point.__init__ is made
    assert [point(n).x for n in range(100)] == [*range(100)]
    assert point.__init__ is not made


def test_values_are_made_by_place_name_and_default(pair: tuple[Any, Any]) -> None:
    point = pair[0]
    assert (point(1).x, point(1).y, point(1).tags, point(1).token) == (1, 0, [], "")
    assert point(1, 2, ["a"], "b").token == point(x=1, token="b").token == "b"
    assert point.at(3).sum == 6
    assert point.origin == "here"
    assert point(1).tags is not point(1).tags
    assert pair[1](seen=(shared := {})).seen is shared
    for arguments in ((), (1, 2, [], "", 5)):
        with pytest.raises(TypeError):
            point(*arguments)
    with pytest.raises(TypeError):
        point(1, z=1)


def test_the_same_nan_is_equal_to_itself() -> None:
    """As in a tuple, and in the standard library's before 3.13."""
    counter: Any
    _, counter = classes(ours)
    nan = float("nan")
    assert counter(nan) == counter(nan)


def test_equal_values_are_of_one_class_and_equal_in_what_is_compared(pair: tuple[Any, Any]) -> None:
    point, counter = pair
    assert point(1, tags=["a"]) == point(1, tags=["b"])
    assert hash(point(1, tags=["a"])) == hash(point(1, tags=["b"]))
    assert point(1) != point(2)
    assert point(1, token="a") != point(1)
    assert point(1) != (1, 0, "")
    assert counter(1) == counter(1) != counter(2)
    others = classes(ours)
    assert point(1) != others[0](1)
    assert len({point(1), point(1, tags=["a"]), point(2)}) == 2


def test_what_is_not_to_be_shown_is_not(pair: tuple[Any, Any]) -> None:
    point, counter = pair
    assert repr(point(1, token="hunter2")) == f"{point.__qualname__}(x=1, y=0, tags=[])"
    assert repr(counter()) == "a counter"


def test_a_frozen_value_cannot_be_altered(pair: tuple[Any, Any]) -> None:
    point, counter = pair
    frozen = point(1)
    with pytest.raises(AttributeError):
        frozen.x = 2
    with pytest.raises(AttributeError):
        del frozen.x
    counted = counter(1)
    counted.count = 2
    assert counted == counter(2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(counted)


def test_there_is_no_place_for_other_attributes(pair: tuple[Any, Any]) -> None:
    with pytest.raises(AttributeError):
        pair[1]().other = 1
    assert not hasattr(pair[0](1), "__dict__")


def test_fields_match_by_place(pair: tuple[Any, Any]) -> None:
    point = pair[0]
    match point(1, 2):
        case point(x, y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("no match")
    assert point.__doc__ == "A point."
    assert point.__name__ == "Point"


@pytest.mark.parametrize("module", [ours, dataclasses])
def test_replacing_leaves_the_original(module: Any) -> None:
    point = classes(module)[0]
    before = point(1, 2, ["a"], "b")
    after = module.replace(before, y=3)
    assert after == point(1, 3, ["a"], "b")
    assert after.tags is before.tags
    assert before.y == 2
    with pytest.raises(TypeError):
        module.replace(before, z=1)


def test_our_replace_takes_either_kind() -> None:
    assert ours.replace(classes(dataclasses)[0](1), x=2).x == 2
