"""The commands that Git calls for encrypted files, and those that set it up and resolve what it leaves."""
