"""The agent's whole job against real servers, a step at a time, each verified: `python -m testbed.demo`."""
