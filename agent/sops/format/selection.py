"""Which values of a file are encrypted: six selectors over keys and comments, of which a file has one.

Patterns are RE2, unanchored, as Go's `regexp`. Python's own engine would hang on a hostile pattern.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from agent.values.dataclass import dataclass
from agent.values.errors import SopsFormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    import re2

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
_INSTRUCTIONS = 10_000
"""Of RE2's program for a pattern: `(\\pL*){60}` is short, and has 80,000."""
_STEPS_OF_A_TEXT = 20_000_000
_STEPS_OF_A_FILE = 200_000_000
"""Instructions of a pattern times bytes of what it is asked of: some 7 ns each at worst, and nothing else of Python goes on meanwhile."""


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
        """Whether it is sops' own, as where none is given."""
        return self.selector == "unencrypted_suffix" and self.pattern == DEFAULT_SUFFIX


EVERYTHING = Selection(pattern="")
"""What sops does with binary files."""


@lru_cache(maxsize=32)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether an RE2 pattern is found anywhere in a text. Raises SopsFormatError for what is no RE2 pattern, or a huge one."""
    search = _compiled(pattern).search
    return lambda text: search(_valid(text)) is not None


@lru_cache(maxsize=32)
def _compiled(pattern: str) -> re2.Pattern:
    if len(pattern) > _LONGEST:
        raise SopsFormatError(
            "a regular expression is longer than the limit", hint="shorten it", length=len(pattern), limit=_LONGEST
        )
    # Only here, since most files select by the end of a key.
    import re2

    options = re2.Options()
    options.log_errors = False
    # To remember where each of ten thousand groups matched takes a minute and gigabytes, and nothing needs it.
    options.never_capture = True
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError):
        raise SopsFormatError(
            "not a regular expression that RE2 takes", hint="see the RE2 syntax page", pattern=pattern[:200]
        ) from None
    if compiled.programsize > _INSTRUCTIONS:
        raise SopsFormatError(
            "a regular expression expands to more than the limit",
            hint="avoid large repetitions",
            pattern=pattern[:200],
            limit=_INSTRUCTIONS,
        )
    return compiled


def _valid(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Selected:
    """A Selection compiled, and asked once for each key on the way down (`enters`), each comment (`marks`) and each leaf (`encrypts`).

    Each raises SopsFormatError where the pattern and the texts that it is asked of are together more than a file may cost.
    """

    def __init__(self, selection: Selection) -> None:
        self._by_comment = selection.by_comment
        self._pattern = selection.pattern
        self._steps = 0
        self.positive: bool = selection.selector.startswith("encrypted")
        if selection.selector.endswith("suffix"):
            suffix = selection.pattern
            self._matches: Callable[[str], bool] = lambda key: suffix != "" and key.endswith(suffix)
            self._instructions = 0
        else:
            self._matches = matcher(selection.pattern)
            self._instructions = _compiled(selection.pattern).programsize
        self._known: dict[str, bool] = {}

    def enters(self, inside: bool, key: str) -> bool:
        """Whether the selector has hit a key on this path: `inside` for the parents, or this key."""
        if inside or self._by_comment:
            return inside
        hit = self._known.get(key)
        return self._hits(key) if hit is None else hit

    def marks(self, comment: str) -> bool:
        """Whether a comment is what the selector looks for, so that it decides on the leaves behind it."""
        return self._by_comment and self._hits(comment)

    def encrypts(self, inside: bool, *, marked: bool) -> bool:
        """Whether a leaf is encrypted. `marked`: the selector hit one of the comments that are pending on any level.

        The comment that an encrypted_comment_regex matches stays clear itself, so it does not count for itself.
        """
        return (marked if self._by_comment else inside) is self.positive

    def _hits(self, text: str) -> bool:
        hit = self._known.get(text)
        if hit is None:
            steps = self._instructions * len(text.encode("utf-8", "surrogateescape"))
            self._steps += steps
            if steps > _STEPS_OF_A_TEXT or self._steps > _STEPS_OF_A_FILE:
                raise SopsFormatError(
                    "a regular expression takes too long on the keys or comments of the file",
                    hint="shorten it, avoid large repetitions, or shorten the comments",
                    pattern=self._pattern[:200],
                )
            hit = self._known[text] = self._matches(text)
        return hit
