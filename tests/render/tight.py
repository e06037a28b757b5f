"""Limits that hostile files meet soon."""

from __future__ import annotations

from agent.api.operator import RenderLimits

MIB = 1024 * 1024
TIGHT = RenderLimits(seconds=5, memory_bytes=256 * MIB, output_bytes=4 * MIB, objects=2000)
