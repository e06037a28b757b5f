"""JSON-like trees whose leaves may be Secrets: the shape of a manifest from the parser to the API call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, overload

from agent.values.secret import Sealed, Secret
from agent.values.text import LONGEST, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Leaf: TypeAlias = str | int | float | bool | Secret | Sealed | None
Tree: TypeAlias = "Leaf | dict[str, Tree] | list[Tree]"
Object: TypeAlias = "dict[str, Tree]"
Path: TypeAlias = tuple[str | int, ...]
"""Keys and list indices from the root."""


def size(tree: Tree) -> int:
    """How many keys and values there are: what a tree takes in memory goes by that."""
    count, waiting = 1, [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            count += 2 * len(node) if isinstance(node, dict) else len(node)
            waiting += [
                each for each in (node.values() if isinstance(node, dict) else node) if isinstance(each, dict | list)
            ]
    return count


@overload
def walk(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Leaf]]: ...
@overload
def walk(tree: Tree, path: Path = (), *, empty: Literal[True]) -> Iterator[tuple[Path, Tree]]: ...
def walk(tree: Tree, path: Path = (), *, empty: bool = False) -> Iterator[tuple[Path, Tree]]:
    """Every leaf with its path, depth first, in document order; maps and lists below with nothing in them too, if they are asked for as `empty`.

    Without recursion: else each leaf would pass through a generator for every level above it.
    """
    if not isinstance(tree, dict | list):
        yield path, tree
        return
    open_: list[tuple[Path, Iterator[tuple[str | int, Tree]]]] = [(path, _items(tree))]
    while open_:
        at, items = open_[-1]
        for step, value in items:
            if isinstance(value, dict | list) and (value or not empty):
                open_.append(((*at, step), _items(value)))
                break
            yield (*at, step), value
        else:
            open_.pop()


def _items(tree: dict[str, Tree] | list[Tree]) -> Iterator[tuple[str | int, Tree]]:
    return iter(tree.items()) if isinstance(tree, dict) else iter(enumerate(tree))


_CHARACTERS: Final = 100


def is_large(trees: Iterable[Tree], most: int) -> bool:
    """Whether trees have more than `most` maps, lists and leaves together, where each hundred characters count as one more.

    No more than that many are counted.
    """
    waiting: list[Tree] = []
    left = most
    for tree in trees:
        waiting.append(tree)
        while waiting:
            left -= 1
            if left < 0:
                return True
            node = waiting.pop()
            if isinstance(node, str):
                left -= len(node) // _CHARACTERS
            elif isinstance(node, dict | list):
                if len(node) > left:
                    return True
                waiting.extend(node.values() if isinstance(node, dict) else node)
    return left < 0


def secrets(tree: Tree) -> Iterator[tuple[Path, Secret]]:
    """The Secret leaves with their paths."""
    for path, leaf in walk(tree):
        if isinstance(leaf, Secret):
            yield path, leaf


def map_leaves(tree: Tree, change: Callable[[Path, Leaf], Tree], path: Path = ()) -> Tree:
    """A new tree of the same shape with every leaf replaced by `change(path, leaf)`."""
    if isinstance(tree, dict):
        return {key: map_leaves(value, change, (*path, key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [map_leaves(value, change, (*path, index)) for index, value in enumerate(tree)]
    return change(path, tree)


def get(tree: Tree, *path: str | int) -> Tree:
    """The value at `path`, or None where any step is missing or not of the right shape."""
    at: Tree = tree
    for step in path:
        if isinstance(at, dict) and isinstance(step, str):
            at = at.get(step)
        elif isinstance(at, list) and isinstance(step, int) and -len(at) <= step < len(at):
            at = at[step]
        else:
            return None
    return at


def get_object(tree: Tree, *path: str | int) -> Object:
    """The map at `path`; an empty one where there is none."""
    found = get(tree, *path)
    return found if isinstance(found, dict) else {}


def get_text(tree: Tree, *path: str | int) -> str:
    """The clear string at `path`; an empty one where there is none."""
    found = get(tree, *path)
    return found if isinstance(found, str) else ""


_MARKS: Final = frozenset('.[]"')


def format_path(path: Path) -> str:
    """Readable form of a path: `spec.containers[0].image`; keys with dots or brackets are quoted: `data["tls.crt"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and _MARKS.isdisjoint(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def show_path(path: Path, longest: int = LONGEST) -> str:
    """As `format_path`, at most `longest` characters of it: what lies deeper is not written out first."""
    length, end = 0, 0
    for end, step in enumerate(path, 1):  # noqa: B007  # how far it came
        length += len(step) if isinstance(step, str) else 1
        if length > longest:
            break
    return cut(format_path(path[:end]), longest)
