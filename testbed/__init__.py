"""Real servers for the demo, the tests and the benchmarks: a Kubernetes control plane, OpenBao and Git over HTTP.

Nothing here is shipped. Each server is a context manager that listens on loopback, on a port that was free, and whose processes
end with it. Programs that no registry ships are built once (`testbed.binaries`).
"""
