"""The world around the agent in memory: what models and tests of whole runs share.

`server` is an API server and `field_sets` who owns what in it, `cluster` the ports over it, `records` and `sources` the other ports,
`sealed_files` encrypts for them. `tests/kubernetes/test_memory_server.py` puts the same calls to a real API server and compares.
"""
