"""What stands in a SOPS file: values, MAC, metadata, master keys, and which values are encrypted."""
