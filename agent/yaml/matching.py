"""Which items of a changed map or list are which of the old one, so that what stayed is left where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from agent.yaml.nodes import Comment, Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from collections.abc import Sequence as List

    from agent.yaml.nodes import Value

Item: TypeAlias = "Entry | Comment | Value"


def same(one: Item, other: Item) -> bool:
    """Equal with their types (1, 1.0 and true differ, NaN is NaN, -0.0 is not 0.0), comments included.

    Whether a comment is inline is layout and does not count.
    """
    kind = type(one)
    if kind is not type(other):
        # A float may be one whose digits were cut.
        return isinstance(one, float) and isinstance(other, float) and repr(one) == repr(other)
    if kind is str:
        return one == other
    if isinstance(one, Entry):
        assert isinstance(other, Entry)
        return same(one.key, other.key) and same(one.value, other.value)
    if isinstance(one, Mapping | Sequence):
        assert isinstance(other, Mapping | Sequence)
        return len(one.items) == len(other.items) and all(map(same, one.items, other.items))
    if isinstance(one, Comment):
        assert isinstance(other, Comment)
        return one.text == other.text
    return repr(one) == repr(other) if isinstance(one, float) else one == other


def same_documents(one: List[Mapping], other: List[Mapping]) -> bool:
    """Whether two files say the same."""
    return len(one) == len(other) and all(map(same, one, other))


def match(old: List[Item], new: List[Item]) -> list[int]:
    """For each new item the index of the old one that it continues, or -1; the indices rise.

    In maps, entries continue those of the same key and comments comments. In lists, equal items continue one another first; what
    is left between two of them goes in turn where it is as many.
    """
    common = min(len(old), len(new))
    in_turn = all(map(_may_continue, old, new)) and all(
        isinstance(item, Entry) for item in (*old[common:], *new[common:])
    )
    if in_turn and (any(isinstance(item, Entry) for item in (*old, *new)) or not _shifted(old, new)):
        # What a map has more of at its end, such as the entry `sops`, is new.
        return [*range(common), *[-1] * (len(new) - common)]
    found = [-1] * len(new)
    anchors = _anchors(old, new)
    before_old = before_new = 0
    for at_old, at_new in (*anchors, (len(old), len(new))):
        _between(old, new, (before_old, at_old), (before_new, at_new), found)
        if at_new < len(new):
            found[at_new] = at_old
        before_old, before_new = at_old + 1, at_new + 1
    return found


def _may_continue(one: Item, other: Item) -> bool:
    if isinstance(one, Entry):
        return isinstance(other, Entry) and type(one.key) is type(other.key) and one.key == other.key
    return not isinstance(other, Entry)


def _shifted(old: List[Item], new: List[Item]) -> bool:
    """Whether a list of equal length has items that stand elsewhere now."""
    changed = [number for number, (one, other) in enumerate(zip(old, new, strict=True)) if not same(one, other)]
    if len(changed) < 2:
        return False
    former = {_name(old[number]) for number in changed}
    return any(_name(new[number]) in former for number in changed)


def _name(item: Item) -> Hashable:
    if isinstance(item, Entry):
        return ("key", type(item.key), item.key)
    return (type(item), item)


def _anchors(old: List[Item], new: List[Item]) -> list[tuple[int, int]]:
    """The longest rising run of items that both have: keys of maps, equal values of lists, comments left aside."""
    places: dict[Hashable, list[int]] = {}
    for number in range(len(old) - 1, -1, -1):
        if not isinstance(old[number], Comment):
            places.setdefault(_name(old[number]), []).append(number)
    pairs: list[tuple[int, int]] = []
    for number, item in enumerate(new):
        if not isinstance(item, Comment):
            known = places.get(_name(item))
            if known:
                pairs.append((known.pop(), number))
    return _rising(pairs)


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    # Only here, since few files have items that stand elsewhere.
    from bisect import bisect_left

    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for number, (at, _) in enumerate(pairs):
        length = bisect_left(tails, at)
        previous.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(at)
            ends.append(number)
        else:
            tails[length], ends[length] = at, number
    chain: list[tuple[int, int]] = []
    number = ends[-1] if ends else -1
    while number >= 0:
        chain.append(pairs[number])
        number = previous[number]
    return chain[::-1]


def _between(old: List[Item], new: List[Item], olds: tuple[int, int], news: tuple[int, int], found: list[int]) -> None:
    """Pairs what stands between two anchors."""
    left = [number for number in range(*olds) if not isinstance(old[number], Entry)]
    right = [number for number in range(*news) if not isinstance(new[number], Entry)]
    head, most = 0, min(len(left), len(right))
    while head < most and same(old[left[head]], new[right[head]]):
        found[right[head]] = left[head]
        head += 1
    tail, most = 0, most - head
    while tail < most and same(old[left[-1 - tail]], new[right[-1 - tail]]):
        found[right[-1 - tail]] = left[-1 - tail]
        tail += 1
    left, right = left[head : len(left) - tail], right[head : len(right) - tail]
    if len(left) > len(right):
        # An empty comment of a list goes when it is encrypted.
        full = [number for number in left if old[number] != Comment("")]
        left = full if len(full) == len(right) else left
    if len(left) == len(right):
        for at_old, at_new in zip(left, right, strict=True):
            found[at_new] = at_old
        return
    texts: dict[str, int] = {}
    for number in left:
        item = old[number]
        if isinstance(item, Comment):
            texts.setdefault(item.text, number)
    low = -1
    for number in right:
        item = new[number]
        if isinstance(item, Comment) and texts.get(item.text, -1) > low:
            low = found[number] = texts[item.text]


def positions(items: List[Item]) -> list[int]:
    """For each item how many that are no comments stand before it."""
    found: list[int] = []
    count = 0
    for item in items:
        found.append(count)
        count += not isinstance(item, Comment)
    return found


def uncommented(value: Value) -> Value:
    """A value as an alias of it says it: without comments."""
    if isinstance(value, Mapping):
        return Mapping(tuple(Entry(item.key, uncommented(item.value)) for item in value.entries()))
    if isinstance(value, Sequence):
        return Sequence(tuple(uncommented(item) for item in value.values()))
    return value


def comments_of(value: Item) -> Iterator[Comment]:
    """Every comment in a value, in turn."""
    if isinstance(value, Comment):
        yield value
    elif isinstance(value, Entry):
        if isinstance(value.value, Mapping | Sequence):
            yield from comments_of(value.value)
    elif isinstance(value, Mapping | Sequence):
        for item in value.items:
            yield from comments_of(item)
