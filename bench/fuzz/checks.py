"""What each parser is asked for: that it reads or refuses, and laws of what it has read.

An AgentError is an answer. Any other exception is a crash, and `Broken` a law that does not hold.
"""

from __future__ import annotations

import contextlib
import json as plain_json
import random
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final

from agent.adapters.keys import age_format
from agent.adapters.keys.age import AgeKeys
from agent.gitmerge import markers, merge, mixed
from agent.sops import stores
from agent.sops.files import conflicts, decrypt, sealed, verify
from agent.sops.files.encrypt import encrypt
from agent.sops.format import metadata, stripped
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import AgeKey
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import Selection
from agent.sops.rules import config
from agent.sops.stores import Store, named
from agent.values.dataclass import replace
from agent.values.errors import AgentError
from agent.values.secret import Secret
from agent.yaml.edit import splice
from agent.yaml.edit.originals import YamlOriginal
from agent.yaml.limits import Limits
from agent.yaml.matching import same, uncommented
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.read import builder, manifests, yaml
from bench.fuzz import trees
from bench.fuzz.seeds import DATA_KEY, age_identities

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence as Many
    from random import Random

    from agent.yaml.nodes import Value

_FILE: Final = "fuzz"
_METADATA: Final = Metadata(WrappedDataKey.one_group(AgeKey("age1x", "x\n")), Selection())
_LARGEST_OF_LAWS: Final = 160 * 1024
_BINARY_ENTRY: Final = b"!!binary sops"
"""A key that is another one than `sops`, though go-yaml takes the two for the same."""
_PATHS: Final = ("a.yaml", "prod/x/secret.yaml", "x" * 200)


class Broken(Exception):  # noqa: N818  # a finding
    """A law does not hold; its text says which."""


@dataclass(frozen=True, slots=True)
class Check:
    """`share` is the part of all inputs that it is made for, `cost` how many times the time of parsing it may take.

    What costs more than parsing is not asked of inputs above `largest` bytes.
    """

    name: str
    run: Callable[[bytes, Random], object]
    share: float = 1.0
    cost: int = 1

    @property
    def largest(self) -> int:
        return 1 << 30 if self.cost == 1 else _LARGEST_OF_LAWS


def _answer(read: Callable[[], list[Mapping]]) -> list[Mapping] | AgentError:
    try:
        return read()
    except AgentError as error:
        return error


def _read_alike(data: bytes, _: Random) -> None:
    """The reader of plain lines and the one of events."""
    one = _answer(lambda: yaml.parse(data, file=_FILE))
    other = _answer(lambda: builder.build(data, file=_FILE, limits=Limits()))
    if isinstance(one, AgentError) or isinstance(other, AgentError):
        if type(one) is not type(other) or str(one) != str(other):
            raise Broken("two readers of YAML differ in what they refuse")
    elif not _alike(one, other) or list(map(_places, one)) != list(map(_places, other)):
        raise Broken("two readers of YAML differ")


def _places(value: Value | Comment) -> object:
    """What `same` leaves out: lines, and where comments stand."""
    if isinstance(value, Comment):
        return value.inline, value.at
    if isinstance(value, Mapping):
        return [
            _places(item) if isinstance(item, Comment) else (item.line, _places(item.value)) for item in value.items
        ]
    return [_places(item) for item in value.items] if isinstance(value, Sequence) else None


def _alike(one: Many[Mapping], other: Many[Mapping]) -> bool:
    return len(one) == len(other) and all(map(same, one, other))


def _bare(documents: Many[Mapping]) -> list[Mapping]:
    """Without comments, and whole floats as the integers that sops writes."""
    found = [_whole(uncommented(each)) for each in documents]
    return [each for each in found if isinstance(each, Mapping)]


def _whole(value: Value) -> Value:
    if isinstance(value, Mapping):
        return Mapping(tuple(Entry(_scalar(item.key), _whole(item.value)) for item in value.entries()))  # pyright: ignore[reportArgumentType]
    if isinstance(value, Sequence):
        return Sequence(tuple(_whole(item) for item in value.values()))
    return _scalar(value)


def _scalar(value: Value) -> Value:
    if not isinstance(value, float) or abs(value) >= 1e21 or not value.is_integer():
        return value
    # As it is written: the shortest digits that mean this number, which as an integer are another one above 2^53.
    return int(Decimal(repr(value)))


def _rewritten(store: Store) -> Callable[[bytes, Random], None]:
    """What is written of a file is read as the same."""

    def run(data: bytes, _: Random) -> None:
        documents = store.parse_plain(data, file=_FILE)
        if not documents:
            return
        if store.name != "yaml":
            # Their metadata has a form of its own.
            documents = _without_entry(documents)
        text = store.emit(documents)
        kept = documents if store.name in {"yaml", "ini"} else documents[:1]
        try:
            found = store.parse_plain(text, file=_FILE)
        except AgentError:
            raise Broken("what was written is not read") from None
        if not _alike(_bare(found), _bare(kept)):
            raise Broken("what was written is read as something else")

    return run


def _without_entry(documents: Many[Mapping]) -> list[Mapping]:
    return [
        Mapping(tuple(item for item in each.items if isinstance(item, Comment) or item.key != metadata.ENTRY))
        for each in documents
    ]


def _sealed(documents: Many[Mapping], chance: Random) -> list[Mapping]:
    return encrypt(
        documents,
        _METADATA,
        DATA_KEY,
        file=_FILE,
        random_bytes=random.Random(chance.random()).randbytes,
        lastmodified="2026-01-02T03:04:05Z",
    )


def _encrypted(store: Store) -> Callable[[bytes, Random], None]:
    """What is encrypted and decrypted is the same."""

    def run(data: bytes, chance: Random) -> None:
        documents = _without_entry(store.parse_plain(data, file=_FILE))
        stores.check_plain(documents, file=_FILE, store=store)
        if _BINARY_ENTRY in data:
            return
        text = store.emit(_sealed(documents, chance))
        try:
            opened = decrypt.decrypt(decrypt.read(text, file=_FILE, store=store), DATA_KEY)
        except AgentError:
            raise Broken("what was encrypted does not open") from None
        kept = documents if store.name in {"yaml", "ini"} else documents[:1]
        if not _alike(_bare(opened.documents), _bare(kept)):
            raise Broken("what was encrypted opens as something else")

    return run


def _opened(store: Store) -> Callable[[bytes, Random], None]:
    """Everything that is done with a file that may be encrypted."""

    def run(data: bytes, _: Random) -> None:
        if store.name in {"yaml", "json"}:
            name = f"{_FILE}.{store.name}"
            file = None
            with contextlib.suppress(AgentError):
                file = sealed.open_file(data, file=name)
            if file is not None:
                for part in file.parts:
                    with contextlib.suppress(AgentError):
                        sealed.unseal(part, DATA_KEY)
        documents = store.parse(data, file=_FILE)
        stripped.encrypted_line(documents)
        encrypted = decrypt.read(data, file=_FILE, store=store)
        verify.structure(encrypted)
        again = metadata.parse(metadata.emit(encrypted.metadata), file=_FILE)
        if replace(again, version="") != replace(encrypted.metadata, version=""):
            raise Broken("metadata is read as something else")
        with contextlib.suppress(AgentError):
            decrypt.decrypt(encrypted, DATA_KEY)
        mixed.read(encrypted, DATA_KEY)

    return run


def _spliced(store: Store) -> Callable[[bytes, Random], None]:
    """A changed tree put into its text is read as that tree, and an unchanged one leaves the text alone."""

    def put(data: bytes, documents: Many[Mapping]) -> bytes:
        if store.name == "yaml":
            return splice.splice(data, documents, file=_FILE).data
        return store.splice(data, documents, file=_FILE).data

    def run(data: bytes, chance: Random) -> None:
        # Where a comment stands is read in another way for this.
        documents = (
            YamlOriginal(data, file=_FILE).documents if store.name == "yaml" else store.parse_plain(data, file=_FILE)
        )
        if not documents:
            return
        if store.name in {"yaml", "json"} and put(data, documents) != data:
            raise Broken("a text changes though its tree does not")
        encrypted = chance.random() < 0.5 and _BINARY_ENTRY not in data
        if encrypted:
            plain = _without_entry(documents)
            stores.check_plain(plain, file=_FILE, store=store)
            wanted = _sealed(plain, chance)
        else:
            wanted = trees.changed(documents, chance)
        text = put(data, wanted)
        read = store.parse if encrypted else store.parse_plain
        # Of other types, the tree is what they have a form for: text, and no times.
        expected = wanted if store.name == "yaml" else read(store.emit(wanted), file=_FILE)
        try:
            found = read(text, file=_FILE)
        except AgentError:
            raise Broken("what was put into a text is not read") from None
        if not _alike(_bare(found), _bare(expected)):
            raise Broken("what was put into a text is read as something else")

    return run


def _merged(store: Store) -> Callable[[bytes, Random], None]:
    """Three versions become one, and a side that did not change gives way to the other."""

    def run(data: bytes, chance: Random) -> None:
        base = store.parse_plain(data, file=_FILE)
        ours, theirs = trees.changed(base, chance), trees.changed(base, chance)
        merge.merge(base, ours, theirs)
        merge.merge([], ours, theirs)
        one = merge.merge(base, ours, base)
        if one.conflicts or not _alike(_bare(one.documents), _bare(ours)):
            raise Broken("a merge with an unchanged side is not the changed one")

    return run


def _rules(data: bytes, _: Random) -> None:
    found = config.parse(data, file=_FILE)
    for path in _PATHS:
        with contextlib.suppress(AgentError):
            found.match(path)


def _manifests(data: bytes, _: Random) -> None:
    """What is read strictly is read as the same otherwise, and through JSON."""
    strict = manifests.parse(data, file=_FILE)
    if manifests.parse(data, file=_FILE, strict=False) != strict:
        raise Broken("strictness changes what is read")
    for document in strict:
        again = manifests.parse(plain_json.dumps(document.tree).encode(), file=_FILE)
        if [each.tree for each in again] != [document.tree]:
            raise Broken("a manifest is read as something else through JSON")


def _markers(data: bytes, chance: Random) -> None:
    found = markers.sides(data)
    if (found is not None) and not conflicts.any_left(data):
        raise Broken("sides of a conflict that is none")
    at = chance.randint(0, len(data))
    one, other = (_clean(part) for part in (data[:at], data[at:]))
    if one != other and markers.sides(markers.marked(one, other)) != (one, other):
        raise Broken("the sides of a conflict are not those that it was made of")


def _clean(text: bytes) -> bytes:
    """Whole lines, none of which looks like a marker."""
    return b"".join(line + b"\n" for line in text[:65536].split(b"\n") if line[:1] not in (b"<", b"|", b"=", b">"))


@cache
def _age_keys() -> AgeKeys:
    every = [AgeKeys.parse(Secret(text, "vector"), source="vector") for text in age_identities()]
    return AgeKeys().merge(*every)


def _age(data: bytes, _: Random) -> None:
    """A data key as it stands in a file, armored or not."""
    _age_keys().decrypt(data, armored=data.lstrip().startswith(b"-----"))


def _age_header(data: bytes, _: Random) -> None:
    """What was read of a header is written as it was."""
    if age_format.parse(data).data != data:
        raise Broken("an age file is not what was read")


def _identities(data: bytes, _: Random) -> None:
    AgeKeys.parse(Secret(data.decode("utf-8", "surrogateescape"), "fuzz"), source="fuzz")


def _binary(data: bytes, _: Random) -> None:
    if named("binary").emit(named("binary").parse_plain(data, file=_FILE)) != data:
        raise Broken("bytes change")


def _parsed(store: Store) -> Callable[[bytes, Random], object]:
    return lambda data, _: store.parse(data, file=_FILE)


CHECKS: Final[dict[str, tuple[Check, ...]]] = {
    **{
        store.name: (
            Check("parse", _parsed(store)),
            Check("write", _rewritten(store), 0.4, 8),
            Check("open", _opened(store), 0.5, 8),
            Check("encrypt", _encrypted(store), 0.3, 16),
            Check("splice", _spliced(store), 0.4, 16),
            Check("merge", _merged(store), 0.1, 8),
        )
        for store in (named("yaml"), named("json"), named("dotenv"), named("ini"))
    },
    "binary": (
        Check("parse", _parsed(named("binary"))),
        Check("write", _binary),
        Check("open", _opened(named("binary")), 0.5, 8),
        Check("encrypt", _encrypted(named("binary")), 0.3, 8),
    ),
    "rules": (Check("parse", _rules),),
    "manifests": (
        Check("parse", lambda data, _: manifests.parse(data, file=_FILE)),
        Check("write", _manifests, 0.5, 8),
    ),
    "markers": (Check("parse", _markers, 1.0, 2),),
    "age": (Check("parse", _age), Check("header", _age_header)),
    "identities": (Check("parse", _identities),),
}
CHECKS["yaml"] = (*CHECKS["yaml"], Check("two readers", _read_alike, 0.5, 4))
