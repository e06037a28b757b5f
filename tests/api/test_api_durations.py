"""Durations and timestamps, as Kubernetes writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api import durations


@given(st.integers(min_value=1, max_value=10_000_000))
def test_duration_round_trip(seconds):
    assert durations.parse(durations.render(seconds)) == seconds


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("5m", 300), ("1h0m5s", 3605), ("0s", 0)])
def test_durations_are_read_as_kubernetes_writes_them(text, seconds):
    assert durations.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5M", "s", "-5s", "1.5h", "5s3m", "٣s", "5s\n", " 5s"])
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError):
        durations.parse(text)


def test_timestamp_is_rfc_3339_to_the_second():
    assert durations.timestamp(1_800_000_000.9) == "2027-01-15T08:00:00Z"
