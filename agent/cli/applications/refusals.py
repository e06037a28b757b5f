"""What the agent refuses of an Application as a whole: by its spec, its repositories and the operator's file, where the user names one.

Without that file, an operator is assumed who agrees with the Application.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.adapters.git import addresses
from agent.adapters.oci import addresses as registries
from agent.api.signatures import rule_for
from agent.daemon import grants
from agent.desired import dependencies
from agent.desired.compiler import UnknownChangeError
from agent.engine.context import Grants
from agent.manifests import places
from agent.manifests.sinks import AllowedSinks
from agent.values.errors import (
    AgentError,
    ConfigError,
    ForeignNamespaceError,
    LimitError,
    SignatureError,
    SourceError,
    SourceUnavailableError,
    WaitsError,
)
from agent.values.ids import Revision
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from agent.api.application import Application
    from agent.api.operator import OperatorSettings

_NO_COMMIT = Revision("", "", "", 0)


@contextmanager
def said() -> Generator[None]:
    """What refuses a source leaves nothing else to say. Raises UnknownChangeError in its place."""
    try:
        yield
    except (SourceError, SignatureError, LimitError) as error:
        if isinstance(error, SourceUnavailableError):
            raise
        raise UnknownChangeError((Problem(error),)) from None


def granted(settings: OperatorSettings | None, application: Application) -> Grants:
    """What the Application may do. Raises UnknownChangeError where the agent would run no commit of it."""
    found = _assumed(application)
    errors: list[AgentError] = []
    if settings is not None:
        try:
            found = grants.of(settings, application)
        except ForeignNamespaceError as error:
            errors.append(error)
        errors += _unreachable(settings, application)
    faults = dependencies.check(application, _NO_COMMIT, {}, found.dependencies)
    errors += [each for each in faults if not isinstance(each, WaitsError)]
    if errors:
        raise UnknownChangeError(tuple(map(Problem, errors)))
    return found


def _assumed(application: Application) -> Grants:
    spec = application.spec
    asked = spec.secrets.allow
    return Grants(
        None,
        AllowedSinks("ConfigMap" in asked, "Env" in asked, "Args" in asked),
        dependencies=places.EVERYWHERE,
        disclosed=frozenset(spec.substitute.disclose if spec.substitute else ()),
        destinations=places.EVERYWHERE,
    )


def _unreachable(settings: OperatorSettings, application: Application) -> Iterator[AgentError]:
    """Why sources are not asked at all."""
    for name, source in application.spec.all_sources.items():
        try:
            if source.oci is not None:
                _ = registries.check(source.address, settings.oci)
            else:
                _ = addresses.check(source.address, settings.git)
                _ = rule_for(settings.git.signatures, source.address)
        except (SourceError, ConfigError) as error:
            yield error.with_facts(source=name) if name else error
    helm = application.spec.render.helm if application.spec.render is not None else None
    try:
        if helm is not None and helm.chart.oci is not None:
            _ = registries.check(helm.chart.url, settings.oci)
        elif helm is not None and helm.chart.repository is not None:
            registries.check_charts(helm.chart.url, settings.charts)
    except SourceError as error:
        yield error
