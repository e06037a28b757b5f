"""The outside world, one package per system, each independent of the others. What a library raises becomes an AgentError here."""
