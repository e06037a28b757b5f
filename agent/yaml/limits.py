"""How large a file may be before it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.dataclass import dataclass
from agent.values.errors import LimitError, YamlError
from agent.values.text import is_lfs_pointer, is_utf16
from agent.yaml import guises
from agent.yaml.nodes import Entry, Mapping, Sequence

if TYPE_CHECKING:
    from agent.yaml.nodes import Value

_RATIO_LOW = 400_000
_RATIO_HIGH = 4_000_000
_MANY = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """`size` of one file in bytes, `depth` of nested maps and lists, and how many `values` (keys are some) or lines.

    By default they are those of the command line: 200,000 encrypted values are some 35 MiB. The agent has its operator's.
    go-yaml takes 10,000 levels; trees are walked by recursion all over the house, and no real manifest comes near 150.
    A value or a comment that takes two bytes of a file takes hundreds in memory, so that `size` alone limits nothing.

    `key` is how many characters a key may have, and `path` all keys that lead to a value together: whatever is shown or kept of a value by
    its path takes as much for each of them. What aliases stand for counts as text of the file, and so is bounded by `size`.
    """

    size: int = 64 * 1024 * 1024
    depth: int = 150
    values: int = 1_000_000
    key: int = 64 * 1024 * 1024
    path: int = 64 * 1024 * 1024

    @classmethod
    def served(cls, *, size: int, depth: int) -> Limits:
        """Those of files that a tenant commits and the agent reads: keys of Kubernetes have at most 317 characters."""
        return cls(size=size, depth=depth, key=512, path=4096)


def check_size(data: bytes, *, file: str, limits: Limits) -> None:
    """Raises LimitError for a file above `limits.size`."""
    if len(data) > limits.size:
        raise LimitError(
            "file is larger than the limit", file=file, bytes=len(data), limit=limits.size, hint="split the file"
        )


def check_text(data: bytes, *, file: str, limits: Limits) -> None:
    """For a file that is more than one value. Raises LimitError for one above `limits.size`, or with too many lines.

    And YamlError for what is something else, such as a pointer of Git LFS, which reads as YAML and as other types of file.
    """
    check_content(data, file=file)
    guises.check(data, file=file)
    check_size(data, file=file, limits=limits)
    if data.count(b"\n") > limits.values or data.count(b"\r") > limits.values:
        raise LimitError("the file has more lines than the limit", file=file, limit=limits.values)


def check_content(data: bytes, *, file: str) -> None:
    """Raises YamlError for a pointer of Git LFS."""
    if is_lfs_pointer(data):
        raise YamlError(
            "the file is a pointer of Git LFS, not its content",
            hint="git lfs pull fetches it; the agent fetches none, so keep the file in Git itself",
            file=file,
        )


def check_utf8(data: bytes, *, file: str) -> None:
    """Raises YamlError for a file in UTF-16 or UTF-32."""
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise YamlError("the file is in UTF-32", hint="save it in UTF-8: iconv -f UTF-32 -t UTF-8", file=file)
    if is_utf16(data):
        raise YamlError("the file is in UTF-16", hint="save it in UTF-8: iconv -f UTF-16 -t UTF-8", file=file)


def check_keys(root: Value, *, file: str, limits: Limits) -> None:
    """Raises LimitError for a document with a key, or keys that lead to a value, above the limits."""
    waiting: list[tuple[Value, int]] = [(root, 0)]
    while waiting:
        node, length = waiting.pop()
        for item in node.items if isinstance(node, Mapping | Sequence) else ():
            if isinstance(item, Entry):
                size = len(item.key) if isinstance(item.key, str) else 0
                if size > limits.key:
                    raise long_key(file=file, line=item.line, limit=limits.key)
                if length + size > limits.path:
                    raise long_path(file=file, line=item.line, limit=limits.path)
                if isinstance(item.value, Mapping | Sequence):
                    waiting.append((item.value, length + size))
            elif isinstance(item, Mapping | Sequence):
                waiting.append((item, length))


def long_key(*, file: str, line: int, limit: int) -> LimitError:
    """A key of a tenant's file is longer than the agent accepts."""
    return LimitError("a key is longer than the limit", file=file, line=line, limit=limit)


def long_path(*, file: str, line: int, limit: int) -> LimitError:
    """The keys that lead to a value of a tenant's file are longer than the agent accepts."""
    return LimitError(
        "the keys that lead to a value are together longer than the limit", file=file, line=line, limit=limit
    )


def excessive_aliasing(nodes: int, aliased: int) -> bool:
    """go-yaml's rule: how large a part of all `nodes` may have come out of aliases (decode.go, allowedAliasRatio).

    Stricter where go-yaml would let some kilobytes take seconds: what comes out of aliases is 100,000 nodes, or four times the rest.
    """
    if aliased <= 100 or nodes <= 1000:
        return False
    if aliased > _MANY and aliased > 4 * (nodes - aliased):
        return True
    if nodes <= _RATIO_LOW:
        allowed = 0.99
    elif nodes >= _RATIO_HIGH:
        allowed = 0.10
    else:
        allowed = 0.99 - 0.89 * ((nodes - _RATIO_LOW) / (_RATIO_HIGH - _RATIO_LOW))
    return aliased / nodes > allowed
