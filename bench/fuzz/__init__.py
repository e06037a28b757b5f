"""The parsers under inputs that no one would write: mutated, spliced together, and repeated until they are large."""
