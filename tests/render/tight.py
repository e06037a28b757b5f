"""Limits that hostile files meet soon; `HURRIED` is for files that only time may end."""

from __future__ import annotations

from agent.api.operator import RenderLimits

MIB = 1024 * 1024
TIGHT = RenderLimits(seconds=60, memory_bytes=256 * MIB, output_bytes=4 * MIB, objects=2000)
HURRIED = RenderLimits(seconds=5, memory_bytes=TIGHT.memory_bytes, output_bytes=TIGHT.output_bytes, objects=2000)
