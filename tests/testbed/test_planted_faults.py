"""`python -m bench.mutation`, at a small project: which faults its tests notice, by which test, and which they do not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
RULES = """
import os
import threading
from functools import lru_cache

LIMIT = 3

def allowed(number: int) -> bool:
    if number > LIMIT:
        return False
    return True

@lru_cache
def known(text: str) -> bool:
    return text == "a"

def may_stay(process: bool) -> None:
    if process:
        os._exit(1)

def waits(number: int) -> None:
    if number > 1:
        threading.Event().wait()

def small(number: int) -> bool:
    return number < 8

def unused(number: int) -> bool:
    return number == 1
"""
TESTS = """
import sys
from agent.engine import rules

def test_limit():
    assert rules.allowed(2) and not rules.allowed(9)

def test_first_of_a_cache():
    rules.known("a")

def test_second_of_a_cache():
    assert rules.known("a")

def test_that_ends_the_process():
    rules.may_stay(False)

def test_that_waits():
    rules.waits(1)

def test_that_fails_with_a_fault_and_without():
    assert rules.small(3) and sys.gettrace()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bench").mkdir()
    for name in ("mutants.py", "mutation.py", "reach.py", "verdicts.py"):
        text = (BENCH / name).read_text()
        (tmp_path / "bench" / name).write_text(text.replace("_IDLE: Final = 60.0", "_IDLE: Final = 0.5"))
    files = {
        "bench/__init__.py": "",
        "agent/__init__.py": "",
        "agent/engine/__init__.py": "",
        "agent/engine/rules.py": RULES,
        "tests/engine/test_rules.py": TESTS,
        "tests/manifests/test_nothing.py": "def test_nothing(): pass\n",
        "pytest.ini": "[pytest]\nmarkers = servers: none\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project: Path, *arguments: str) -> tuple[int, list[str], dict[str, str]]:
    """The exit code, what was said, and what killed each mutant in the order in which they were tried at last."""
    command = [sys.executable, "-m", "bench.mutation", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
    state = project / ".mutation-1.jsonl"
    tried = [json.loads(line) for line in state.read_text().splitlines()] if state.exists() else []
    by = {each["name"]: each["by"].rpartition("::")[2] for each in tried}
    return done.returncode, done.stdout.splitlines() + done.stderr.splitlines(), by


def test_faults_are_noticed_by_the_tests_that_come_to_them(project: Path) -> None:
    _, _, first = run(project, "--mutants", "4", "--jobs", "1")
    state = (project / ".mutation-1.jsonl").read_text()
    code, said, by = run(project)
    assert by == {
        ": 3 becomes 4 (1)": "",
        "allowed: Gt becomes GtE (1)": "",
        "allowed: the condition is always True (1)": "test_limit",
        "allowed: the condition is always False (1)": "test_limit",
        "allowed: False becomes True (1)": "test_limit",
        "allowed: True becomes False (1)": "test_limit",
        "known: Eq becomes NotEq (1)": "test_second_of_a_cache",
        "may_stay: the condition is always True (1)": "test_that_ends_the_process does not end",
        "may_stay: the condition is always False (1)": "",
        "may_stay: the statement is dropped (1)": "",
        "may_stay: 1 becomes 2 (1)": "",
        "waits: 1 becomes 2 (1)": "",
        "waits: Gt becomes GtE (1)": "test_that_waits does not end",
        "waits: the condition is always True (1)": "test_that_waits does not end",
        "waits: the condition is always False (1)": "",
        "waits: the statement is dropped (1)": "",
        "small: 8 becomes 9 (1)": "",
        "small: Lt becomes LtE (1)": "",
        "unused: Eq becomes NotEq (1)": "",
        "unused: 1 becomes 2 (1)": "",
    }
    assert (code, said[-1]) == (1, "8 of 20 killed, 40%")
    assert "survived: agent.engine.rules:29: unused: Eq becomes NotEq (1): number == 1" in said
    assert (project / "agent/engine/rules.py").read_text() == RULES
    assert len(first) == 4
    assert (project / ".mutation-1.jsonl").read_text().startswith(state), "some were tried twice"

    (project / "tests/manifests/test_nothing.py").write_text(
        "from agent.engine import rules\ndef test_unused():\n    assert rules.unused(1)\n"
    )
    _, said, again = run(project, "--again")
    assert {name for name, what in again.items() if what != by[name]} == {
        "unused: Eq becomes NotEq (1)",
        "unused: 1 becomes 2 (1)",
    }
    assert said[-1] == "10 of 20 killed, 50%"


def test_tests_that_fail_without_a_fault_say_nothing(project: Path) -> None:
    (project / "tests/manifests/test_nothing.py").write_text("def test_nothing(): assert False\n")
    code, said, tried = run(project)
    assert (code, tried) == (1, {})
    assert said == ["without a fault the tests fail: tests/manifests/test_nothing.py::test_nothing"]
