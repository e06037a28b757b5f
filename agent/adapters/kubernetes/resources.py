"""The resources that the agent itself keeps, which need no discovery."""

from __future__ import annotations

from agent.api import names
from agent.manifests.kinds import Resource

APPLICATION = Resource(names.GROUP, names.VERSION, names.KIND, names.PLURAL, True)
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps", True)
DEFINITION = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
EVENT = Resource("events.k8s.io", "v1", "Event", "events", True)
LEASE = Resource("coordination.k8s.io", "v1", "Lease", "leases", True)
POD = Resource("", "v1", "Pod", "pods", True)
SECRET = Resource("", "v1", "Secret", "secrets", True)
SERVICE_ACCOUNT = Resource("", "v1", "ServiceAccount", "serviceaccounts", True)
WORKLOADS = (
    Resource("apps", "v1", "Deployment", "deployments", True),
    Resource("apps", "v1", "DaemonSet", "daemonsets", True),
)
