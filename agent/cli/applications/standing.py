"""Under which names generated objects stand, as far as a user can find out: by the agent's own rules, with the user's keys and rights.

The fingerprints of a record are the agent's, so what it knows is read in the cluster instead, and compared under a key of this run.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Literal

from agent.cli import terminal
from agent.engine import suffixes as engine
from agent.manifests import ownership, resolve, suffixes
from agent.manifests.resolve import Pending
from agent.values.dataclass import dataclass, field, replace
from agent.values.errors import AgentError, InputError
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import ObjectId
from agent.values.secret import Sealed, Secret
from agent.values.tree import walk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.cli.applications.applied import Applied
    from agent.engine.record import ApplicationRecord
    from agent.engine.renderers import Rendered
    from agent.engine.rendering import Inputs
    from agent.engine.suffixes import Content, Settled, Taken
    from agent.manifests.places import Places
    from agent.manifests.suffixes import Generated
    from agent.values.tree import Object


def _key_of_this_run() -> Fingerprinter:
    return Fingerprinter.derive(Secret(os.urandom(32), "key of this run"), "applied")


@dataclass(frozen=True, slots=True)
class Names:
    """What a user may read of them. `looked` is what the cluster has of the Application, whose objects go to `places`.

    Without `asks`, names are what the record says, and nothing is looked for or warned of.
    """

    cluster: Cluster
    looked: Applied
    places: Places
    asks: bool = True
    fingerprints: Fingerprinter = field(default_factory=_key_of_this_run)

    def settling(
        self, secrets: Mapping[str, Secret], unopened: Secret | None
    ) -> Callable[[Rendered, Inputs], Awaitable[Settled]]:
        """Gives the names of what was rendered, and warns of each that is not known. `unopened` stands for values that did not open."""
        return lambda result, given: self._settle(result, given, secrets, unopened)

    async def _settle(
        self, result: Rendered, given: Inputs, secrets: Mapping[str, Secret], unopened: Secret | None
    ) -> Settled:
        taken = engine.take(result, self.looked.record, given.given, self.places)
        if not self.asks:
            return engine.Settled(taken.known, taken.trees)
        contents = self._contents(taken, secrets, unopened)
        unread = taken.new.keys() - {each.id for each in contents}
        try:
            chosen = await engine.choose(await self._local(contents), contents, self)
        except AgentError as error:
            terminal.warn(f"names of generated objects are shown as they were rendered: {error}")
            return replace(engine.NOTHING, standing=taken.known, read=taken.trees)
        if not self.looked.recorded:
            unread |= {each.id for each in contents if chosen[each.of.key].suffix == each.of.suffix}
        for key in sorted(unread):
            why = "a value does not open with your keys" if self.looked.recorded else "the agent's record was not read"
            terminal.warn(f"{key} may stand under another name: {why}")
        return engine.Settled({**taken.known, **chosen}, taken.trees)

    def _contents(self, taken: Taken, secrets: Mapping[str, Secret], unopened: Secret | None) -> list[Content]:
        """What those hold that the user's keys open."""
        found: list[Content] = []
        printer = engine.printer_of(self.fingerprints, self.looked.uid)
        for key, each in taken.new.items():
            tree = taken.trees[each.key]
            ids = [leaf.id for _, leaf in walk(tree) if isinstance(leaf, Sealed)]
            behind = taken.expressions.behind(ids)
            needed = [name for name in ids if name not in behind.known]
            needed += [leaf.id for leaf in behind.inputs.values() if isinstance(leaf, Sealed)]
            if any(name not in secrets or secrets[name] is unopened for name in needed):
                continue
            inputs: Object = {
                name: secrets[leaf.id] if isinstance(leaf, Sealed) else leaf for name, leaf in behind.inputs.items()
            }
            try:
                opened = resolve.unseal(tree, secrets, behind.known)
                pending = Pending(behind, inputs)
                found.append(engine.content_of(key, each, opened, pending, clock=time.monotonic, printer=printer))
            except InputError:
                continue  # it is held when it is checked
        return found

    async def _local(self, contents: Sequence[Content]) -> ApplicationRecord:
        """The record with fingerprints under the key of this run, of what stands under the names that it has."""
        record, of = self.looked.record, {each.of.family: each for each in contents}
        known = dict(record.standing)
        for key, each in record.standing.items():
            content = of.get(suffixes.family(key))
            if content is not None:
                name = suffixes.live_name(key, each).partition("/")[2]
                live = await self.live(ObjectId("", content.id.kind, content.id.namespace, name))
                known[key] = replace(each, content="" if live is None else self.print(content.of, live))
        return replace(record, standing=known)

    async def listed(self, key: ObjectId) -> Sequence[Object]:
        resource = (await self.cluster.kinds()).of(key)
        return [] if resource is None else await self.cluster.list_metadata(resource, namespace=key.namespace)

    async def live(self, key: ObjectId) -> Object | None:
        resource = (await self.cluster.kinds()).of(key)
        return None if resource is None else await self.cluster.get(resource, key.namespace, key.name)

    def owner(self, key: ObjectId, met: Object) -> Literal["ours", "other", "before", ""]:
        claimed = ownership.claimed(met)
        if key in self.looked.live:
            return "ours"
        if claimed != self.looked.uid and claimed in self.looked.applications:
            return "other"
        return "before" if claimed else ""

    def print(self, each: Generated, tree: Object) -> str:
        return engine.printer_of(self.fingerprints, self.looked.uid)(each, tree)
