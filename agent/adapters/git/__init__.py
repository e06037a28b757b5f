"""Git over HTTPS and SSH: commits of remote repositories, read from bare mirrors through GitPython. Nothing is ever checked out.

`mirrors.Mirrors` is the engine's GitPort. What a repository or its server may not do: choose another host (`addresses`, no
redirects), run anything (`command`: no hooks, filters, helpers, configuration or environment of the machine), see a credential that
is not for it, leave one in a process table or on disk (`credential`, `ssh`), or put its own words into an error (`failures`).
"""
