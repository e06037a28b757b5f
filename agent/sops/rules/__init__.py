"""`.sops.yaml`: for whom a new file is encrypted, and which of its values."""
