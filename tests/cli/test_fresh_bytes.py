"""Random bytes that are asked of the system in blocks: none is given twice, whatever the lengths that are wanted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agent.cli.keys.fresh import RandomBytes

if TYPE_CHECKING:
    import pytest


@given(st.lists(st.integers(min_value=1, max_value=10_000), max_size=40))
def test_each_draw_has_its_length_and_no_byte_of_another(lengths: list[int]) -> None:
    blocks: list[bytes] = []

    def numbered(count: int) -> bytes:
        # bytes of which each four are unlike all others
        start = sum(map(len, blocks)) // 4
        block = b"".join((start + each).to_bytes(4, "big") for each in range(count // 4 + 1))[:count]
        blocks.append(block + bytes(-count % 4))
        return block

    real, os.urandom = os.urandom, numbered
    try:
        source = RandomBytes()
        drawn = [source(count) for count in lengths]
    finally:
        os.urandom = real

    assert [len(each) for each in drawn] == lengths
    given_out = b"".join(blocks)
    at = 0
    for each in drawn:
        at = given_out.index(each, at) + len(each)


def test_a_thousand_values_ask_the_system_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = os.urandom
    monkeypatch.setattr(os, "urandom", lambda count: (asked.append(count), real(count))[1])
    source = RandomBytes()
    drawn = {source(32) for _ in range(1000)}
    assert len(drawn) == 1000
    assert len(asked) == 4
