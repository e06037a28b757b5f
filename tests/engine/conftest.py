"""What whole runs in memory have of real parts: the renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.adapters.render.pool import Renderers
from render import build

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@pytest.fixture
async def renderers() -> AsyncGenerator[Renderers]:
    """Of the signet-render that is built."""
    running = Renderers(build.built())
    yield running
    await running.close()
