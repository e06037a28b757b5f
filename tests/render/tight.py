"""Limits that hostile files meet soon."""

from __future__ import annotations

from agent.adapters.render.protocol import Limits

MIB = 1024 * 1024
TIGHT = Limits(seconds=5, memory=256 * MIB, output=4 * MIB, objects=2000)
