"""Laws of splicing over messy files: it says what is wanted, touches nothing else, and leaves nothing of what it replaced."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.values.errors import YamlError
from agent.yaml.edit.splice import splice
from agent.yaml.matching import comments_of, same, uncommented
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.read import yaml as sealed
from agent.yaml.write import yaml as emit
from tests.yaml.messy_yaml import Messy
from tests.yaml.plain_yaml import Plain

METADATA = Entry(
    "sops",
    Mapping((Entry("age", Sequence((Mapping((Entry("enc", "-----BEGIN\nx\n-----END\n"),)),))), Entry("mac", "ENC[m]"))),
)
NEW = (
    "new",
    7,
    1.0,
    -0.0,
    True,
    None,
    "b\nc\n",
    "#h",
    "y: z",
    "",
    Mapping(),
    Sequence(),
    Mapping((Entry("n", Sequence(("q",))),)),
)


@st.composite
def files(draw, mark=""):
    random = Random(draw(st.integers(0, 2**32)))
    data = Messy(random, mark).file() if mark or draw(st.booleans()) else Plain(random).file()
    try:
        documents = sealed.parse(data, file="file.yaml", in_place=True)
    except YamlError:
        documents = []
    # Now and then what was made is no YAML, or holds no document.
    assume(documents)
    return random, data, documents


def sealed_tree(node, random: Random):
    """As encrypting does it: comments of lists become items, null and empty text stay."""
    if isinstance(node, Comment):
        return Comment(token(random, "comment"), node.inline)
    if isinstance(node, Entry):
        return Entry(node.key, sealed_tree(node.value, random))
    if isinstance(node, Mapping):
        return Mapping(tuple(sealed_tree(item, random) for item in node.items))
    if isinstance(node, Sequence):
        items = (
            token(random, "comment") if isinstance(item, Comment) else sealed_tree(item, random) for item in node.items
        )
        return Sequence(tuple(items))
    return node if node is None or node == "" else token(random, "str")


def token(random: Random, kind: str) -> str:
    return f"ENC[AES256_GCM,data:{random.getrandbits(40):x},iv:aa==,tag:bb==,type:{kind}]"


def changed_tree(node, random: Random):
    """Some values, keys, items and comments changed, added, removed or moved."""
    if isinstance(node, Entry):
        return Entry(node.key, changed_tree(node.value, random))
    if isinstance(node, Comment):
        return Comment(" changed") if random.random() < 0.1 else node
    if not isinstance(node, Mapping | Sequence):
        return random.choice(NEW) if random.random() < 0.1 else node
    items = []
    for item in node.items:
        if random.random() < 0.05:
            continue
        items.append(changed_tree(item, random))
        if random.random() < 0.05:
            value = random.choice(NEW)
            items.append(Entry(f"new{random.getrandbits(40)}", value) if isinstance(node, Mapping) else value)
        if random.random() < 0.02:
            items.append(Comment(" added"))
    if random.random() < 0.02:
        random.shuffle(items)
    return type(node)(tuple(items))


@given(files())
def test_what_does_not_change_is_the_same_file(case):
    _, data, documents = case
    assert splice(data, documents, file="file.yaml").data == data


@given(files())
@settings(max_examples=300)
def test_the_result_says_what_is_wanted(case):
    random, data, documents = case
    wanted = [changed_tree(document, random) for document in documents]
    found = sealed.parse(splice(data, wanted, file="file.yaml").data, file="file.yaml", in_place=True)
    assert all(map(same, map(uncommented, found), map(uncommented, wanted)))
    assert len(found) == len(wanted)
    # Some comments can have no place but one: behind a list in a list, the deeper one has it.
    for one, other in zip(found, wanted, strict=True):
        assert sorted(comment.text for comment in comments_of(one)) == sorted(
            comment.text for comment in comments_of(other)
        )


@given(files(mark="CANARY"))
@settings(max_examples=300)
def test_an_encrypted_file_says_it_and_holds_nothing_of_its_old_text(case):
    random, data, documents = case
    wanted = [Mapping((*sealed_tree(document, random).items, METADATA)) for document in documents]
    spliced = splice(data, wanted, file="file.yaml").data
    found = sealed.parse(spliced, file="file.yaml", in_place=True)
    assert len(found) == len(wanted)
    assert all(map(same, map(uncommented, found), map(uncommented, wanted)))
    # Below the last item of a list, what is appended to the file can make a comment that item's which was the outer map's.
    assert [each.text for one in found for each in comments_of(one)] == [
        each.text for one in wanted for each in comments_of(one)
    ]
    assert b"CANARY" not in spliced


@given(files())
@settings(max_examples=300)
def test_only_lines_with_a_changed_value_change_there_and_back(case):
    """Some texts are encrypted, and decrypted again."""
    random, data, documents = case
    # A block scalar that the end of the file cuts off is another one before more lines.
    assume(data.endswith(b"\n"))
    wanted = [Mapping((*some(document, random).items, METADATA)) for document in documents]
    there = splice(data, wanted, file="file.yaml")
    assume(not there.notes)
    # What is appended can make the last comment that of what stands above it, and then it may go back elsewhere.
    assume(all(map(same, sealed.parse(there.data, file="file.yaml", in_place=True), wanted)))
    appended = set(lines(emit.emit([Mapping((METADATA,))])))
    assert [line for line in new_lines(there.data, data) if b"ENC[" not in line and line not in appended] == []
    back = splice(there.data, documents, file="file.yaml").data
    assert Counter(lines(data)) & Counter(lines(there.data)) <= Counter(lines(back))


def new_lines(after: bytes, before: bytes) -> list[bytes]:
    return list((Counter(lines(after)) - Counter(lines(before))).elements())


def lines(data: bytes) -> list[bytes]:
    """Lines as YAML 1.1 has them: a line separator ends one too."""
    text = data.removeprefix(b"\xef\xbb\xbf").replace("\u2028".encode(), b"\n").replace("\u2029".encode(), b"\n")
    return [line for line in text.splitlines() if line.strip()]


def some(node, random: Random):
    """Only text is sealed, and comments stay."""
    if isinstance(node, Entry):
        return Entry(node.key, some(node.value, random))
    if isinstance(node, Mapping | Sequence):
        return type(node)(tuple(some(item, random) for item in node.items))
    return token(random, "str") if isinstance(node, str) and node and random.random() < 0.5 else node
