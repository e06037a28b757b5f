"""The commands of who installs and operates the agent."""
