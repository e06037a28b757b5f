"""Real nodes beside the testbed's control plane: containerd, kubelet and kube-proxy in namespaces of their own.

All of it lives in a network namespace that `python -m testbed.node` makes, and each node in further namespaces for processes, mounts and
network: what a node mounts, configures or starts ends with its first process. Outside of them there are only folders of files and of cgroups,
which a guard removes.
"""
