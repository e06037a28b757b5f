"""The parsers under inputs that nobody would write: mutated, spliced together, and repeated until they are large."""
