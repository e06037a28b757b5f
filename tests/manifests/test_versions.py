"""The newest version in a range, as Helm and Flux read ranges."""

from __future__ import annotations

import re

import pytest

from agent.api.registries import RANGE
from agent.manifests import versions

NAMES = (
    "0.9.0",
    "1.0.0",
    "v1.2.3",
    "1.2.9",
    "1.10.0",
    "2.0.0-rc.1",
    "2.0.0-rc.10",
    "2.0.0",
    "3.0.0-alpha",
    "latest",
    "1.2",
    "01.2.3",
    "1.2.3.4",
)


@pytest.mark.parametrize(
    ("wanted", "newest"),
    [
        ("1.2.3", "v1.2.3"),
        ("=1.2.3", "v1.2.3"),
        ("~1.2", "1.2.9"),
        ("~1.2.3", "1.2.9"),
        ("^1", "1.10.0"),
        ("^0.9", "0.9.0"),
        ("1.x", "1.10.0"),
        ("1.2.x", "1.2.9"),
        ("*", "2.0.0"),
        (">=1.0.0 <2.0.0", "1.10.0"),
        (">=1.0.0, <1.10.0", "1.2.9"),
        (">= 1.0.0,<1.2.9", "v1.2.3"),
        ("1.0 - 1.9", "1.2.9"),
        ("0.9.0 || ~1.2", "1.2.9"),
        (">2.0.0", None),
        (">=2.0.0-0", "3.0.0-alpha"),
        (">=2.0.0-rc.1 <2.0.0", "2.0.0-rc.10"),
        (">=2.0.0-rc.2 <2.0.0", "2.0.0-rc.10"),
        ("^1.0.0-0", "1.10.0"),
        ("1 - 1.9.0-0", "1.2.9"),
        ("<2.0.0", "1.10.0"),
        (">2.0.0-rc.1 <2.0.0-rc.5", None),
    ],
)
def test_the_newest_version_in_a_range(wanted: str, newest: str | None) -> None:
    assert re.fullmatch(RANGE, wanted)
    assert versions.newest(NAMES, wanted) == newest


@pytest.mark.parametrize(
    "text", ["latest", "!=1.0.0", ">=", "1.0.0 ||", "1.0.0;", ">1.0.0\n", "=>1.0.0", "a - b", "1.0.0 - "]
)
def test_what_is_no_range_is_refused_by_its_form(text: str) -> None:
    assert not re.fullmatch(RANGE, text)
