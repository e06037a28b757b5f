"""Files of every type: ours and those of real sops, one type into another, and what neither takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sops_documents import (
    DOCUMENTS,
    FLAT,
    NOW,
    SELECTIONS,
    assert_agreement,
    assert_same,
    attempt,
    drawn,
    opened,
    ours,
)

from agent.cli import exit_codes
from agent.sops import stores
from agent.sops.format.selection import Selection
from agent.sops.stores import NAMES, Store, dotenv, ini, named
from agent.values.errors import AlreadyEncryptedError, EmitError, LimitError, SopsFormatError, YamlError
from agent.values.text import is_lfs_pointer
from agent.yaml.limits import Limits
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence, Timestamp

if TYPE_CHECKING:
    from conftest import Sops

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n\ufeff"), max_size=12) | st.text(
    "ab =:#;'\"`[]\\%(){}\t", max_size=10
)


@pytest.mark.parametrize(
    ("file", "name", "store"),
    [
        ("a.yaml", "", named("yaml")),
        ("a.yml", "", named("yaml")),
        ("a.json", "", named("json")),
        ("a.env", "", named("dotenv")),
        (".env", "", named("dotenv")),
        ("a.ini", "", named("ini")),
        ("a.txt", "", named("binary")),
        ("env", "", named("binary")),
        ("a.YAML", "", named("binary")),
        ("a.yaml.bak", "", named("binary")),
        ("a.txt", "dotenv", named("dotenv")),
        ("a.yaml", "binary", named("binary")),
        ("a.yaml", "toml", named("yaml")),
        ("a.yaml", "BINARY", named("yaml")),
    ],
)
def test_a_file_is_of_the_type_that_it_is_called_or_named_as(file: str, name: str, store: Store) -> None:
    assert stores.of(file, name) is store


@pytest.mark.parametrize("selection", SELECTIONS, ids=[each.selector for each in SELECTIONS])
@pytest.mark.parametrize("name", FLAT)
def test_both_directions_give_what_sops_gives(sops: Sops, name: str, selection: Selection) -> None:
    assert_agreement(sops, FLAT[name], name, selection)


def test_env_files_of_any_lines_survive_both_ways(sops: Sops) -> None:
    pairs = drawn(st.tuples(st.from_regex(r"[^\n#=][^\n=]{0,8}", fullmatch=True), LINES), 1500)
    lines = [
        f"#{value}" if number % 7 == 0 else f"{key}={value}"
        for number, (key, value) in enumerate(pairs)
        if not key.startswith(("sops", "\ufeff"))
    ]
    data = "\n".join(f"{line}\n" if number % 5 == 0 else line for number, line in enumerate(lines))
    assert_agreement(sops, data.encode("utf-8", "surrogateescape"), "any.env", Selection())
    assert_agreement(sops, data.encode("utf-8", "surrogateescape"), "any.env", Selection("encrypted_regex", "[a-m]"))


def test_ini_files_of_any_lines_survive_both_ways(sops: Sops) -> None:
    """Each value in a section of its own, except for those that sops cuts, or writes so that they are read as something else."""
    sections: list[str] = []
    for number, value in enumerate(drawn(LINES.filter(lambda value: not set(value) & set("#;")), 1200)):
        section = f"[s{number}]\n; note {value}\nkey = {value}\nother=1\n"
        try:
            [document] = named("ini").parse_plain(section.encode("utf-8", "surrogateescape"), file="f")
        except YamlError:
            continue
        found = document.get(f"s{number}")
        text = found.get("key") if isinstance(found, Mapping) and len(found.items) == 3 else None
        if isinstance(text, str) and (not set(text) & set("\"'`\\") or re.fullmatch(r"\w[^`\n;#]*\w", text)):
            sections.append(section)
    assert len(sections) > 400
    assert_agreement(sops, "\n".join(sections).encode("utf-8", "surrogateescape"), "any.ini", Selection())


@pytest.mark.parametrize("size", [0, 1, 4096, 100_000])
def test_any_bytes_survive_both_ways(sops: Sops, size: int) -> None:
    data = bytes((number * number + number // 251) % 256 for number in range(size))
    made = ours(sops, data, "any.bin", Selection())
    assert sops.decrypt(made, "any.bin") == data
    assert opened(sops, sops.encrypt(data, "any.bin"), "any.bin") == data


@given(st.binary(max_size=200).filter(lambda data: not is_lfs_pointer(data)))
def test_a_binary_file_is_its_bytes(data: bytes) -> None:
    documents = named("binary").parse_plain(data, file="f")
    assert named("binary").emit(documents) == data


@pytest.mark.parametrize("name", [*FLAT, "values.json", "scalars.yaml"])
def test_the_layout_is_that_of_sops(sops: Sops, name: str) -> None:
    """Except for what is random: keys and values."""
    data = (DOCUMENTS | FLAT)[name]

    def layout(data: bytes) -> str:
        text = re.sub(r"(?s)-----BEGIN.*?-----END AGE ENCRYPTED FILE-----", "AGE", data.decode())
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", re.sub(r"ENC\[[^]]*\]", "ENC", text))

    assert layout(ours(sops, data, name, Selection())) == layout(sops.encrypt(data, name))


OUTPUTS = ["yaml", "json", "dotenv", "ini", "binary"]


@pytest.mark.parametrize("target", OUTPUTS)
@pytest.mark.parametrize(
    "name",
    [
        *FLAT,
        "values.json",
        "scalars.yaml",
        "texts.yaml",
        "nesting.yaml",
        "comments.yaml",
        "multi.yaml",
        "flat.yaml",
        "breaks.env",
    ],
)
def test_one_type_is_given_out_as_another(sops: Sops, name: str, target: str) -> None:
    documents = (
        DOCUMENTS
        | FLAT
        | {"flat.yaml": b"# c\ns: text\nl: |\n  a\n  b\ni: 5\nf: 2.0\nbig: 1e21\nt: true\nd: 2024-01-02\nn: null\n"}
        | {"breaks.env": "#a\rb: c\nA=x\n#d\r\n#\u2028#e\x85\x85 f\nB=z\n#\r\n".encode()}
    )
    made = ours(sops, documents[name], name, Selection())
    done = sops.run("decrypt", "--output-type", target, name=name, data=made)
    text = attempt(lambda: opened(sops, made, name, stores.of("", target)))
    if isinstance(text, bytes):
        assert done.returncode == 0
        assert_same(text, done.stdout)
    else:
        assert text == done.returncode


REFUSED = [
    ("no-equals.env", b"A=1\nno equals sign\n"),
    ("carriage.env", b"A=1\r\n\r\n"),
    ("mark.env", b"\xef\xbb\xbf# comment\nA=1\n"),
    ("metadata.env", b"sops_version=1\n"),
    ("fine.env", b"=empty key\n==\n"),
    ("empty.env", b""),
    ("blank.env", b"\n\n"),
    ("open.ini", b"[section\na = 1\n"),
    ("nameless.ini", b"[]\na = 1\n"),
    ("word.ini", b"[s]\nword\n"),
    ("keyless.ini", b"= 1\n"),
    ("unclosed.ini", b'a = """b\nc\n'),
    ("backtick.ini", b"a = `b\n"),
    ("quoted.ini", b'"a = b\n'),
    ("metadata.ini", b"[sops]\na = 1\n"),
    ("empty.ini", b""),
    ("mark.ini", b"\xef\xbb\xbfa = 1\n"),
    ("carriage.ini", b"a = 1\r\n[s]\r\nb = 2\r\n"),
    ("empty.json", b""),
    ("list.json", b"[1]\n"),
    ("text.json", b'"a"\n'),
    ("cut.json", b'{"a": 1'),
    ("comma.json", b'{"a": 1,}'),
    ("key.json", b"{1: 2}"),
    ("metadata.json", b'{"sops": 1}'),
    ("empty.bin", b""),
    ("metadata.bin", b'{"sops": 1}'),
    ("empty.yaml", b""),
    ("marker.yaml", b"---\n"),
    ("comment.yaml", b"# only a comment\n"),
    ("blank.yaml", b"\n"),
    ("mark.yaml", b"\xef\xbb\xbfa: 1\n"),
    ("carriage.yaml", b"a: 1\r\nb:\r\n  - x\r\n"),
    ("list.yaml", b"- a\n"),
    ("text.yaml", b"text\n"),
    ("number.yaml", b"1: a\n"),
    ("null.yaml", b"~: a\n"),
    ("large.yaml", b"a: 9223372036854775808\n"),
    ("twice.yaml", b"a: 1\na: 2\n"),
    ("open.yaml", b"a: [\n"),
    ("tab.yaml", b"a:\n\t- b\n"),
    ("alias.yaml", b"a: *b\n"),
    ("metadata.yaml", b"sops: 1\n"),
    ("directive.yaml", b"%YAML 1.1\n---\na: 1\n"),
    ("encoding.yaml", b"a: \xff\n"),
    ("control.yaml", b"a: \x01\n"),
]


@pytest.mark.parametrize(("name", "data"), REFUSED, ids=[name for name, _ in REFUSED])
def test_what_sops_refuses_to_encrypt_is_refused_with_its_exit_code(sops: Sops, name: str, data: bytes) -> None:
    done = sops.run("encrypt", "--age", sops.recipient, name=name, data=data)
    made = attempt(lambda: ours(sops, data, name, Selection()))
    if isinstance(made, bytes):
        assert done.returncode == 0
        assert_same(sops.decrypt(made, name), sops.decrypt(done.stdout, name))
    else:
        assert made == done.returncode


def test_metadata_that_was_written_over_several_lines_is_read(sops: Sops) -> None:
    """As sops 3.13.0 and 3.13.1 did in INI files."""
    made = ours(sops, b"[s]\nk = secret\n", "f.ini", Selection()).decode()
    changed = re.sub(r"= (-----BEGIN.*)", lambda found: '= """' + found[1].replace("\\n", "\n") + '"""', made)
    assert changed.count("\n") > made.count("\n")
    assert opened(sops, changed.encode(), "f.ini") == b"[s]\nk = secret\n"


@pytest.mark.parametrize(
    "fields",
    [
        "sops_mac=a\nsops_mac=b\n",
        "sops_age=a\nsops_age__list_0__map_enc=b\n",
        "sops_age__list_1__map_enc=b\n",
        "sops_age__list_x=a\nsops_age__list_9999999999999999999999=b\n",
        "sops_=a\nsops___list_0=b\n",
    ],
)
def test_metadata_that_contradicts_itself_is_refused(fields: str) -> None:
    with pytest.raises(SopsFormatError):
        named("dotenv").parse(fields.encode(), file="f.env")


def test_nesting_has_a_limit() -> None:
    with pytest.raises(LimitError):
        named("dotenv").parse(b"sops_a" + b"__map_a" * 100_000 + b"=1\n", file="f.env")
    for store in map(named, NAMES):
        with pytest.raises((LimitError, YamlError)):
            store.parse(b"a=" * 100, file="f", limits=Limits(size=100))


@pytest.mark.parametrize(
    ("store", "document"),
    [
        (named("dotenv"), Mapping((Entry("a", Mapping()),))),
        (named("dotenv"), Mapping((Entry("a", Sequence()),))),
        (named("ini"), Mapping((Entry("a", "text"),))),
        (named("ini"), Mapping((Entry("", Mapping()),))),
        (named("ini"), Mapping((Entry("s", Mapping((Entry("k", Sequence()),))),))),
        (named("ini"), Mapping((Entry("s", Mapping((Entry("k", "1"), Entry("k", "2")))),))),
        (named("ini"), Mapping((Entry("s", Mapping((Entry('a`b"""c', "1"),))),))),
        (named("ini"), Mapping((Entry("s", Mapping((Entry("k", 'a"""\n`\nb'),))),))),
        (named("binary"), Mapping((Entry("a", "text"),))),
        (named("binary"), Mapping((Entry("data", 5),))),
        (named("json"), Mapping((Entry("a", float("inf")),))),
        (named("json"), Mapping((Entry(1, "a"),))),
    ],
)
def test_what_has_no_form_in_a_type_is_an_error(store: Store, document: Mapping) -> None:
    with pytest.raises(EmitError) as caught:
        store.emit([document])
    assert exit_codes.of(caught.value) == 4


def test_a_key_like_those_of_the_metadata_is_refused() -> None:
    document = Mapping((Entry("sops_x", "1"),))
    with pytest.raises(AlreadyEncryptedError):
        stores.check_plain([document], file="f.env", store=named("dotenv"))
    with pytest.raises(AlreadyEncryptedError):
        named("dotenv").emit([Mapping((*document.items, Entry("sops", Mapping((Entry("version", "3.13.3"),)))))])


@pytest.mark.parametrize(
    ("store", "value", "text"),
    [
        (named("yaml"), Sequence((1, "a")), b"- 1\n- a\n"),
        (named("json"), Sequence((1, "a")), b'[\n\t1,\n\t"a"\n]'),
        (named("dotenv"), "a\nb", b"a\nb"),
        (named("ini"), 5, b"5"),
        (named("ini"), Timestamp(NOW), f'"{NOW}"'.encode()),
        (named("dotenv"), 5, None),
        (named("binary"), 5, None),
        (named("ini"), Sequence(()), None),
    ],
)
def test_a_part_is_given_out_where_the_type_has_parts(store: Store, value: object, text: bytes | None) -> None:
    if text is None:
        with pytest.raises(EmitError):
            store.emit_value(value)  # pyright: ignore[reportArgumentType]
    else:
        assert store.emit_value(value) == text  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("\\", '"\\"'),
        ("'x'", "\"'x'\""),
        ("a\nb", '"""a\nb"""'),
        ("a # b", "`a # b`"),
        (" a ", '" a "'),
        ('"""x', '`"""x`'),
    ],
)
def test_an_ini_value_is_quoted_so_that_it_is_read_back(value: str, text: str) -> None:
    """Where sops's own quotes would lose it, others are taken."""
    document = Mapping((Entry("DEFAULT", Mapping((Entry("k", value), Entry("#1", "x")))),))
    written = ini.emit([document])
    assert f"= {text}\n".encode() in written
    assert ini.parse_plain(written, file="f") == [document]


def test_an_ini_comment_of_several_lines_stays_one() -> None:
    document = Mapping((Entry("DEFAULT", Mapping((Entry("k", "v"), Comment("one\n# two\n; three")))),))
    assert ini.emit([document]) == b"; one\n# two\n; three\nk = v\n"


def test_env_comments_of_several_lines_are_all_comments() -> None:
    assert dotenv.emit([Mapping((Comment("one\n# two"),))]) == b"#one\n## two\n"
