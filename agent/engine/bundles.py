"""Values that are made together: a certificate, its key, and what they are signed by or sign. They belong together, and are renewed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values import derive, placeholders
from agent.values.errors import LimitError
from agent.values.generated import JOINED, TEXTS
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.engine.context import Run
    from agent.manifests.generated import GeneratedValue
    from agent.values.generated import Generation

_MOST_KEYS: Final = 32
"""Calls for keys and certificates of an Application: each takes up to seconds."""
_NOW: Final = 1
"""A time that is over: to be renewed by the next run that may."""
_LONGEST: Final = 64 * 1024
"""Characters of what functions make of one value: a chart may have some hundred."""


def of(given: Mapping[str, GeneratedValue]) -> list[frozenset[str]]:
    """Values that are made together: the parts of a certificate, and what is made with them."""
    joined: dict[str, set[str]] = {name: {name} for name in given}
    calls: dict[str, str] = {}
    for name, each in given.items():
        beside = [calls.setdefault(each.generation.call, name)]
        beside += (other for arg in each.generation.args for other in placeholders.named(arg) if other in given)
        for other in beside:
            if joined[other] is not joined[name]:
                joined[name] |= joined[other]
                for one in joined[other]:
                    joined[one] = joined[name]
    return [frozenset(each) for each in {id(each): each for each in joined.values()}.values()]


async def renewal(
    run: Run, given: Mapping[str, GeneratedValue], found: Mapping[str, Secret], operands: Mapping[str, Secret]
) -> int | None:
    """When what stands is to be renewed, 0 for never; None where it does not belong together, or there is nothing.

    What does not fit a key or a CA of the `operands`, which are not made up, is to be renewed: they are others by now.
    """
    if not found:
        return None
    certificates = {name: value for name, value in found.items() if given[name].generation.is_public}
    keys = {given[name].generation.call: value for name, value in found.items() if given[name].generation.part == "key"}
    port = run.ports.generators

    def work() -> int | None:
        ends: list[float] = []
        for name, certificate in certificates.items():
            asked = given[name].generation
            validity = port.validity(certificate, keys.get(asked.call, found.get(asked.own_key)))
            issuer = found.get(asked.issuer)
            if validity is None or (issuer is not None and not port.issued(certificate, issuer)):
                return None
            key, issuer = _operand(asked.own_key, operands), _operand(asked.issuer, operands)
            fits = key is None or port.validity(certificate, key) is not None
            fits = fits and (issuer is None or port.issued(certificate, issuer))
            ends.append(validity.due if fits else _NOW)
        return int(min(ends, default=0))

    return await run.ports.tasks.in_thread(work) if certificates else 0


def _operand(text: str, operands: Mapping[str, Secret]) -> Secret | None:
    """A certificate or key that is not made up; None where there is none."""
    clear = Secret(text, "clear text") if text and not placeholders.is_marked(text) else None
    return operands.get(text, clear)


@dataclass(slots=True)
class Maker:
    """Makes values of an Application in one run."""

    run: Run
    given: Mapping[str, GeneratedValue]
    keys: int = 0

    async def make(self, bundle: frozenset[str], operands: Mapping[str, Secret]) -> dict[str, Secret]:
        """All of a bundle, by id. `operands` are the arguments that are not made up. Raises RandomValueError, SecretValueError, LimitError."""
        given, done = self.given, dict[str, Secret]()
        now = self.run.ports.clock.now()
        for name in _in_order(bundle, given):
            if name in done:
                continue
            asked = given[name].generation
            if asked.function not in TEXTS:
                self.keys += 1
                if self.keys > _MOST_KEYS:
                    raise LimitError("a chart makes up too many keys and certificates", limit=_MOST_KEYS)
            if asked.function == JOINED:
                parts_of = placeholders.split(asked.args[0])
                done[name] = derive.relabel(
                    derive.concat([done.get(each, each) for each in parts_of]), _label(given[name])
                )
                continue
            args = [done.get(each, operands.get(each, each)) for each in asked.args]
            parts = {given[each].generation.part: each for each in bundle if given[each].generation.call == asked.call}
            labels = {
                part: _label(given[parts[part]]) if part in parts else "generated" for part in ("", "cert", "key")
            }
            made = await self.run.ports.tasks.in_thread(
                lambda asked=asked, args=args, labels=labels: self.run.ports.generators.make(asked, args, labels, now)
            )
            for part, value in made.items():
                if part in parts:
                    done[parts[part]] = _applied(value, asked)
        return done


def _in_order(bundle: frozenset[str], given: Mapping[str, GeneratedValue]) -> Sequence[str]:
    """What others are made with comes first."""
    order: dict[str, None] = {}
    waiting = sorted(bundle, reverse=True)
    while waiting:
        name = waiting[-1]
        needs = [
            each
            for arg in given[name].generation.args
            for each in placeholders.named(arg)
            if each in bundle and each not in order
        ]
        if needs and len(waiting) <= len(bundle) * len(bundle) + 1:
            waiting += needs
        else:
            order[waiting.pop()] = None
    return [*order]


def _applied(value: Secret, asked: Generation) -> Secret:
    """What functions of the template make of a value."""
    for function, *parameters in asked.then:
        value = derive.applied(function, value, parameters)
        if derive.size(value) > _LONGEST:
            raise LimitError("what a chart makes of a value that it makes up is too long", limit=_LONGEST)
    return value


def _label(value: GeneratedValue) -> str:
    return f"generated:{value.holders[0]}" if value.holders else "generated"
