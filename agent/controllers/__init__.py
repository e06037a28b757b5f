"""Tasks and timers: what happens becomes runs, and runs become status.

`loop` starts what `schedule.step` says to start, `watching` brings live facts, `probing` asks stores for versions, `reporting` writes
status and events. What is decided is decided in pure modules: here `schedule`, `fights` and `status`.
"""
