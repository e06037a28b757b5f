"""A model of handing an Application from agent to agent: real drivers over ports in memory, in every order of what they do.

All agents share the API server of `memory_world`; `agents` are one agent's ports and its driver, `world` a whole installation with what
happens to it, `laws` what must hold whatever happens, `explorer` the search through the orders, `stories` what happens in which test.
"""
