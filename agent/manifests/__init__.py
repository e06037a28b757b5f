"""What a commit means, as functions of values: documents, layers, references, sinks, diff, order, health. Reads and writes nothing."""
