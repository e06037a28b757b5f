"""The vocabulary of the house: secrets, trees, identities, fingerprints and errors. Imports nothing of ours."""
