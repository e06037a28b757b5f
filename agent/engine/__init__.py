"""The engine: from a commit to the cluster. It awaits ports, and owns neither tasks nor timers."""
