"""Whatever is changed in an encrypted file by hand is noticed before anything of it is used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from agent.sops.files import decrypt, sealed
from agent.sops.format.groups import unwrap_data_key
from agent.sops.stores import named
from agent.values.errors import MacMismatchError, SopsDecryptError, SopsError, SopsFormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Sops

PLAIN = b"""\
apiVersion: v1
kind: Secret
metadata:
  name: db
stringData:
  one: first-canary-value
  two: second-canary-value
  number: 5432
  items: [third-canary-value, fourth-canary-value]
"""
FILE = "tampered.yaml"
CANARIES = ("first-canary", "second-canary", "third-canary", "fourth-canary")


@pytest.fixture(scope="module")
def genuine(sops: Sops) -> str:
    return sops.encrypt(PLAIN, FILE, encrypted_regex="^stringData$").decode()


@pytest.fixture(scope="module")
def other(sops: Sops) -> str:
    """The same plaintext, encrypted apart: another data key."""
    return sops.encrypt(PLAIN, FILE, encrypted_regex="^stringData$").decode()


def value(text: str, key: str) -> str:
    found = re.search(rf"{key}: (ENC\[.*?\])\n", text)
    assert found
    return found[1]


def swap(text: str, one: str, two: str) -> str:
    first, second = value(text, one), value(text, two)
    return text.replace(first, "HOLD").replace(second, first).replace("HOLD", second)


def items(text: str) -> list[str]:
    return re.findall(r"        - ENC.*\n", text)


CHANGES: dict[str, tuple[type[SopsError], Callable[[str, str], str]]] = {
    "a clear value": (MacMismatchError, lambda text, _: text.replace("name: db", "name: other")),
    "a clear value added": (MacMismatchError, lambda text, _: text.replace("name: db", "name: db\n    extra: x")),
    "a value removed": (MacMismatchError, lambda text, _: re.sub(r"    two: .*\n", "", text)),
    "an item removed": (MacMismatchError, lambda text, _: text.replace(items(text)[0], "")),
    "items swapped": (
        MacMismatchError,
        lambda text, _: text.replace("".join(items(text)), "".join(reversed(items(text)))),
    ),
    "an item doubled": (MacMismatchError, lambda text, _: text.replace(items(text)[0], items(text)[0] * 2)),
    "keys reordered": (
        MacMismatchError,
        lambda text, _: re.sub(r"(    one: .*\n)(    two: .*\n)", r"\2\1", text),
    ),
    "values swapped": (SopsDecryptError, lambda text, _: swap(text, "one", "two")),
    "a key renamed": (SopsDecryptError, lambda text, _: text.replace("    two:", "    three:")),
    "another file's value": (
        SopsDecryptError,
        lambda text, other: text.replace(value(text, "one"), value(other, "one")),
    ),
    "a value written in the clear": (SopsDecryptError, lambda text, _: text.replace(value(text, "one"), "clear")),
    "a type that does not fit": (
        SopsDecryptError,
        lambda text, _: text.replace(value(text, "one"), value(text, "one").replace("type:str", "type:int")),
    ),
    "a value made a comment": (
        SopsFormatError,
        lambda text, _: text.replace(value(text, "one"), value(text, "one").replace("type:str", "type:comment")),
    ),
    "an item made a comment": (
        MacMismatchError,
        lambda text, _: text.replace(items(text)[0], items(text)[0].replace("type:str", "type:comment")),
    ),
    "no mac": (MacMismatchError, lambda text, _: re.sub(r"    mac: .*\n", "", text)),
    "an empty mac": (MacMismatchError, lambda text, _: re.sub(r"    mac: .*\n", '    mac: ""\n', text)),
    "another file's mac": (MacMismatchError, lambda text, other: text.replace(value(text, "mac"), value(other, "mac"))),
    "a mac that is a value": (MacMismatchError, lambda text, _: text.replace(value(text, "mac"), value(text, "one"))),
    "lastmodified": (
        MacMismatchError,
        lambda text, _: re.sub(r"lastmodified: .*\n", 'lastmodified: "2020-01-01T00:00:00Z"\n', text),
    ),
    "the mac's coverage": (
        MacMismatchError,
        lambda text, _: text.replace("    version:", "    mac_only_encrypted: true\n    version:"),
    ),
    "the selector": (
        SopsDecryptError,
        lambda text, _: text.replace("encrypted_regex: ^stringData$", "encrypted_regex: ^(stringData|name)$"),
    ),
    "no selector hits": (
        MacMismatchError,
        lambda text, _: text.replace("encrypted_regex: ^stringData$", "encrypted_regex: ^x$"),
    ),
    "the metadata cut out": (SopsFormatError, lambda text, _: text[: text.index("sops:")]),
}


STRUCTURE = b"""\
number: "12"
unencrypted_word: true
users:
- {name: a, password: one}
- {name: b, password: two}
nested: [[x, y], [z]]
empty_unencrypted: {a: x}
"""

UNNOTICED: dict[str, tuple[Callable[[str], str], bytes, bytes]] = {
    "the type of an encrypted value": (
        lambda text: re.sub(r"(number: .*type:)str", r"\1int", text),
        b'number: "12"',
        b"number: 12",
    ),
    "the type of a clear value": (
        lambda text: text.replace("unencrypted_word: true", 'unencrypted_word: "True"'),
        b"unencrypted_word: true",
        b'unencrypted_word: "True"',
    ),
    "to which item of a list a key belongs": (
        lambda text: re.sub(
            r"      (password: .*\n)    - (name: .*\n)      (password: )", r"    - \1      \2    - \3", text
        ),
        b"      password: one\n    - name: b\n      password: two\n",
        b"    - password: one\n      name: b\n    - password: two\n",
    ),
    "to which list an item belongs": (
        lambda text: re.sub(r"      - (ENC.*\n)    - - (ENC.*\n)", r"    - - \1      - \2", text),
        b'      - "y"\n    - - z\n',
        b'    - - "y"\n      - z\n',
    ),
    "an empty map": (
        lambda text: text.replace("users:", "more: {}\nusers:"),
        b"users:",
        b"more: {}\nusers:",
    ),
    "an empty list": (
        lambda text: text.replace("users:", "more: []\nusers:"),
        b"users:",
        b"more: []\nusers:",
    ),
    "the selector": (
        lambda text: text.replace("unencrypted_regex: unencrypted", "unencrypted_regex: unencrypted|later"),
        b"",
        b"",
    ),
}
"""What docs/sops.md says that the MAC does not cover: how the file is changed, and what of the plaintext then reads how."""


@pytest.mark.parametrize("change", UNNOTICED)
def test_what_the_mac_does_not_cover_is_taken_by_sops_too(sops: Sops, change: str) -> None:
    edit, before, after = UNNOTICED[change]
    genuine = sops.encrypt(STRUCTURE, FILE, unencrypted_regex="unencrypted").decode()
    changed = edit(genuine)
    assert changed != genuine
    plain = sops.decrypt(genuine.encode(), FILE)
    assert before in plain
    expected = plain.replace(before, after) if before else plain
    assert sops.decrypt(changed.encode(), FILE) == expected
    file = decrypt.read(changed.encode(), file=FILE, store=named("yaml"))
    opened = decrypt.decrypt(file, unwrap_data_key(file.metadata.data_key, sops.keys, file=FILE))
    assert named("yaml").emit(opened.documents) == expected


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_gives_nothing(sops: Sops, genuine: str, other: str, change: str) -> None:
    error, edit = CHANGES[change]
    changed = edit(genuine, other)
    assert changed != genuine

    def by_the_agent() -> object:
        file = sealed.open_file(changed.encode(), file=FILE)
        assert file is not None
        return sealed.unseal(file.parts[0], unwrap_data_key(file.parts[0].metadata.data_key, sops.keys, file=FILE))

    def by_the_command() -> object:
        file = decrypt.read(changed.encode(), file=FILE, store=named("yaml"))
        return decrypt.decrypt(file, unwrap_data_key(file.metadata.data_key, sops.keys, file=FILE))

    with pytest.raises(error) as caught:
        by_the_agent()
    assert caught.value.facts["file"] == FILE
    with pytest.raises(SopsError) as printed:
        by_the_command()
    for shown in (caught.value, printed.value):
        assert not any(canary in f"{shown!r} {shown} {shown.facts}" for canary in CANARIES)
        assert shown.__cause__ is None

    theirs = sops.run("decrypt", name=FILE, data=changed.encode())
    assert theirs.returncode != 0


def test_the_mac_can_be_ignored_by_the_command_alone(sops: Sops, genuine: str) -> None:
    changed = genuine.replace("name: db", "name: other")
    file = decrypt.read(changed.encode(), file=FILE, store=named("yaml"))
    data_key = unwrap_data_key(file.metadata.data_key, sops.keys, file=FILE)
    plain = decrypt.decrypt(file, data_key, ignore_mac=True)
    assert b"name: other" in named("yaml").emit(plain.documents)


def test_what_the_mac_does_not_cover_may_change(sops: Sops) -> None:
    text = sops.encrypt(PLAIN, FILE, encrypted_regex="^stringData$", mac_only_encrypted=True)
    changed = text.replace(b"name: db", b"name: other")
    file = sealed.open_file(changed, file=FILE)
    assert file is not None
    opened = sealed.unseal(file.parts[0], unwrap_data_key(file.parts[0].metadata.data_key, sops.keys, file=FILE))
    assert len(opened) == 5


def test_a_plain_file_is_none_of_ours() -> None:
    assert sealed.open_file(PLAIN, file=FILE) is None
    for text in (
        b"# sops: a comment\na: b\n",
        b"a: 'sops: text'\n",
        b"a: {sops: 1}\n",
        b"y: 1\ny: 2 # sops: twice\n",
        b'{"a": "sops"}',
    ):
        assert sealed.open_file(text, file=FILE) is None


@pytest.mark.parametrize(
    "entry",
    [
        b"sops: 1\n",
        b"sops: []\n",
        b"sops: {}\n",
        b"sops: {version: 3.9.0}\n",
        b"sops: {mac: x, version: '3.9.0', lastmodified: '2020-01-01T00:00:00Z'}\n",
    ],
)
def test_a_sops_entry_that_is_none_is_an_error(entry: bytes) -> None:
    with pytest.raises(SopsFormatError):
        sealed.open_file(b"a: 1\n" + entry, file=FILE)
