"""Files as commands find, read, lay out and write them. No key is asked for here."""
