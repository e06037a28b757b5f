"""A changed tree put into the text that it came from."""
