"""/healthz, /readyz and /metrics. Answers hold no text but `ok`, `no` and the metrics; a request's text enters none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from agent.values.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    _Answer: TypeAlias = Awaitable[web.StreamResponse]

_LONGEST_REQUEST: Final = 64 * 1024
_SHUTDOWN_SECONDS: Final = 2.0


class Server:
    """A listening server. `port` is the real one where 0 was asked for."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner: web.AppRunner = runner
        self.port: int = int(runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening and end connections."""
        await self._runner.cleanup()


async def serve(
    *,
    host: str,
    port: int,
    live: Callable[[], bool],
    ready: Callable[[], bool],
    metrics: Callable[[], bytes],
    content_type: str,
) -> Server:
    """Listen. `live` and `ready` answer at once, from memory. Raises ConfigError where the port is taken."""
    app = web.Application(client_max_size=_LONGEST_REQUEST)
    app.add_routes(
        [
            web.get("/healthz", _probe(live)),
            web.get("/readyz", _probe(ready)),
            web.get("/metrics", _metrics(metrics, content_type)),
        ]
    )
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        failed = error.errno or 0
    else:
        return Server(runner)
    raise ConfigError(
        "cannot listen for probes and metrics", host=host, port=port, errno=failed, hint="choose another port"
    )


def _probe(check: Callable[[], bool]) -> Callable[[web.Request], _Answer]:
    async def answer(_: web.Request) -> web.Response:
        good = check()
        return web.Response(status=200 if good else 503, text="ok\n" if good else "no\n")

    return answer


def _metrics(metrics: Callable[[], bytes], content_type: str) -> Callable[[web.Request], _Answer]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": content_type})

    return answer
