"""How an Application names a Secret of its own namespace."""

from __future__ import annotations

from agent.api.fields import ObjectName
from agent.api.model import Model


class SecretReference(Model):
    """A Secret in the Application's own namespace."""

    secret_name: ObjectName
    """Name of the Secret."""
