"""Renderers as the engine's RenderPort.

`pool` gives turns to processes of signet-render, `process` runs one, `protocol` has its words and `failures` our errors for them,
`patience` lets those wait whose files ended it. The program's sources are in `render`, beside this package.
"""
