"""Tasks and timers: what happens becomes runs, and runs become status.

`loop` starts what `schedule` says to start, `watching` brings live facts and owns them, `probing` asks stores for versions,
`reporting` writes status and events. What is decided is decided in pure modules: here `schedule`, `fights` and `status`.
"""
