"""`.env` and INI files keep what did not change: blank lines, order, spacing, quotes, and comments where they stood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sops_documents import FLAT, assert_same, drawn, opened, ours

from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.format.groups import unwrap_data_key
from agent.sops.format.selection import Selection
from agent.sops.stores import Store, ini, named
from agent.sops.stores.alignment import align
from agent.values.errors import YamlError
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence

if TYPE_CHECKING:
    from conftest import Sops

METADATA = Entry(
    "sops", Mapping((Entry("age", Sequence((Mapping((Entry("enc", "a\nb"),)),))), Entry("version", "3.13.3")))
)
ENV = b"""\
# head

A=1

B= spaced "quoted"
#last
C=x


"""
INI = b"""\
; of the first key
top = 1
other : two ; behind

# one
;two
[section] # behind the header
quoted   = "inner"
single='x'

  ; spaced
  lines = \"\"\"one
two\"\"\"
[again]
  key=1

; of no key
"""


def sealed(node: Mapping, *, top: bool = True) -> Mapping:
    items: list[Entry | Comment] = []
    for item in node.items:
        if isinstance(item, Comment):
            items.append(Comment("ENC[note]" if item.text else ""))
        elif isinstance(item.value, Mapping):
            items.append(Entry(item.key, sealed(item.value, top=False)))
        else:
            items.append(Entry(item.key, "ENC[value]" if item.value else item.value))
    return Mapping((*items, METADATA)) if top else Mapping(tuple(items))


def splice(store: Store, before: bytes, document: Mapping) -> bytes:
    return store.splice(before, [document], file="f").data


def parsed(store: Store, data: bytes) -> Mapping:
    return store.parse_plain(data, file="f")[0]


@pytest.mark.parametrize(
    ("store", "data"),
    [
        (named("dotenv"), ENV),
        (named("dotenv"), FLAT["values.env"]),
        (named("dotenv"), b"A=1\r\n# note\r\nB=2\r\n"),
        (named("ini"), INI),
        (named("ini"), FLAT["values.ini"]),
        (named("ini"), INI.replace(b"\n", b"\r\n")),
        (named("ini"), b"\xef\xbb\xbf; note\na = 1"),
    ],
)
def test_what_does_not_change_is_the_same_file(store: Store, data: bytes) -> None:
    assert splice(store, data, parsed(store, data)) == data


def test_an_env_file_is_encrypted_line_by_line_and_back() -> None:
    document = parsed(named("dotenv"), ENV)
    there = splice(named("dotenv"), ENV, sealed(document))
    assert there.startswith(
        b"#ENC[note]\n\nA=ENC[value]\n\nB=ENC[value]\n#ENC[note]\nC=ENC[value]\nsops_age__list_0__map_enc=a\\nb\n"
    )
    assert splice(named("dotenv"), there, document) == ENV


def test_an_ini_file_is_encrypted_line_by_line_and_back() -> None:
    document = parsed(named("ini"), INI)
    there = splice(named("ini"), INI, sealed(document))
    assert (
        there.decode()
        == """\
; ENC[note]
top = ENC[value]
; ENC[note]
other : ENC[value]

; ENC[note]
[section]
quoted   = ENC[value]
single=ENC[value]

; ENC[note]
  lines = ENC[value]
[again]
; ENC[note]
  key=ENC[value]

[sops]
age__list_0__map_enc = a\\nb
version              = 3.13.3
"""
    )
    back = splice(named("ini"), there, document).decode()
    assert named("ini").parse_plain(back.encode(), file="f") == [document]
    # Comments behind something, and the last ones, go above it, and quotes that say nothing go.
    assert (
        back
        == """\
; of the first key
top = 1
; behind
other : two

; one
;two
# behind the header
[section]
quoted   = inner
single=x

; spaced
  lines = \"\"\"one
two\"\"\"
[again]
; of no key
  key=1
"""
    )


@pytest.mark.parametrize(
    ("store", "before", "document", "after"),
    [
        (named("dotenv"), b"A=1\n\nB=2\n", "A=1\nNEW=x\nB=2", b"A=1\nNEW=x\n\nB=2\n"),
        (named("dotenv"), b"A=1\n\nB=2\n", "B=2", b"\nB=2\n"),
        (named("dotenv"), b"A=1\n\nB=2\n", "A=1\nC=2", b"A=1\n\nC=2\n"),
        (named("dotenv"), b"A=1\n\nB=2\n", "B=3\nA=1", b"B=3\nA=1\n"),
        (named("dotenv"), b"A=1\nA=2", "A=1\nA=3", b"A=1\nA=3"),
        (named("dotenv"), b"# a\n# b\nA=1\n", "# b\nA=1", b"# b\nA=1\n"),
        (named("ini"), b"[s]\na=1\n\nb  =  2 ; note\n", "[s]\na=9\nb=2 ; note", b"[s]\na=9\n\nb  =  2 ; note\n"),
        (named("ini"), b"[s]\na=1\n\nb  =  2 ; note\n", "[s]\na=1\nb=9 ; note", b"[s]\na=1\n\n; note\nb  =  9\n"),
        (named("ini"), b"[s]\na=1\n[t]\nb=2\n", "[s]\na=1\nnew=x\n[t]\nb=2", b"[s]\na=1\nnew = x\n[t]\nb=2\n"),
        (named("ini"), b"[s]\na=1\n[t]\nb=2\n", "[t]\nb=2", b"[t]\nb=2\n"),
        (named("ini"), b"[s]\na=1", "[s]\na=1\n[t]\nb=2", b"[s]\na=1\n\n[t]\nb = 2"),
        (named("ini"), b"; x\n[s]\na=1\n", "; y\n[s]\na=1", b"; y\n[s]\na=1\n"),
        # A key twice has no lines of its own; only a file with metadata may have one.
        (named("ini"), b"[s]\na=1\na=2\nb=1\n[sops]\n", "[s]\na=2\nb=3", b"[s]\na = 2\nb = 3\n"),
    ],
)
def test_lines_that_come_go_or_change_leave_the_others(
    store: Store, before: bytes, document: str, after: bytes
) -> None:
    assert splice(store, before, parsed(store, document.encode())) == after


LINES = st.lists(
    st.tuples(
        st.sampled_from(["", "", "  "]),
        st.sampled_from(
            [
                "; CANARY",
                "#CANARY",
                "[s]",
                "[t] ; CANARY",
                "a = CANARY",
                "b=CANARY",
                'c : "CANARY"',
                "d = `CANARY`",
                "e=",
            ]
        )
        | st.sampled_from(['f = """CANARY\nCANARY"""', "g = CANARY \\\nCANARY", "h = CANARY # CANARY", "a=CANARY"]),
        st.sampled_from(["", "", "\n", "\r", " ; CANARY"]),
    ).map("".join),
    max_size=12,
)


@given(LINES)
def test_nothing_of_an_ini_file_that_was_encrypted_stays_readable(lines: list[str]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    try:
        document = parsed(named("ini"), data)
    except YamlError:
        return
    assert splice(named("ini"), data, document) == data
    there = splice(named("ini"), data, sealed(document))
    assert b"CANARY" not in there
    assert named("ini").parse(there, file="f") == named("ini").parse(ini.emit([sealed(document)]), file="f")
    back = splice(named("ini"), there, document)
    assert parsed(named("ini"), back) == document or parsed(named("ini"), ini.emit([document])) != document


@given(st.text("AB#=\n\r \\n", max_size=40), st.text("AB#=\n\r \\n", max_size=40))
def test_an_env_file_says_what_is_wanted_and_nothing_else(before: str, after: str) -> None:
    try:
        parsed(named("dotenv"), before.encode())
        wanted = parsed(named("dotenv"), after.encode())
    except YamlError:
        return
    assert parsed(named("dotenv"), splice(named("dotenv"), before.encode(), wanted)) == wanted


ENDS = {
    "no last break": ("a.env", b"A=1\n\n# c\nB=2"),
    "no last break in sections": ("a.ini", b"; c\n[s]\na = 1\n\n[t]\nb=2"),
    "no last break, of Windows": ("a.ini", b"[s]\r\na = 1\r\nb=2"),
    "a box of comments": ("a.ini", b";\n; box\n;\n[s]\n#\n# box\n#\na = 1\n"),
    "a box of comments, of Windows": ("a.ini", b";\r\n; box\r\n;\r\n[s]\r\n#\r\n# box\r\na = 1\r\n"),
}


@pytest.mark.parametrize(("name", "data"), ENDS.values(), ids=ENDS)
def test_a_file_comes_back_as_it_was_and_real_sops_opens_what_is_between(sops: Sops, name: str, data: bytes) -> None:
    store = stores.of(name)
    there = splice(store, data, store.parse(ours(sops, data, name, Selection()), file=name)[0])
    file = decrypt.read(there, file=name, store=store)
    plain = decrypt.decrypt(file, unwrap_data_key(file.metadata.data_key, sops.keys, file=name))
    assert splice(store, there, plain.documents[0]) == data
    assert b"".join(sops.decrypt(there, name).split()) == b"".join(data.split())


@pytest.mark.parametrize("name", ["values.env", "values.ini"])
def test_real_sops_opens_what_was_spliced(sops: Sops, name: str) -> None:
    store = stores.of(name)
    made = ours(sops, FLAT[name], name, Selection())
    spliced = splice(store, FLAT[name], store.parse(made, file=name)[0])
    assert spliced != made
    assert_same(sops.decrypt(spliced, name), sops.decrypt(made, name))
    assert_same(opened(sops, spliced, name), opened(sops, made, name))


def test_many_lines_are_spliced_both_ways(sops: Sops) -> None:
    values = drawn(st.text(st.characters(codec="utf-8", exclude_characters="\n\ufeff"), max_size=12), 400)
    data = "".join(f"# note\nKEY{number}={value}\n\n" for number, value in enumerate(values)).encode()
    made = ours(sops, data, "many.env", Selection())
    spliced = splice(named("dotenv"), data, named("dotenv").parse(made, file="many.env")[0])
    assert_same(sops.decrypt(spliced, "many.env"), sops.decrypt(made, "many.env"))
    assert splice(named("dotenv"), spliced, parsed(named("dotenv"), data)) == data


@given(st.lists(st.integers(0, 30), unique=True), st.lists(st.integers(0, 30), unique=True))
def test_items_keep_their_places_where_their_order_is_kept(old: list[int], new: list[int]) -> None:
    found = align(old, new)
    kept = [index for index in found if index is not None]
    assert kept == sorted(set(kept))
    if [item for item in new if item in old] == [item for item in old if item in new]:
        assert all(found[number] == old.index(item) for number, item in enumerate(new) if item in old)
