"""References to a store in what a renderer takes as values: placeholders in their places, since they are only good where we resolve them.

In manifests references pass through a renderer as they are. In literals, lines of an env file, files of a generator and variables a
renderer may encode them, cut the text around them or hash it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.manifests import references
from agent.manifests.references import Reference
from agent.values import placeholders
from agent.values.errors import ManifestError

if TYPE_CHECKING:
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Path

_ESCAPED: Final = ("${vault://", "${lease://")


def text(value: str, sources: dict[Placeholder, Source], at: Path = (), *, keeps_escapes: bool = True) -> str:
    """A text whose references are placeholders, which are added to `sources`.

    `$${vault://…}` stays what it is, unless the text is not searched for references again. Raises ReferenceSyntaxError
    with the field `at`.
    """
    shown = ""
    for part in references.parts_in_clear(value, at):
        if isinstance(part, Reference):
            shown += reference(part, sources)
            continue
        assert isinstance(part, str)
        shown += f"${part}" if keeps_escapes and part.startswith(_ESCAPED) else part
    return shown


def reference(given: Reference, sources: dict[Placeholder, Source]) -> Placeholder:
    """The placeholder of one reference: the same one until the reference is edited."""
    found = placeholders.of("ref", str(given))
    sources[found] = str(given)
    return found


def env_lines(given: str, sources: dict[Placeholder, Source], *, file: str) -> str:
    """An env file whose values are presented: behind its key, a reference is a whole value.

    Raises ReferenceSyntaxError, and ManifestError for a key alone, which kustomize takes from the environment that it runs in.
    """
    lines: list[str] = []
    for number, line in enumerate(given.split("\n"), 1):
        bare = line.strip()
        key, equals, value = line.partition("=")
        if not bare or bare.startswith("#"):
            lines.append(line)
        elif not equals:
            raise ManifestError(
                "a key has no value, and there is no environment to take it from",
                hint="write KEY=, or the value",
                file=file,
                line=number,
            )
        else:
            end = "\r" if value.endswith("\r") else ""
            lines.append(key + equals + text(value.removesuffix("\r"), sources) + end)
    return "\n".join(lines)
