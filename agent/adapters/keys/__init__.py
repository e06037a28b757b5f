"""Master keys at hand: age identities, PGP secret keys in a GnuPG home, and transit for the command line.

Each implements `agent.sops.keys.MasterKeys`. The agent's own transit is in `adapters.vault`.
"""
