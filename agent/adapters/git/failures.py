"""What a failed git command meant. Its own words and the server's never go on: they only choose between our sentences."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

from agent.adapters import proxies
from agent.values.errors import AgentError, LimitError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from agent.adapters.git.command import Outcome


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    error: type[SourceError | LimitError]
    message: LiteralString
    hint: LiteralString


def _rule(
    pattern: str, error: type[SourceError | LimitError], message: LiteralString, hint: LiteralString = ""
) -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), error, message, hint)


_RULES: Final = (
    _rule(
        # over TLS, an answer with this status is the server's
        r"(response|code) 407\b|unable to access 'http://\S*: The requested URL returned error: 407\b",
        SourceUnavailableError,
        proxies.REFUSED,
        proxies.REFUSED_HINT,
    ),
    _rule(
        r"returned error: 30\d",
        SourceError,
        "the Git server redirects, and redirects are not followed",
        "write the repository's final address into spec.source.url",
    ),
    _rule(
        r"could not read username|terminal prompts disabled",
        SourceError,
        "the Git server asks for a user name and a password",
        "name a Secret with both in spec.source.credentials; many servers ask for them, too, where no repository is",
    ),
    _rule(
        r"returned error: 40[13]|authentication failed|could not read password",
        SourceError,
        "the Git server refuses the credential",
        "check the user name, the password and their access to the repository, and that it exists",
    ),
    _rule(
        r"repository '.*' not found|returned error: (404|410)",
        SourceError,
        "no such repository, or the credential has no access to it",
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
        "set the CA's PEM as ca.crt in the credentials Secret, or as git.caFile in the operator's file",
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

_SSH_RULES: Final = (
    _rule(
        r"@ +WARNING: REVOKED HOST KEY DETECTED!",
        SourceError,
        "the Git server shows a host key that known_hosts revokes",
        "it may not be the server that answers: ask those who run it which key is theirs, and correct known_hosts",
    ),
    _rule(
        r"@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
        SourceError,
        "the Git server shows another host key than the one in known_hosts",
        "ask those who run it whether they changed the key; only then replace it in known_hosts, by what agent known-hosts prints",
    ),
    _rule(
        r"Certificate (invalid|lacks|signed|contains)",
        SourceError,
        "the Git server's host certificate does not count",
        "it has expired, or is for another name; those who run the server renew it",
    ),
    _rule(
        r"No .*host key is known for |Host key verification failed",
        SourceError,
        "the Git server's host key is not in known_hosts",
        "agent known-hosts HOST prints it: compare the fingerprint with what those who run the server publish, then add it",
    ),
    _rule(
        r"Unable to negotiate with ",
        SourceError,
        "the Git server offers no SSH algorithm that the agent takes",
        "signatures by SHA-1 and DSA keys are refused: the server has to be brought up to date",
    ),
    _rule(
        r"Load key |sign_and_send_pubkey: ",
        SourceError,
        "ssh cannot use the deploy key",
        "make a new one by ssh-keygen -t ed25519",
    ),
    _rule(
        r"\S+@\S+: Permission denied |Received disconnect from \S+ port \d+:2: Too many authentication failures",
        SourceError,
        "the Git server refuses the deploy key",
        "add its public key to the repository there; check identity in the Secret and the user in spec.source.url",
    ),
    _rule(
        r"(ssh_\w+|x(malloc|calloc|realloc|reallocarray))\b.*(memory|allocat)",
        LimitError,
        "ssh needs more memory than the agent gives it",
        "limits.gitBytes in the operator's file is the limit of each process",
    ),
    _rule(r"ssh: Could not resolve ", SourceUnavailableError, "the Git server's name does not resolve"),
    _rule(
        r"ssh: connect to host ",
        SourceUnavailableError,
        "the Git server cannot be reached",
        "check host and port in spec.source.url, and whether the agent's network lets it connect there",
    ),
)
"""For a line that OpenSSH's client logged, from its start: first what others are a consequence of."""
_SSH_ENDINGS: Final = (
    _rule(r"exit 255$|Received disconnect ", SourceUnavailableError, "the Git server ended the connection"),
    _rule(
        r"exit \d",
        SourceError,
        "no such repository, or the deploy key may not read it",
        "check spec.source.url; a server may know a deploy key for another repository only",
    ),
)
"""For how the client ended, where git has nothing better to say."""

_OUT_OF_MEMORY: Final = re.compile(
    r"out of memory|cannot allocate memory|unable to create (async )?thread", re.IGNORECASE
)
_OUT_OF_TIME: Final = re.compile(rf"died of signal {signal.SIGXCPU:d}\b")


def check_limits(status: int, stderr: str, *, address_space: int, cpu_seconds: int) -> None:
    """Raises LimitError where git, or a process of its, ended because it may take no more."""
    words = "\n".join(line for line in _own_lines(stderr) if "remote error:" not in line)
    if _OUT_OF_MEMORY.search(words):
        raise LimitError(
            "git needs more memory than its limit",
            hint="limits.gitBytes in the operator's file is the limit of each process; raise it together with the container's memory",
            limit=address_space,
        )
    if status == -signal.SIGXCPU or _OUT_OF_TIME.search(words):
        raise LimitError(
            "git needs more CPU time than its limit",
            hint="git.timeoutSeconds in the operator's file limits what the server sends",
            limit=cpu_seconds,
        )


def is_unknown(outcome: Outcome) -> bool:
    """Whether git failed for none of the reasons that lie with the server: then most likely with what the mirror holds."""
    return not outcome.stopped and _rule_for(outcome) is None


def damaged(*, repository: str) -> SourceUnavailableError:
    """For a mirror that was thrown away."""
    return SourceUnavailableError("the mirror was damaged and is fetched again", repository=repository)


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
    text, logged = own_words(outcome), outcome.ssh.replace("\r", "").split("\n")
    return (
        next((rule for rule in _SSH_RULES if any(map(rule.pattern.match, logged))), None)
        or next((rule for rule in _RULES if rule.pattern.search(text)), None)
        or next((rule for rule in _SSH_ENDINGS if any(map(rule.pattern.match, logged))), None)
    )


def own_words(outcome: Outcome) -> str:
    return "\n".join(_own_lines(outcome.stderr))


def _own_lines(stderr: str) -> list[str]:
    """Lines of git itself; what the server says comes as `remote: …`."""
    return [line for line in stderr.replace("\r", "\n").split("\n") if line.startswith(("fatal:", "error:"))]
