"""What a SOPS file means to Kubernetes, and what of its manifests stands in the clear."""
