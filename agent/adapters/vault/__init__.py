"""Vault and OpenBao, through hvac: values for references (`stores`), data keys of SOPS files (`transit`).

Which servers there are, how the agent logs in and who may read what stands in the operator's file; a reference or a SOPS file only
names one of them. Layers, from the wire up: `transport` (a deadline over the whole answer), `server` (one server, without redirects,
proxies, retries or environment), `client` (a server that the operator configured), `credential` (tokens), `store` (all of that for one
configured store), `kv`, `stores`, `transit`. The first two serve the transit keys of the command line as well.
"""
