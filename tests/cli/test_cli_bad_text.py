"""Text that is none, or odd, ends as it does for sops: with its exit code, or with values that both read alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from refusals import Sealed, Witness, covered

if TYPE_CHECKING:
    from conftest import Shell

ODD: dict[str, list[bytes]] = {
    "s.yaml": [
        b"",
        b"\n",
        b"\n\n  \n",
        b"# canary\n",
        b"---\n",
        b"---\n---\n",
        b"...\n",
        b"null\n",
        b"~\n",
        b"{}\n",
        b"[]\n",
        b"1\n",
        b"canary\n",
        b"- canary\n",
        b"sops:\n",
        b"sops: {}\n",
        b"a: 1\nsops:\n",
        b"a: 1\nsops: canary\n",
        b"\xef\xbb\xbfa: canary\n",
        "\ufeffa: canary\n".encode("utf-16-le"),
        "\ufeffa: canary\n".encode("utf-16-be"),
        "a: canary\n".encode("utf-16-le"),
        "a: café\n".encode("latin-1"),
        b"a: \x00\n",
        b"a: \x01\n",
        b"a: \x7f\n",
        b"\x89PNG\r\n\x1a\n\x00\x00",
        bytes(range(256)),
        b"a: 18446744073709551615\n",
        b"a: 18446744073709551616\n",
        b"a: -9223372036854775809\n",
        b"a: 0x1" + b"F" * 400 + b"\n",
        b"a: 1" + b"0" * 400 + b"\n",
        b"a: 1e999\n",
        b"a: .inf\n",
        b"1: canary\n",
        b"true: canary\n",
        b"? [a]\n: canary\n",
        b"a: canary\na: canary\n",
        b"a: &a [*a]\n",
        b"a: *nothing\n",
        b"a: !!int canary\n",
        b"a: !!binary canary!\n",
        b"a: !!float 1\n",
        b"\ta: canary\n",
        b"a: 'canary\n",
        b"a: [canary\n",
        b"a: {canary\n",
        b"a: |\ncanary\n",
        b"%YAML 3.0\n---\na: canary\n",
        b"<<: canary\n",
        b"a: @canary\n",
        b"a: canary: canary\n",
    ],
    "s.json": [
        b"",
        b" \n",
        b"null",
        b"[]",
        b"1",
        b'"canary"',
        b"{",
        b"}",
        b"{}",
        b'{"a": "canary",}',
        b'{"a": canary}',
        b"{'a': 'canary'}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": 01}',
        b'{"a": +1}',
        b'{"a": "canary"} {"b": 1}',
        b'{"a": "canary"}\n// canary',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": "\x01"}',
        b'{"a": "\\x"}',
        b'{"a": "canary',
        b'{"a": 18446744073709551616}',
        b'{"a": 1' + b"0" * 400 + b"}",
        b'\xef\xbb\xbf{"a": "canary"}',
        '{"a": "canary"}'.encode("utf-16"),
        b'{"sops": {}}',
        b'{"a": 1, "sops": "canary"}',
    ],
    "s.env": [
        b"",
        b"\n",
        b"# canary\n",
        b"canary\n",
        b"=canary\n",
        b"A\n",
        b"A=\n",
        b"A=canary\nA=canary\n",
        b" A = canary \n",
        b"A=\x00\n",
        b"\xff=\xff\n",
        b"\xef\xbb\xbfA=canary\n",
        b"A=canary\r\n",
        b"sops_x=canary\n",
        b"sops=canary\n",
        "A=canary\n".encode("utf-16"),
    ],
    "s.ini": [
        b"",
        b"\n",
        b"; canary\n",
        b"canary\n",
        b"[canary\n",
        b"[]\ncanary = 1\n",
        b"[a]\n= canary\n",
        b"[a]\nb\n",
        b"[a]\nb =\n",
        b'[a]\nb = """canary\n',
        b"[a]\nb = `canary\n",
        b'[a]\nb = "canary\n',
        b"[a]\nb = canary\\\n",
        b"[a]\nb = \x00\n",
        b"[a]\n\xff = \xff\n",
        b"\xef\xbb\xbf[a]\nb = canary\n",
        b"[sops]\nb = canary\n",
        "[a]\nb = canary\n".encode("utf-16"),
    ],
    "s.txt": [b"", b"\x00", b"\xff\xfe", b"{", b'{"data": 1}', b'{"sops": {}}'],
}
STRICTER = {
    b'{"a": "canary"} {"b": 1}': 2,
    b'{"a": "canary"}\n// canary': 2,
    b"sops=canary\n": 203,
    b"a: 18446744073709551616\n": 23,
    b"a: -9223372036854775809\n": 23,
    b'{"a": 18446744073709551616}': 23,
    b'{"a": "\\ud800"}': 2,
    b'{"a": "\xff"}': 2,
    "A=canary\n".encode("utf-16"): 2,
    "[a]\nb = canary\n".encode("utf-16"): 2,
    b"; canary\n": 23,
    b"[a]\nb = canary\\\n": 2,
}
"""What sops takes: text behind an object, comments and a backslash, which it drops, numbers that it rounds, text that it replaces, UTF-16 that it takes for a key,
and a key of a `.env` file by which we know the metadata."""


@pytest.fixture(scope="module")
def sealed() -> Sealed:
    return Sealed()


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, texts in ODD.items() for data in texts])
def test_odd_text_ends_as_with_sops(shell: Shell, sealed: Sealed, name: str, data: bytes) -> None:
    witness = Witness(shell, sealed)
    shell.write(name, data)
    theirs = shell.sops("encrypt", "--age", sealed.recipient, name)
    ours = witness.run("encrypt", "--age", sealed.recipient, name)
    assert "canary" not in ours.err
    assert ours.code == STRICTER.get(data, theirs.code), (ours.err, theirs.err)
    if ours.code == 0:
        shell.write(name, theirs.out)
        plain = witness.run("decrypt", name)
        shell.write(name, ours.out)
        assert covered(shell.sops("decrypt", name).out, name) == covered(plain.out, name)
        assert covered(witness.run("decrypt", name).out, name) == covered(plain.out, name)


HUGE = "1" + "0" * 5000
FLAGS: dict[str, tuple[int, list[str]]] = {
    "an indent of gigabytes": (1, ["decrypt", "--indent", "1000000000", "s.json"]),
    "an indent below nothing": (1, ["decrypt", "--indent", "-1", "s.json"]),
    "an indent that is no number": (1, ["decrypt", "--indent", "canary", "s.json"]),
    "a place without end": (91, ["decrypt", "--extract", f"[{HUGE}]", "s.yaml"]),
    "a place of an item without end": (7, ["unset", "s.yaml", f'["l"][{HUGE}]']),
    "a number without end": (7, ["set", "s.yaml", '["a"]', HUGE]),
    "a group without end": (1, ["groups", "delete", "-i", "-f", "s.yaml", HUGE]),
}


@pytest.mark.parametrize("case", FLAGS)
def test_numbers_that_lead_nowhere_are_refused(shell: Shell, sealed: Sealed, case: str) -> None:
    code, arguments = FLAGS[case]
    witness = Witness(shell, sealed)
    for name, data in sealed.files.items():
        shell.write(name, data)
    before = witness.listing()
    done = shell.agent(*arguments)
    assert (done.code, done.out) == (code, b"")
    assert "\nhint: " in done.err
    assert witness.listing() == before


@pytest.mark.parametrize("size", ["1000000000", "0", "-5"])
def test_conflict_markers_of_no_size_have_the_usual_one(shell: Shell, sealed: Sealed, size: str) -> None:
    """A repository's attributes say how large they are."""
    witness = Witness(shell, sealed)
    witness.beside("s.yaml")
    for name, value in (("theirs", "1"), ("s.yaml", "2")):
        shell.write("s.yaml", sealed.files["s.yaml"])
        assert shell.agent("set", "s.yaml", '["n"]', value).code == 0
        shell.write(name, (shell.folder / "s.yaml").read_bytes())
    assert shell.agent("merge-driver", "base", "s.yaml", "theirs", "s.yaml", size).code == 1
    assert b"\n<<<<<<< " in (shell.folder / "s.yaml").read_bytes()
