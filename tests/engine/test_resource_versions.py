"""Which of two facts of one object is the newer one, by their resourceVersions."""

import pytest

from agent.engine.live import is_newer


@pytest.mark.parametrize(
    ("version", "than", "expected"),
    [
        ("10", "9", True),
        ("9", "10", False),
        ("10", "10", False),
        ("", "10", True),
        ("10", "", True),
        ("b", "10", True),
        ("10", "b", True),
        ("b", "c", True),
        ("b", "b", False),
        ("", "", False),
    ],
)
def test_versions_are_numbers_and_unknown_forms_count_as_newer(version: str, than: str, *, expected: bool) -> None:
    assert is_newer(version, than) is expected
