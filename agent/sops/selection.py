"""Which values of a file are encrypted: six selectors over keys and comments, of which a file has one.

Patterns are RE2, unanchored, as Go's `regexp`. Python's own engine would hang on a hostile pattern.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from agent.values.dataclass import dataclass
from agent.values.errors import SopsFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Selector: TypeAlias = Literal[
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
]
SELECTORS: tuple[Selector, ...] = get_args(Selector)

DEFAULT_SUFFIX = "_unencrypted"

_LONGEST = 10_000
"""Characters of a pattern: RE2's time and memory to compile one grow with it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One selector with its suffix or pattern, and whether the MAC covers encrypted values alone.

    An empty suffix is none: everything is encrypted, and the file does not record a selector.
    """

    selector: Selector = "unencrypted_suffix"
    pattern: str = DEFAULT_SUFFIX
    mac_only_encrypted: bool = False

    @property
    def by_comment(self) -> bool:
        return self.selector.endswith("comment_regex")

    @property
    def is_default(self) -> bool:
        """Whether it is sops' own, as where nobody chose one."""
        return self.selector == "unencrypted_suffix" and self.pattern == DEFAULT_SUFFIX


EVERYTHING = Selection(pattern="")
"""What sops does with binary files."""


@lru_cache(maxsize=32)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether an RE2 pattern is found anywhere in a text. Raises SopsFormatError for what is no RE2 pattern, or a huge one."""
    if len(pattern) > _LONGEST:
        raise SopsFormatError(
            "a regular expression is longer than the limit", hint="say it shorter", length=len(pattern), limit=_LONGEST
        )
    # Only here, since most files select by the end of a key.
    import re2

    options = re2.Options()
    options.log_errors = False
    # To remember where each of ten thousand groups matched takes a minute and gigabytes, and nobody asks.
    options.never_capture = True
    try:
        search = re2.compile(pattern, options).search
    except (re2.error, UnicodeEncodeError):
        raise SopsFormatError(
            "not a regular expression that RE2 takes", hint="see the RE2 syntax page", pattern=pattern[:200]
        ) from None
    return lambda text: search(_valid(text)) is not None


def _valid(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Selected:
    """A Selection compiled, and asked once for each key on the way down (`enters`) and once for each leaf (`encrypts`)."""

    def __init__(self, selection: Selection) -> None:
        self._by_comment = selection.by_comment
        self._positive = selection.selector.startswith("encrypted")
        if selection.selector.endswith("suffix"):
            suffix = selection.pattern
            self._matches: Callable[[str], bool] = lambda key: suffix != "" and key.endswith(suffix)
        else:
            self._matches = matcher(selection.pattern)
        self._known: dict[str, bool] = {}

    def enters(self, inside: bool, key: str) -> bool:
        """Whether the selector has hit a key on this path: `inside` for the parents, or this key."""
        if inside or self._by_comment:
            return inside
        hit = self._known.get(key)
        if hit is None:
            hit = self._known[key] = self._matches(key)
        return hit

    def encrypts(self, inside: bool, comments: Sequence[Sequence[str]], *, is_comment: bool) -> bool:
        """Whether a leaf is encrypted. `comments` are those pending on each level, this comment included.

        The comment that an encrypted_comment_regex matches stays clear itself, so the last one does not count for itself.
        """
        if not self._by_comment:
            return inside is self._positive
        if self._positive and is_comment:
            comments = [*comments[:-1], comments[-1][:-1]]
        return any(self._matches(text) for level in comments for text in level) is self._positive
