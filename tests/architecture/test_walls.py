"""Walls that import contracts cannot see: the private slot of Secret, and the clock and files by builtin or method."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.registry import COMMANDS

AGENT = Path(__file__).parents[2] / "agent"
PURE = ("values", "yaml", "sops", "gitmerge", "api", "manifests", "desired", "engine")
PURE_BESIDE_TASKS = {AGENT / "controllers" / f"{name}.py" for name in ("fights", "schedule", "status")}
COMPILES = AGENT / "values" / "dataclass.py"
STARTS_FAST = ("values", "yaml", "sops", "gitmerge", "adapters/keys", "cli")
SLOT = "_plaintext"
BUILTINS = {"breakpoint", "compile", "eval", "exec", "input", "open", "print", "__import__"}
CLOCK = {"now", "today", "utcnow"}


def modules() -> list[Path]:
    return sorted(AGENT.rglob("*.py"))


def pure_modules() -> list[Path]:
    return [path for path in modules() if path.relative_to(AGENT).parts[0] in PURE or path in PURE_BESIDE_TASKS]


def name(path: Path) -> str:
    return str(path.relative_to(AGENT.parent))


def slot_uses(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if (isinstance(node, ast.Attribute) and node.attr == SLOT) or (
            isinstance(node, ast.Constant) and node.value == SLOT
        ):
            yield node.lineno


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def impure_calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id=called) if called in BUILTINS:
                yield node.lineno, called
            case ast.Attribute(value=ast.Name(id="datetime" | "date" | "dt"), attr=called) if called in CLOCK:
                yield node.lineno, called
            case ast.Attribute(value=ast.Attribute(attr="datetime" | "date"), attr=called) if called in CLOCK:
                yield node.lineno, called


def test_the_slot_of_a_secret_is_named_by_secret_and_reveal_alone() -> None:
    users = {name(path) for path in modules() if any(slot_uses(ast.parse(path.read_text())))}
    assert users == {"agent/values/secret.py", "agent/values/reveal.py"}


@pytest.mark.parametrize("path", pure_modules(), ids=name)
def test_a_pure_room_calls_no_file_terminal_or_clock(path: Path) -> None:
    allowed = {"exec"} if path == COMPILES else set[str]()
    assert {called for _, called in impure_calls(ast.parse(path.read_text()))} <= allowed


@pytest.mark.parametrize("room", STARTS_FAST)
def test_what_commands_on_secrets_load_uses_dataclasses_of_our_own(room: str) -> None:
    users = {
        name(path)
        for path in (AGENT / room).rglob("*.py")
        if "dataclasses" in set(imports(ast.parse(path.read_text())))
    }
    assert users <= {"agent/values/ids.py", "agent/values/problems.py"}, (
        "of identities and what is wrong with objects they load nothing"
    )


def test_what_argparse_found_stops_at_the_module_of_a_command() -> None:
    commands = {AGENT.parent / f"{command.module.replace('.', '/')}.py" for command in COMMANDS.values()}
    readers = {path for path in (AGENT / "cli").rglob("*.py") if "argparse.Namespace" in path.read_text()}
    assert readers - commands == {AGENT / "cli" / "flags.py", AGENT / "cli" / "main.py"}


def test_the_private_modules_of_libraries_are_theirs() -> None:
    users = {
        (module, name(path))
        for path in modules()
        for module in imports(ast.parse(path.read_text()))
        if any(part.startswith("_") and not part.startswith("__") for part in module.split("."))
    }
    assert {(module, user) for module, user in users if module != "yaml._yaml"} == {
        ("cryptography.hazmat.bindings._rust", "agent/values/primitives.py")
    }, (
        "libyaml's parser has no public name, and where the compiled part of cryptography has not ours, the public ones serve"
    )


@pytest.mark.parametrize(
    "code",
    ["open('x')", "print(1)", "datetime.now()", "datetime.datetime.now(tz)", "dt.datetime.utcnow()", "date.today()"],
)
def test_what_is_impure_is_recognised(code: str) -> None:
    assert list(impure_calls(ast.parse(code)))


@pytest.mark.parametrize("code", ["secret._plaintext", "getattr(secret, '_plaintext')"])
def test_every_way_to_name_the_slot_is_recognised(code: str) -> None:
    assert list(slot_uses(ast.parse(code)))


@pytest.mark.parametrize("path", modules(), ids=name)
def test_modules_stop_at_400_lines_and_functions_at_60(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= 60
    }
    assert long == {}
