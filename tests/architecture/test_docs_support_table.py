"""What docs/sops.md says is supported names the test that shows it."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "sops.md"
APPENDIX = PAGE.read_text("utf-8").partition("\n## Appendix: features and their tests\n")[2]
ROWS = [line for line in APPENDIX.splitlines() if re.match(r"\| (?!feature)[^-|]", line)]


def test_every_line_names_a_test_that_is_there() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        tests = re.findall(r"\]\((\.\./tests/[^)]+)\)", row)
        assert tests, row
        for test in tests:
            assert (PAGE.parent / test).is_file(), test
