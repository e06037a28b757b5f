"""A real registry, CNCF distribution, notifies the listener of a push."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.adapters.http import hooks
from agent.api.model import validate
from agent.api.webhooks import Webhook
from testbed.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from agent.controllers.followers import Push

SECRET = "a secret of the registry"


async def test_a_push_comes_with_its_repository_and_tag(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    taken: asyncio.Queue[Push] = asyncio.Queue()
    served = {"r": validate(Webhook, {"sender": "registry", "secretFile": str(file)})}
    server = await hooks.serve(served, lambda push, _: taken.put_nowait(push), host="127.0.0.1", port=0)
    try:
        url = f"http://127.0.0.1:{server.port}/hooks/r"
        with Registry(tmp_path / "registry", notify={"url": url, "authorization": f"Bearer {SECRET}"}) as registry:
            await asyncio.to_thread(registry.push, "shop/deploy", b"x", "v1")
            async with asyncio.timeout(60):
                while not (push := await taken.get()).refs:
                    pass
            assert push.refs == {"refs/tags/v1"}
            assert f"{registry.host}/shop/deploy" in push.repositories
    finally:
        await server.close()
