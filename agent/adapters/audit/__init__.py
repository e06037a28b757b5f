"""The audit trail: what the agent meant to do, and what came of it, in a chain that shows when it was changed.

`record` gives an entry its bytes and its place in the chain, `journal` writes them to a file, `trail` is the engine's `AuditPort`,
`verify` judges a file, and `anchor` is the part that is kept where the file is not. What it does not promise: records after the last
checkpoint are chained but not signed, so anyone who can write the file can replace that tail; `verify` says how long it is.
"""
