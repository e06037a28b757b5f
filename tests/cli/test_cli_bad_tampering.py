"""Every command notices a deliberate change to an encrypted file, before anything of the file is used or written."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from refusals import OTHER, PLACES, PLAIN, Sealed, Witness, commands, covered

from agent.adapters.keys import age
from agent.values.reveal import reveal

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Shell

NAME = "s.yaml"


@dataclass
class Files(Sealed):
    """With the same plaintext encrypted apart, an earlier state of the file, and one in key groups."""

    apart: str = ""
    earlier: str = ""
    grouped: str = ""
    grouped_apart: str = ""
    members: list[str] = field(default_factory=list[str])

    def make(self, shell: Shell) -> None:
        if self.files:
            return
        super().make(shell)
        self.apart = self._encrypted(shell, "--age", shell.recipient)
        shell.write(NAME, self.files[NAME])
        assert shell.agent("set", NAME, PLACES[NAME], "1").code == 0
        self.earlier = (shell.folder / NAME).read_text()
        others = [age.generate() for _ in range(2)]
        self.members = [str(reveal(identity)) for _, identity in others]
        groups = [{"age": [shell.recipient]}, *({"age": [recipient]} for recipient, _ in others)]
        shell.write("groups", json.dumps({"creation_rules": [{"key_groups": groups, "shamir_threshold": 2}]}))
        self.grouped, self.grouped_apart = (self._encrypted(shell, "--config", "groups") for _ in range(2))

    def _encrypted(self, shell: Shell, *flags: str) -> str:
        made = shell.agent("encrypt", *flags, "--filename-override", NAME, stdin=PLAIN[NAME])
        assert made.code == 0, made.err
        return made.out.decode()


@pytest.fixture(scope="module")
def files() -> Files:
    return Files()


@pytest.fixture
def witness(shell: Shell, files: Files) -> Witness:
    return Witness(shell, files)


def value(text: str, key: str) -> str:
    found = re.search(rf"(?m)^ *{key}: (ENC\[.*)$", text)
    assert found
    return found[1]


def item(text: str, number: int) -> str:
    return re.findall(r"(?m)^ +- ENC\[.*$", text)[number]


def wrapped(text: str, number: int = 0) -> str:
    return re.findall(r"(?s)-----BEGIN AGE.*?-----END AGE ENCRYPTED FILE-----", text)[number]


def swapped(text: str, one: str, two: str) -> str:
    return text.replace(one, "\0").replace(two, one).replace("\0", two)


def with_field(text: str, name: str, line: str) -> str:
    return re.sub(rf"(?m)^    {name}: .*\n", f"    {line}\n" if line else "", text)


def bomb() -> str:
    lines = ["b: &b [x, x, x, x, x, x, x, x, x]\n"]
    for name, below in zip("cdefghij", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]\n")
    return "".join(lines)


CATASTROPHE = "(([a-z])+.)+[A-Z]([a-z])+$(x+x+)+y"

DAMAGE: dict[str, tuple[int, Callable[[str, Files], str]]] = {
    "values swapped": (25, lambda text, _: swapped(text, value(text, "a"), value(text, "n"))),
    "items swapped": (51, lambda text, _: swapped(text, item(text, 0), item(text, 1))),
    "a key renamed": (25, lambda text, _: text.replace("\nn: ENC", "\nnn: ENC")),
    "a value moved": (
        25,
        lambda text, _: re.sub(r"(?m)^(n: ENC.*\n)", "", text).replace("m:\n", f"m:\n    n: {value(text, 'n')}\n"),
    ),
    "a value gone": (51, lambda text, _: re.sub(r"(?m)^n: ENC.*\n", "", text)),
    "a value doubled": (1, lambda text, _: text.replace("m:\n", f"n: {value(text, 'n')}\nm:\n")),
    "a value in the clear": (25, lambda text, _: text.replace(value(text, "n"), "5432")),
    "a clear value changed": (51, lambda text, _: text.replace("x_unencrypted: clear", "x_unencrypted: other")),
    "a clear value added": (51, lambda text, _: text.replace("m:\n", "m:\n    y_unencrypted: added\n")),
    "a document added": (51, lambda text, _: f"{text}---\nb_unencrypted: added\n"),
    "another file's value": (25, lambda text, files: text.replace(value(text, "a"), value(files.apart, "a"))),
    "an earlier value": (51, lambda text, files: text.replace(value(text, "n"), value(files.earlier, "n"))),
    "no MAC": (51, lambda text, _: with_field(text, "mac", "")),
    "an empty MAC": (51, lambda text, _: with_field(text, "mac", 'mac: ""')),
    "a MAC that is a value": (51, lambda text, _: text.replace(value(text, "mac"), value(text, "a"))),
    "another file's MAC": (51, lambda text, files: text.replace(value(text, "mac"), value(files.apart, "mac"))),
    "an earlier MAC": (51, lambda text, files: text.replace(value(text, "mac"), value(files.earlier, "mac"))),
    "another time": (51, lambda text, _: with_field(text, "lastmodified", 'lastmodified: "2020-01-01T00:00:00Z"')),
    "another suffix": (25, lambda text, _: text.replace("suffix: _unencrypted", "suffix: _other")),
    "a pattern that spares all": (
        51,
        lambda text, _: with_field(text, "unencrypted_suffix", "encrypted_regex: ^none$"),
    ),
    "a pattern for a clear value": (25, lambda text, _: with_field(text, "unencrypted_suffix", "encrypted_regex: .")),
    "a pattern that is none": (1, lambda text, _: with_field(text, "unencrypted_suffix", "encrypted_regex: (")),
    "a catastrophic pattern": (
        51,
        lambda text, _: with_field(text, "unencrypted_suffix", f"encrypted_regex: {CATASTROPHE}").replace(
            "\nn: ENC", f"\n{'x' * 900}: ENC"
        ),
    ),
    "a pattern without end": (
        1,
        lambda text, _: with_field(text, "unencrypted_suffix", f"encrypted_regex: {'(a*)*' * 5000}"),
    ),
    "another selector": (25, lambda text, _: with_field(text, "unencrypted_suffix", "unencrypted_comment_regex: note")),
    "two selectors": (1, lambda text, _: f"{text}    encrypted_regex: a\n"),
    "less under the MAC": (51, lambda text, _: f"{text}    mac_only_encrypted: true\n"),
    "another file's wrapped key": (25, lambda text, files: text.replace(wrapped(text), wrapped(files.apart))),
    "a wrapped key cut short": (128, lambda text, _: text.replace(wrapped(text), wrapped(text)[:200])),
    "a wrapped key that is none": (128, lambda text, _: text.replace(wrapped(text), "x")),
    "no recipient": (1, lambda text, _: re.sub(r"(?s)    age:.*?(?=    lastmodified)", "", text)),
    "aliases to no end": (1, lambda text, _: bomb() + text),
    "a hundred thousand levels": (1, lambda text, _: f"b: {'[' * 100_000}\n{text}"),
    "the entry is text": (1, lambda text, _: f"{text[: text.index('sops:')]}sops: text\n"),
    "the entry is a list": (1, lambda text, _: f"{text[: text.index('sops:')]}sops: []\n"),
    "the entry is all there is": (51, lambda text, _: text[text.index("sops:") :]),
    "the entry is gone": (1, lambda text, _: text[: text.index("sops:")]),
    "the entry stands twice": (1, lambda text, _: text + text[text.index("sops:") :]),
}
_OPENING = [
    "decrypt",
    "decrypt in place",
    "decrypt to a file",
    "extract",
    "edit",
    "set",
    "unset",
    "rotate",
    "add a recipient",
    "exec-env",
    "exec-file",
]


@pytest.mark.parametrize("command", _OPENING)
@pytest.mark.parametrize("damage", DAMAGE)
def test_every_command_that_opens_values_refuses(witness: Witness, files: Files, damage: str, command: str) -> None:
    code, change = DAMAGE[damage]
    text = files.files[NAME].decode()
    changed = change(text, files)
    assert changed != text
    witness.shell.write(NAME, changed)
    witness.fails(*commands(NAME)[command], code=code)


@pytest.mark.parametrize("command", ["merge into it", "merge it"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_merge_leaves_our_version(witness: Witness, files: Files, damage: str, command: str) -> None:
    code, change = DAMAGE[damage]
    witness.beside(NAME)
    witness.shell.write(NAME, change(files.files[NAME].decode(), files))
    if code == 128:
        # Another version's key opens it too, and it is wrapped again.
        assert witness.run(*commands(NAME)[command]).code == 0
        witness.shell.write(NAME, (witness.shell.folder / commands(NAME)[command][2]).read_bytes())
        assert covered(witness.run("decrypt", NAME).out, NAME) == covered(PLAIN[NAME], NAME)
        return
    witness.fails(*commands(NAME)[command], code=1)


@pytest.mark.parametrize("command", ["verify", "report"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_tells(witness: Witness, files: Files, damage: str, command: str) -> None:
    code, change = DAMAGE[damage]
    witness.shell.write(".sops.yaml", json.dumps({"creation_rules": [{"age": files.recipient}]}))
    witness.shell.write(NAME, change(files.files[NAME].decode(), files))
    if code == 128:
        # A file that no key opens is not damaged, unless the user requires its MAC to be verified.
        assert witness.run(*commands(NAME)[command]).code == 0
        witness.fails(*commands(NAME)[command], "--require-mac", code=128)
        return
    witness.fails(*commands(NAME)[command], code={1, 2, 25, 51})


@pytest.mark.parametrize("command", ["textconv", "fingerprints"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_git_diff_shows_it_as_it_is(witness: Witness, files: Files, damage: str, command: str) -> None:
    _, change = DAMAGE[damage]
    data = change(files.files[NAME].decode(), files).encode()
    witness.shell.write(NAME, data)
    done = witness.run(*commands(NAME)[command])
    assert (done.code, done.out) == (0, data)
    assert not witness.canaries.search_text(done.out, "stdout")


GROUPS: dict[str, tuple[int, Callable[[str, str], str]]] = {
    "a part of another file": (25, lambda text, other: text.replace(wrapped(text, 1), wrapped(other, 1))),
    "all parts of another file": (
        25,
        lambda text, other: text.replace(wrapped(text, 0), wrapped(other, 0)).replace(
            wrapped(text, 1), wrapped(other, 1)
        ),
    ),
    "a part twice": (128, lambda text, _: text.replace(wrapped(text, 1), wrapped(text, 0))),
    "parts for one": (128, lambda text, _: text.replace("shamir_threshold: 2", "shamir_threshold: 1")),
    "a threshold that is none": (1, lambda text, _: text.replace("shamir_threshold: 2", "shamir_threshold: 300")),
    "a threshold below nothing": (1, lambda text, _: text.replace("shamir_threshold: 2", "shamir_threshold: -1")),
    "two parts damaged": (128, lambda text, _: text.replace(wrapped(text, 0), "x").replace(wrapped(text, 1), "x")),
}


@pytest.mark.parametrize("command", _OPENING)
@pytest.mark.parametrize("damage", GROUPS)
def test_parts_of_a_data_key_that_do_not_belong_together_open_nothing(
    witness: Witness, files: Files, damage: str, command: str
) -> None:
    code, change = GROUPS[damage]
    witness.shell.env("SOPS_AGE_KEY", "\n".join([files.identity, *files.members]))
    changed = change(files.grouped, files.grouped_apart)
    assert changed != files.grouped
    witness.shell.write(NAME, changed)
    # rotate looks at the groups before it asks for a key.
    witness.fails(*commands(NAME)[command], code={code, 1} if command in {"rotate", "add a recipient"} else code)


@pytest.mark.parametrize("name", ["s.yaml", "s.json"])
def test_a_hundred_levels_are_taken_and_ten_thousand_refused(witness: Witness, name: str) -> None:
    def nested(levels: int) -> bytes:
        return b'{"a": ' * levels + b'"canary-of-text"' + b"}" * levels

    witness.shell.write(".sops.yaml", json.dumps({"creation_rules": [{"age": witness.sealed.recipient}]}))
    witness.shell.write(name, nested(100))
    assert witness.run("encrypt", "-i", name).code == 0
    for command in ("edit", "rotate", "verify", "report", "exec-file", "fingerprints"):
        assert witness.run(*commands(name)[command]).code == 0, command
    assert witness.run("decrypt", "--extract", '["a"]' * 100, name).out == b"chosen-of-text"
    sealed = (witness.shell.folder / name).read_bytes()
    for bad in (nested(10_000), b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", b'{"a": ' * 10_000):
        witness.fails("encrypt", "--filename-override", name, stdin=bad, code=2)
        witness.fails("decrypt", "--filename-override", name, stdin=bad, code=1)
    for path in ('["b"]' * 10_000, '["b"]' * 140):
        witness.fails("set", name, path, '{"a": ' * 100 + "1" + "}" * 100, code=2)
    witness.fails("set", name, '["b"]', '{"a": ' * 10_000 + "1" + "}" * 10_000, code=7)
    assert (witness.shell.folder / name).read_bytes() == sealed


@pytest.mark.parametrize("pattern", [CATASTROPHE, "(a*)*" * 1000, "^(([a-z])+.)+$", "(x+x+)+y"])
def test_catastrophic_patterns_end(witness: Witness, pattern: str) -> None:
    plain = b"%s: canary-of-text\n" % (b"x" * 900)
    assert witness.run("encrypt", "--encrypted-regex", pattern, "--filename-override", "x.yaml", stdin=plain).code == 0
    rule = {"path_regex": pattern, "age": OTHER}
    witness.shell.write(
        ".sops.yaml", json.dumps({"creation_rules": [rule, {"age": OTHER, "encrypted_regex": pattern}]})
    )
    for name in ("x" * 200 + ".yaml", "a" * 200 + ".yaml"):
        assert witness.run("encrypt", "--filename-override", name, stdin=plain).code == 0


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "a{1000000}", "((a{1,100}){1,100}){1,100}", "x" * 100_000])
def test_patterns_that_are_none_are_refused(witness: Witness, pattern: str) -> None:
    plain = PLAIN[NAME]
    for flag in (
        "--encrypted-regex",
        "--unencrypted-regex",
        "--encrypted-comment-regex",
        "--unencrypted-comment-regex",
    ):
        witness.fails("encrypt", flag, pattern, "--filename-override", NAME, stdin=plain, code=1)
    for rule in ({"path_regex": pattern}, {"encrypted_regex": pattern}, {"unencrypted_comment_regex": pattern}):
        witness.shell.write(".sops.yaml", json.dumps({"creation_rules": [{"age": OTHER, **rule}]}))
        witness.fails("encrypt", "--filename-override", NAME, stdin=plain, code=1)


def test_aliases_to_no_end_are_refused_in_rules_and_plain_files(witness: Witness) -> None:
    witness.fails("encrypt", "--filename-override", NAME, stdin=bomb().encode(), code=2)
    witness.shell.write(".sops.yaml", bomb())
    witness.fails("encrypt", "--filename-override", NAME, stdin=PLAIN[NAME], code=1)


def test_the_plaintext_is_covered_by_what_these_tests_take_for_it() -> None:
    assert [value for _, value in covered(PLAIN[NAME], NAME)] == [
        b"canary-of-text",
        b"987654321012",
        b"True",
        b"canary-of-an-item",
        b"clear",
    ]
