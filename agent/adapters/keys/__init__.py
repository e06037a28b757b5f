"""Master keys at hand: age identities, PGP secret keys in a GnuPG home; for the command line transit and the clouds' KMSes.

Each implements `agent.sops.keys.MasterKeys`. The agent's own transit is in `adapters.vault`.
"""
