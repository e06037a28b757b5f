"""Whole runs of one Application over a world in memory.

`installation` is the only module that knows how a run is made, and `surroundings` what stands around it; `manifests` writes what
stands in Git and in the cluster.
"""
