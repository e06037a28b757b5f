"""Artifacts of OCI registries as a source of files: found by digest, tag or version, verified, unpacked within limits and kept on disk.

`artifacts` is the engine's port. `registry` speaks the distribution specification through `client`, which goes to allowed hosts alone;
`layout` says which blob of an artifact counts, `archive` unpacks it, and `packs` keeps what came of it.
"""
