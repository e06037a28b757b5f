"""What a failed git command meant. Its own words and the server's never go on: they only choose between our sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

from agent.values.errors import AgentError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from agent.adapters.git.command import Outcome


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    error: type[SourceError]
    message: LiteralString
    hint: LiteralString


def _rule(pattern: str, error: type[SourceError], message: LiteralString, hint: LiteralString = "") -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), error, message, hint)


_RULES: Final = (
    _rule(
        r"returned error: 30\d",
        SourceError,
        "the Git server redirects, which is not followed",
        "write the repository's final address into spec.source.url",
    ),
    _rule(
        r"returned error: 40[13]|authentication failed|could not read (username|password)|terminal prompts disabled",
        SourceError,
        "the Git server refuses the credential",
        "check user name, password and their rights on the repository; a server may refuse one that is missing",
    ),
    _rule(
        r"repository '.*' not found|returned error: (404|410)",
        SourceError,
        "no such repository, or the credential may not see it",
        "check spec.source.url and spec.source.credentials",
    ),
    _rule(
        r"couldn't find remote ref|not our ref|unadvertised object|no such remote ref",
        SourceError,
        "the repository has no such branch, tag or commit",
        "check spec.source.revision",
    ),
    _rule(
        r"certificate|\bssl\b|\btls\b",
        SourceError,
        "the Git server's certificate is not trusted",
        "give the authority's PEM as ca.crt in the credentials Secret, or as git.caFile in the operator's file",
    ),
    _rule(
        r"transport '.*' not allowed|mismatched algorithms|not valid: is this a git repository",
        SourceError,
        "the address is not that of a Git repository the agent can read",
        "check spec.source.url",
    ),
    _rule(r"returned error: (429|5\d\d)", SourceUnavailableError, "the Git server is overloaded or failing"),
    _rule(r"could not resolve host", SourceUnavailableError, "the Git server's name does not resolve"),
    _rule(
        r"unable to access|rpc failed|hung up|unexpected disconnect|early eof|connection (refused|reset|timed out)",
        SourceUnavailableError,
        "the Git server cannot be reached",
    ),
)


def is_unknown(outcome: Outcome) -> bool:
    """Whether git failed for none of the reasons that lie with the server: then most likely with what the mirror holds."""
    return not outcome.stopped and _rule_for(outcome) is None


def damaged(*, repository: str) -> SourceUnavailableError:
    """For a mirror that was thrown away."""
    return SourceUnavailableError("the mirror was damaged and is fetched anew", repository=repository)


def translate(outcome: Outcome, *, repository: str) -> AgentError:
    """The error that a command's outcome means."""
    if outcome.stopped == "timeout":
        return SourceUnavailableError(
            "the Git server did not answer in time",
            hint="git.timeoutSeconds in the operator's file is the limit",
            repository=repository,
        )
    if outcome.stopped == "output":
        return SourceError("the Git server's answer is too long", repository=repository)
    rule = _rule_for(outcome)
    if rule is None:
        return SourceUnavailableError("git failed", repository=repository)
    return rule.error(rule.message, hint=rule.hint, repository=repository)


def _rule_for(outcome: Outcome) -> _Rule | None:
    text = _own_words(outcome)
    return next((rule for rule in _RULES if rule.pattern.search(text)), None)


def _own_words(outcome: Outcome) -> str:
    """Lines of git itself; what the server says comes as `remote: …`."""
    lines = outcome.stderr.replace("\r", "\n").split("\n")
    return "\n".join(line for line in lines if line.startswith(("fatal:", "error:")))
