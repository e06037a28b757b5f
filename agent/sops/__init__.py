"""The SOPS file format, pure: values, MAC, selection, metadata, creation rules, and what a sealed file means.

The contract is the files that sops 3.13.3 reads and writes (github.com/getsops/sops). Keys are opened and values are random through
arguments: a `MasterKeys` port and `random_bytes`. Not here: shamir key groups and the dotenv, INI and binary stores.
"""
