"""Archives that others made: what they choose is limited, and what tarfile writes is read as it was."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc

import cost
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.oci import archive
from agent.adapters.oci.archive import Limits
from agent.values.errors import AgentError, LimitError, SourceError
from testbed import registry

SMALL = Limits(1024 * 1024, 100)
NAME = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="/\\"), min_size=1, max_size=60
)
PATH = st.lists(NAME.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=4).map("/".join)


def tar(
    *members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT, headers: dict[str, str] | None = None
) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form, pax_headers=headers) as writing:
        for entry, data in members:
            entry.size = len(data)
            writing.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry, data


def read(content: bytes, limits: Limits = SMALL) -> dict[str, bytes]:
    return {each.path: b"".join(each.pieces) for each in archive.entries(io.BytesIO(content), limits)}


@given(
    st.dictionaries(PATH, st.binary(max_size=2000), max_size=6),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    st.booleans(),
)
def test_what_was_put_in_comes_out(files: dict[str, bytes], form: int, zipped: bool) -> None:
    if any(f"{one}/" in f"{other}/" for one in files for other in files if one != other):
        return
    content = tar(*(member(name, data) for name, data in files.items()), form=form)
    assert read(gzip.compress(content) if zipped else content) == files


def test_links_and_folders_are_listed_and_not_followed() -> None:
    content = tar(
        member("a/", kind=tarfile.DIRTYPE),
        member("a/file", b"x"),
        member("a/link", kind=tarfile.SYMTYPE, link="../../etc/passwd"),
        member("hard", kind=tarfile.LNKTYPE, link="a/file"),
    )
    found = [(each.path, each.kind) for each in archive.entries(io.BytesIO(content), SMALL)]
    assert found == [("a/file", "file"), ("a/link", "link"), ("hard", "link")]


ODD = {
    "absolute": tar(member("/etc/passwd", b"x")),
    "parent": tar(member("a/../../b", b"x")),
    "backslash": tar(member("a\\..\\b", b"x")),
    "deep": tar(member("a/" * 70 + "b", b"x")),
    "long": tar(member("a" * 2000, b"x")),
    "twice": tar(member("a", b"x"), member("./a", b"y")),
    "file and folder": tar(member("a", b"x"), member("a/b", b"y")),
    "folder and file": tar(member("a/b", b"x"), member("a", b"y")),
    "device": tar(member("null", kind=tarfile.CHRTYPE)),
    "pipe": tar(member("pipe", kind=tarfile.FIFOTYPE)),
    "nameless": tar(member("./", b"x")),
    "cut in a file": tar(member("a", b"x" * 5000))[:3000],
    "cut before the end": tar(member("a", b"x"))[:1024],
    "damaged header": tar(member("a", b"x"))[:1024] + b"garbage" * 200,
    "no archive": b"a: 1\n" * 500,
    "empty": b"",
    "cut gzip": gzip.compress(tar(member("a", b"x" * 5000)))[:-12],
    "two gzips": gzip.compress(tar(member("a", b"x"))) * 2,
    "gzip of nothing": gzip.compress(b""),
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_an_odd_archive_is_refused(content: bytes) -> None:
    with pytest.raises(SourceError):
        read(content)


def chained(kind: bytes, count: int) -> bytes:
    """Headers that each describe the next one."""
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 512
    return (header.tobuf(tarfile.USTAR_FORMAT) + b"a" * 512) * count


BOMBS = {
    "zeros": gzip.compress(tar(member("a", bytes(20 * 1024 * 1024)))),
    "a long pax header": tar(member("a", b"x"), headers={"comment": "y" * 200_000}),
    "a long name": tar(member("n" * 200_000, b"x"), form=tarfile.GNU_FORMAT),
    "many names": chained(tarfile.GNUTYPE_LONGNAME, 5000),
    "many pax headers": chained(tarfile.XHDTYPE, 5000),
    "many entries": tar(*(member(f"f{number}") for number in range(200))),
    "many folders": tar(*(member(f"f{number}", kind=tarfile.DIRTYPE) for number in range(200))),
    "long paths": tar(*(member(f"{number:04}/" + "p" * 1000) for number in range(10_000))),
    "a sparse file": tar(
        member("a", b"x" * 512),
        form=tarfile.PAX_FORMAT,
        headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(10**12)},
    ),
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_costs_little(content: bytes) -> None:
    with cost.at_most(seconds=5):
        tracemalloc.start()
        try:
            with pytest.raises(AgentError) as caught:
                read(content, Limits(64 * 1024 * 1024, 50_000) if content is BOMBS["long paths"] else SMALL)
            assert isinstance(caught.value, LimitError | SourceError)
            assert tracemalloc.get_traced_memory()[1] < 24 * 1024 * 1024
        finally:
            tracemalloc.stop()


def test_the_archive_of_the_testbed_is_one() -> None:
    assert read(registry.archive({"a/b.yaml": "x", "c": b"y"}, links={"d": "c"})) == {
        "a/b.yaml": b"x",
        "c": b"y",
        "d": b"c",
    }
