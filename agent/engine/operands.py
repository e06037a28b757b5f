"""What values that templates make up are made with: sealed values, such as the CA of a SOPS file that signs a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.manifests import references
from agent.values import placeholders
from agent.values.errors import HeldError, RandomValueError
from agent.values.expressions import Evaluation, Expression
from agent.values.secret import Sealed, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agent.desired.compiler import DesiredState
    from agent.values.errors import AgentError
    from agent.values.expressions import Expressions
    from agent.values.generated import Generation

_SECONDS: Final = 5


def needed(desired: DesiredState, bundles: Iterable[frozenset[str]]) -> frozenset[str]:
    """The ids of the sealed leaves that values of these bundles are made with."""
    given = desired.generated
    texts = (text for bundle in bundles for name in bundle for text in _texts(desired, given[name].generation))
    leaves = (leaf for text in texts for leaf in _behind(desired, text).inputs.values())
    return frozenset(leaf.id for leaf in leaves if isinstance(leaf, Sealed))


def of(
    desired: DesiredState,
    bundle: Iterable[str],
    secrets: Mapping[str, Secret],
    errors: Mapping[str, AgentError],
    clock: Callable[[], float],
) -> dict[str, Secret]:
    """The values of a bundle's arguments, by their text. Raises RandomValueError for one of a store, and as opening and evaluating do."""
    found: dict[str, Secret] = {}
    for asked in (desired.generated[name].generation for name in bundle):
        for text in _texts(desired, asked):
            behind = _behind(desired, text)
            inputs = {name: _opened(leaf, asked, secrets, errors) for name, leaf in behind.inputs.items()}
            evaluation = Evaluation(behind.known, inputs, clock, clock() + _SECONDS)
            found[text] = evaluation.value(Expression("concat", (text,)))
    return found


def _texts(desired: DesiredState, asked: Generation) -> Iterator[str]:
    """The arguments with values that are not made up themselves."""
    for text in asked.args:
        if not all(name in desired.generated for name in placeholders.named(text)):
            yield text


def _behind(desired: DesiredState, text: str) -> Expressions:
    return desired.expressions.behind(placeholders.named(text))


def _opened(
    leaf: Sealed | str, asked: Generation, secrets: Mapping[str, Secret], errors: Mapping[str, AgentError]
) -> Secret:
    if isinstance(leaf, Sealed) and leaf.id in errors:
        raise errors[leaf.id]
    value = secrets.get(leaf.id) if isinstance(leaf, Sealed) else None
    if isinstance(leaf, Sealed) and value is None:
        raise HeldError("value is not decrypted", value=leaf.label)
    if value is None or references.find({"value": value}):
        raise RandomValueError(
            "a template makes up a value with one of a store, which is asked only after that",
            hint="encrypt it with SOPS, or keep it in a Secret that valuesFrom names",
            function=asked.function,
            file=asked.file,
            line=asked.line,
        )
    return value
