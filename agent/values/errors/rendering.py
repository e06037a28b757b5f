"""What a renderer is given and gives back is wrong."""

from __future__ import annotations

from agent.values.errors.inputs import InputError


class PlaceholderError(InputError): ...


class SubstitutionError(InputError):
    usual_hint = "$${NAME} is the text ${NAME}; the annotation kustomize.toolkit.fluxcd.io/substitute: disabled leaves an object alone"
