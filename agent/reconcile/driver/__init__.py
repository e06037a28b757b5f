"""The part of the engine that owns tasks and timers: what happens becomes runs, and runs become status.

`loop` starts what `schedule.step` says to start, `watching` brings live facts, `probing` asks stores for versions, `reporting` tells
people. Everything that is decided, is decided in the pure modules beside this package.
"""
