"""The engine: from a commit to the cluster, and keeping it there. Its core is sans-I/O; `driver` alone owns tasks and timers."""
