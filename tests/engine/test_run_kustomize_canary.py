"""No value of an overlay reaches signet-render: not its memory, while it renders and afterwards, nor its pipes, answers and /proc."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.adapters.render import protocol
from agent.adapters.render.pool import Renderers
from agent.adapters.render.process import Helper
from agent.api.operator import RenderLimits
from render import build
from testbed import process_memory
from testbed.canary import Canaries, Finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from agent.adapters.render.protocol import Answer

CANARY = "canary-7f3a91c4"
"""In every value, so that one search finds any of them, in whatever form."""
FIELD = f"{CANARY} field: ' # "
PEM = f"-----BEGIN PRIVATE KEY-----\\n{CANARY}\\n-----END PRIVATE KEY-----\\n"
STORE = f"{CANARY} of a store"
SECRET = m.plain_secret(value=f'"{FIELD}"') + f'  key: "{PEM}"\n'
ENV = f"password={CANARY}-env\n"
FILE = f"password: {CANARY}-file\n"
MANY = "---\n".join(m.config(f"many{number}") for number in range(400))
"""What takes a renderer long enough to be looked at while it works."""


_SOON = 0.03
_LIMITS = RenderLimits(seconds=300)
"""Time to look around in."""


class Watch:
    """Looks at the renderer as it works, and after each answer."""

    def __init__(self, canaries: Canaries, monkeypatch: pytest.MonkeyPatch) -> None:
        self.canaries = canaries
        self.found: list[Finding] = []
        self.working = 0
        self._exchange = Helper._exchange
        self._answer = protocol.answer
        monkeypatch.setattr(Helper, "_exchange", self.exchange())
        monkeypatch.setattr(protocol, "answer", self.answer)

    def exchange(self) -> Callable[[Helper, bytes], Awaitable[Answer]]:
        async def watched(helper: Helper, frame: bytes) -> Answer:
            pid = helper._process.pid
            self.found += self.canaries.search_text(frame, "request")
            asked = asyncio.ensure_future(self._exchange(helper, frame))
            await asyncio.wait({asked}, timeout=_SOON)
            if asked.done():  # it needs files first
                return asked.result()
            os.kill(pid, signal.SIGSTOP)
            try:
                self.working += 1
                await asyncio.to_thread(self.look, pid, "while it works")
            finally:
                os.kill(pid, signal.SIGCONT)
            answer = await asked
            await asyncio.to_thread(self.look, pid, "afterwards")
            return answer

        return watched

    def answer(self, body: bytes, values: int) -> Answer:
        self.found += self.canaries.search_text(body, "answer")
        return self._answer(body, values)

    def look(self, pid: int, when: str) -> None:
        self.found += self.canaries.search_process(pid)
        for chunk in process_memory.chunks(pid):
            self.found += self.canaries.search_text(chunk, f"memory {when}")


def overlay(secret: str, env: str, file: str) -> dict[str, str]:
    return {
        "prod/kustomization.yaml": "resources: [many.yaml, db.yaml]\nnamePrefix: prod-\nsecretGenerator:\n"
        "- {name: env, envs: [db.env]}\n- {name: whole, files: [conf.yaml]}\n"
        "- {name: store, literals: ['pw=vault://main/kv/db#password']}\n",
        "prod/many.yaml": MANY,
        "prod/db.yaml": secret,
        "prod/db.env": env,
        "prod/conf.yaml": file,
    }


async def test_a_renderer_never_has_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(Canaries({"value": CANARY}), monkeypatch)
    renderers = Renderers(build.built(), _LIMITS)
    made = Installation(
        files=overlay(encrypt(SECRET), encrypt(ENV, "db.env"), encrypt(FILE, "conf.yaml")),
        render={"kustomize": {"path": "prod"}},
    )
    made.renderers = sources.Renderers(renderers)
    made.stores.write("kv/db", password=STORE)
    ran = await made.run()
    await renderers.close()
    assert ran.problems == []
    assert len(ran.writes) == 404
    assert watch.working
    assert watch.canaries.searched.bytes > 50 * 1024 * 1024
    assert watch.found == []


async def test_the_search_finds_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files in clear text: what a renderer would have if one thing went wrong."""
    watch = Watch(Canaries({"value": CANARY}), monkeypatch)
    renderers = Renderers(build.built(), _LIMITS)
    made = Installation(files=overlay(SECRET, ENV, FILE), render={"kustomize": {"path": "prod"}})
    made.renderers = sources.Renderers(renderers)
    made.stores.write("kv/db", password=STORE)
    await made.run()
    await renderers.close()
    assert {each.place for each in watch.found} >= {"request", "answer", "memory while it works", "memory afterwards"}
