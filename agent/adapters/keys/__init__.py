"""Master keys on this machine: age identities and PGP secret keys; for the command line transit and the clouds' KMSes.

Each implements `agent.sops.format.keys.MasterKeys`. The agent's own transit is in `adapters.vault`.
"""
