"""SOPS files, pure.

`format` has values, MAC, metadata, master keys and selection; `stores` a module for each type of file (YAML, JSON, .env, INI, binary);
`rules` reads `.sops.yaml`; `kubernetes` says what a file means as manifests; `files` encrypts, opens, seals and verifies whole files.

The contract is the files that sops 3.13.3 reads and writes (github.com/getsops/sops). Keys are opened and values are random through
arguments: a `MasterKeys` port and `random_bytes`.
"""
