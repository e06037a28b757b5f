"""The last steps before the API call: a desired object with what its files and the stores gave → what is applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.manifests import builtin, references, secret_data, sizes
from agent.values import derive
from agent.values.errors import HeldError, LimitError, SecretValueError
from agent.values.expressions import Evaluation
from agent.values.secret import Sealed, Secret
from agent.values.tree import format_path, map_leaves, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from agent.manifests.references import Reference
    from agent.values.expressions import Expressions
    from agent.values.hashing import Salts
    from agent.values.tree import Leaf, Object, Path


@dataclass(frozen=True, slots=True)
class Pending:
    """What leaves of an object are made of once the stores have answered.

    `inputs` are by placeholder: opened values, which may hold references, and references. `expressions` are those of the leaves. Without
    `salts` no hash has a value.
    """

    expressions: Expressions
    inputs: Object
    salts: Salts | None = None

    def made(
        self, values: Mapping[Reference, Secret], clock: Callable[[], float], deadline: float
    ) -> dict[str, Secret]:
        """The leaves' values by their ids. Raises as `evaluation`, and LimitError, SecretValueError and PlaceholderError."""
        evaluation = self.evaluation(values, clock, deadline)
        return {name: evaluation.value(expression) for name, expression in self.expressions.known.items()}

    def evaluation(self, values: Mapping[Reference, Secret], clock: Callable[[], float], deadline: float) -> Evaluation:
        """What gives their values. A reference that may be missing, and is, is empty. Raises as `references.substitute`, and HeldError."""
        filled = references.substitute(self.inputs, values)
        assert isinstance(filled, dict)
        found: dict[str, Secret] = {}
        for placeholder in self.inputs:
            value = filled.get(placeholder, "")
            if not isinstance(value, str | Secret):
                raise HeldError("value is not decrypted", placeholder=placeholder)
            found[placeholder] = value if isinstance(value, Secret) else Secret(value, placeholder)
        return Evaluation(self.expressions.known, found, clock, deadline, self.salts)


def unseal(
    tree: Object, opened: Mapping[str, Secret], made: Container[str] = (), clear: Mapping[str, str] | None = None
) -> Object:
    """`tree` with every Sealed leaf replaced by its opened Secret except those that are `made`, and with those that are `clear` as text.

    Raises HeldError for one not opened, and LimitError: a renderer may put one value into any number of places.
    """

    def leaf(path: Path, value: Leaf) -> Leaf:
        if isinstance(value, Sealed) and clear and value.id in clear:
            return clear[value.id]
        if not isinstance(value, Sealed) or value.id in made:
            return value
        if value.id not in opened:
            raise HeldError("value is not decrypted", field=format_path(path))
        return opened[value.id]

    _check_size(tree, opened, made)
    result = map_leaves(tree, leaf)
    assert isinstance(result, dict)
    return result


def _check_size(tree: Object, opened: Mapping[str, Secret], but: Container[str] = ()) -> None:
    """What sealed leaves come to, each as often as it stands there. Raises LimitError before any of it is copied."""
    ids = [leaf.id for _, leaf in walk(tree) if isinstance(leaf, Sealed) and leaf.id not in but]
    if sum(derive.size(opened[each]) for each in ids if each in opened) > derive.LONGEST:
        raise LimitError(
            "the object's values are larger than the API server accepts",
            hint="use fewer or shorter values",
            limit=derive.LONGEST,
        )


def fill(tree: Object, values: Mapping[Reference, Secret], made: Mapping[str, Secret] | None = None) -> Object:
    """The object as it is applied: references substituted, a `v1/Secret`'s data encoded and sealed, numbers as text in string fields.

    `tree` is unsealed except leaves that are `made`, which are searched for no references. Errors name the field:
    ManifestError, ReferenceSyntaxError, SecretValueError; HeldError where a value is missing.
    """
    if builtin.is_core_secret(tree):
        _check_size(tree, made or {})
        encoded = secret_data.encode(tree, values, made or {})
        sizes.check(encoded)
        return encoded
    filled = references.substitute(tree, values)
    assert isinstance(filled, dict)
    filled = unseal(filled, made or {})
    group, kind = builtin.group_of(str(tree.get("apiVersion"))), str(tree.get("kind"))

    def as_text(path: Path, leaf: Leaf) -> Leaf:
        if not isinstance(leaf, Secret) or not takes_text(group, kind, path):
            return leaf
        try:
            return derive.text(leaf)
        except SecretValueError as error:
            raise error.with_facts(field=format_path(path)) from None

    result = map_leaves(filled, as_text)
    assert isinstance(result, dict)
    sizes.check(result)
    return result


def takes_text(group: str, kind: str, path: Path) -> bool:
    """Whether a field takes text where a value might be a number: data of a ConfigMap, environment and command line of a container."""
    if (group, kind) == ("", "ConfigMap"):
        return path[0] == "data"
    return builtin.pod_template(group, kind) is not None and (
        path[-1] == "value" or (len(path) > 1 and path[-2] in {"args", "command"})
    )
