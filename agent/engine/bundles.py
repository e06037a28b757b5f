"""Values that are made together: a certificate, its key, and what they are signed by or sign. They belong together, and are renewed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values import derive, placeholders
from agent.values.errors import LimitError, RandomValueError
from agent.values.generated import TEXTS
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.engine.context import Run
    from agent.manifests.generated import GeneratedValue
    from agent.values.generated import Generation

_MOST_KEYS: Final = 32
"""Calls for keys and certificates of an Application: each takes up to seconds."""
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


async def renewal(run: Run, given: Mapping[str, GeneratedValue], found: Mapping[str, Secret]) -> int | None:
    """When what stands is to be renewed, 0 for never; None where it does not belong together, or there is nothing."""
    if not found:
        return None
    certificates = {name: value for name, value in found.items() if given[name].generation.is_public}
    keys = {given[name].generation.call: value for name, value in found.items() if given[name].generation.part == "key"}
    keys |= {
        given[name].generation.call: found[own]
        for name in certificates
        if given[name].generation.function.endswith("WithKey") and (own := given[name].generation.args[-1]) in found
    }
    port = run.ports.generators

    def work() -> int | None:
        ends: list[float] = []
        for name, certificate in certificates.items():
            asked = given[name].generation
            validity = port.validity(certificate, keys.get(asked.call))
            issuer = next((certificates[each] for each in asked.args if each in certificates), None)
            if validity is None or (issuer is not None and not port.issued(certificate, issuer)):
                return None
            ends.append(validity.due)
        return int(min(ends, default=0))

    return await run.ports.tasks.in_thread(work) if certificates else 0


@dataclass(slots=True)
class Maker:
    """Makes values of an Application in one run."""

    run: Run
    given: Mapping[str, GeneratedValue]
    keys: int = 0

    async def make(self, bundle: frozenset[str]) -> dict[str, Secret]:
        """All of a bundle, by id. Raises RandomValueError, SecretValueError, LimitError."""
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
            args = [_argument(each, done, asked.function) for each in asked.args]
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


def _argument(text: str, done: Mapping[str, Secret], function: str) -> str | Secret:
    if not placeholders.is_marked(text):
        return text
    if text in done:
        return done[text]
    raise RandomValueError(
        "a template makes up a value with a sealed one, which is not done",
        hint="set a value for it, such as one of a store",
        function=function,
    )


def _applied(value: Secret, asked: Generation) -> Secret:
    """What functions of the template make of a value."""
    for function, *parameters in asked.then:
        value = derive.applied(function, value, parameters)
        if derive.size(value) > _LONGEST:
            raise LimitError("what a chart makes of a value that it makes up is too long", limit=_LONGEST)
    return value


def _label(value: GeneratedValue) -> str:
    return f"generated:{value.holders[0]}" if value.holders else "generated"
