"""Vault and OpenBao, through hvac: values for references (`stores`), data keys of SOPS files (`transit`).

Which servers there are, how the agent logs in and who may read what stands in the operator's file; a reference or a SOPS file only
names one of them. Layers, from the wire up: `transport` (a deadline over the whole answer), `client` (one server, without redirects,
proxies, retries or environment), `credential` (tokens), `store` (all of that for one configured store), `kv`, `stores`, `transit`.
"""
