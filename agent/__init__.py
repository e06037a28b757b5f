"""Signet, a secrets-aware GitOps agent for Kubernetes: secrets stay sealed until the API call."""
