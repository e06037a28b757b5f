"""Labels and annotations that an Application gives to all of its objects."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from agent.api import names
from agent.api.model import Model, invalid

_KEY: Final = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_KUBECTL: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MOST: Final = 16


def _keys(given: dict[str, str]) -> dict[str, str]:
    if not all(map(_KEY.fullmatch, given)):
        raise invalid(
            "a name of a label or annotation has up to 63 letters, digits, dots, dashes and underscores behind a prefix"
        )
    if any(name.startswith(f"{names.GROUP}/") or name == _KUBECTL for name in given):
        raise invalid("the agent's own labels and annotations, and kubectl's, cannot be given to all objects")
    return given


_Label = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$")]
_Annotation = Annotated[str, Field(max_length=256)]


class CommonMetadata(Model):
    """Labels and annotations of every object; those of pods and selectors within them stay as they are."""

    labels: Annotated[dict[str, _Label], Field(max_length=_MOST), AfterValidator(_keys)] = Field(
        default_factory=dict[str, str]
    )
    """Labels. One that an object has otherwise is overwritten."""
    annotations: Annotated[dict[str, _Annotation], Field(max_length=_MOST), AfterValidator(_keys)] = Field(
        default_factory=dict[str, str]
    )
    """Annotations, likewise."""


class NamespaceMetadata(CommonMetadata):
    """Labels and annotations of namespaces that are created for an Application, such as those of Pod Security."""
