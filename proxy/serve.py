"""From settings to a running server and back: home, lock, sockets, then what starts and stops with the loop.

The order matters both ways. Start: lock, port, journal, modes, legacy. Stop: no new connections, streams closed,
replies finished, legacy ended, database closed, pid file gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
import uvicorn

from native_routes import GROUPS
from native_routes.agent_yaml import AuthPolicy
from native_routes.reader import Reader
from native_routes.tokens import mint
from native_routes.writer import Writer
from proxy import listen, systemd, take_over
from proxy.admit import Admission
from proxy.answer import Answerer
from proxy.app import FrontDoor, application
from proxy.borrow import Borrower
from proxy.caps import Facts
from proxy.cutover import Cutover
from proxy.desired_modes import Mode
from proxy.edge import Edge
from proxy.evidence import PackagedEvidence
from proxy.forward import Forwarder
from proxy.home import HomeLock, PidFile, create_auth_secret, create_home
from proxy.journal import Journal
from proxy.legacy.attached import AttachedLegacy
from proxy.legacy.status import Legacy, LegacyState, LegacyStatus
from proxy.legacy.supervised import SupervisedLegacy
from proxy.legacy_events import LegacyEvents
from proxy.match import Matcher
from proxy.operator_error import OperatorError
from proxy.services import Services
from proxy.settings import Settings, process_environment
from proxy.shadow import Shadow
from proxy.status_rewrite import rewriter
from proxy.wire import Wire

TICK_S = 0.5
DESCRIPTORS = 65_536
# Signet's CLI kills 5 s after its SIGTERM; a service manager gives more, and legacy may be in an extraction.
LEGACY_STOP_S = 2.3
LEGACY_STOP_MANAGED_S = 30.0
PROBE_TOKEN_TTL_S = 300
# What clients ask for first is imported while the daemon boots, when nobody can be kept waiting by it.
ASKED_FIRST = ("status", "memories")
IMPORT_AFTER_S = 0.1  # the first /health has been answered by then

log = structlog.get_logger(__name__)


class ServeError(OperatorError):
    """The proxy cannot start; the message names the cause and the fix."""


def serve(settings: Settings, *, take_over_port: bool = False) -> None:
    """Run until SIGTERM or SIGINT. Raises ServeError, HomeError, BindError before anything was started."""
    create_home(settings.home_path, settings.logs_path)
    with HomeLock(settings.home_path):
        policy = _load_policy(None, settings.home_path)
        _refuse_open_bind(settings, policy)
        sockets = _sockets(settings, take_over_port)
        try:
            _prepare_process()
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_Proxy(settings, policy, sockets).run())
        finally:
            for listener in sockets:
                listener.close()


def _refuse_open_bind(settings: Settings, policy: AuthPolicy) -> None:
    if not settings.listens_beyond_loopback or policy.mode != "local" or settings.allow_insecure_bind:
        return
    raise ServeError(
        f"refusing to listen on {settings.listen_host} with auth.mode local: everybody who reaches it could read and "
        f"change every memory. Set auth.mode to team or hybrid in {settings.home_path / 'agent.yaml'}, or bind "
        "127.0.0.1; in a container whose port is published on loopback only, set SIGNET_ALLOW_INSECURE_BIND=1"
        + (f". Note: {policy.problem}" if policy.problem else "")
    )


def _sockets(settings: Settings, take_over_port: bool) -> list[socket.socket]:
    inherited = systemd.inherited_sockets(process_environment())
    if inherited:
        return inherited
    try:
        return listen.bind(settings)
    except listen.PortTakenError as taken:
        if not take_over_port:
            raise ServeError(take_over.describe_holder(settings, taken)) from taken
        log.info("taken_over", port=taken.port, pid=take_over.take_over(settings, taken))
    try:
        return listen.bind(settings)
    except listen.PortTakenError as taken:
        raise ServeError(take_over.describe_holder(settings, taken)) from taken


def _prepare_process() -> None:
    """Room for clients, and no long pauses: what was imported until now is never looked at by the garbage collector."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Each idle stream takes two descriptors, its client's and legacy's.
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    gc.freeze()  # without a collection before, which takes 20 ms and finds 700 objects
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # not packaged for every platform; asyncio's own loop is slower and just as correct
        return None
    return uvloop.new_event_loop


class _Server(uvicorn.Server):
    """uvicorn's server, except that a signal ends it with exit code 0, as legacy's does."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        # What is ignored stays ignored: nohup means SIGHUP.
        stops = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        ignored = [number for number in (*stops, signal.SIGQUIT) if signal.getsignal(number) is signal.SIG_IGN]
        signals = [number for number in stops if number not in ignored]
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        for number in ignored:  # by a handler, which what we start does not inherit; Bun's children do not either
            signal.signal(number, _do_nothing)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)


def _do_nothing(number: int, frame: FrameType | None) -> None: ...


class _Proxy:
    """Everything that lives as long as the event loop."""

    def __init__(self, settings: Settings, policy: AuthPolicy, sockets: list[socket.socket]) -> None:
        self._settings = settings
        self._evidence = PackagedEvidence(GROUPS)  # blocks, so before the loop runs
        self._sockets = sockets
        self._environment = process_environment()
        self._notifier = systemd.Notifier(self._environment)
        self._edge = Edge(settings, policy)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        settings = self._settings
        self._pid_file = PidFile(settings.home_path)
        self._journal = Journal(settings.daemon_dir_path / "proxy.db")
        self._legacy = self._make_legacy()
        self._cutover = Cutover(GROUPS, settings, self._journal, lambda: Facts.of(self._legacy.status), self._evidence)
        self._legacy.subscribe(self._legacy_changed)
        self._forwarder = Forwarder(settings, self._legacy, asyncio.get_running_loop())
        self._services = Services(
            settings=settings,
            legacy=self._legacy,
            cutover=self._cutover,
            journal=self._journal,
            auth=lambda: self._edge.auth,
            reader=Reader(settings.database_path),
            writer=Writer(settings.database_path),
            events=LegacyEvents(self._forwarder.pool, self._legacy, self._probe_token),
            borrower=Borrower(self._forwarder.pool, self._legacy, self._probe_token),
            environment=self._environment,
            listening=tuple(_shown(listener) for listener in self._sockets),
        )
        self._shadow = Shadow(self._services, self._forwarder)
        config = uvicorn.Config(
            application(self._front_door(), self._lifespan),
            http=Wire.for_settings(settings),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=settings.stop_grace_s,  # type: ignore[arg-type]  # used as seconds of any kind
        )
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # our own lines say when it starts and stops
        self._server = _Server(config)
        await self._server.serve(sockets=self._sockets)

    def _front_door(self) -> FrontDoor:
        settings = self._settings
        rewrite = rewriter(settings.port, settings.host, settings.listen_host)
        answerer = Answerer(
            self._services, self._forwarder, self._shadow, rewrite_status=rewrite, own_token=self._probe_token
        )
        return FrontDoor(self._services, self._edge, Matcher(GROUPS), Admission(), answerer, self._forwarder)

    def _make_legacy(self) -> Legacy:
        if self._settings.legacy_url is not None:
            return AttachedLegacy(self._settings, probe_token=self._probe_token)
        return SupervisedLegacy(
            self._settings,
            environment=self._environment,
            journal=self._journal,
            pid_file=self._pid_file,
            probe_token=self._probe_token,
        )

    def _probe_token(self) -> str | None:
        policy = self._edge.auth
        if policy.mode == "local" or policy.secret is None:
            return None
        return mint(policy.secret, role="admin", sub="signet-proxy", ttl_s=PROBE_TOKEN_TTL_S, now_s=time.time())

    # ---- start and stop

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[None]:
        settings = self._settings
        await self._journal.open()
        await self._cutover.start()
        if settings.legacy_url is None:
            self._pid_file.write()
        await self._legacy.start()
        self._keep(self._tick())
        self._keep(self._import_ahead())
        log.info("listening", addresses=self._services.listening, home=str(settings.home_path))
        self._journal.record("proxy_started", listening=list(self._services.listening))
        self._notifier.ready(f"listening on {', '.join(self._services.listening)}")
        try:
            yield
        finally:
            self._notifier.stopping()
            await self._shadow.close()
            await self._services.close()
            await self._legacy.stop(self._legacy_stop_s())
            for task in tuple(self._tasks):
                task.cancel()
            self._forwarder.close()
            await self._cutover.stop()
            self._journal.record("proxy_stopped")
            await self._journal.close()
            self._pid_file.remove()
            log.info("stopped")

    def _legacy_stop_s(self) -> float:
        managed = self._notifier.is_wanted or "XPC_SERVICE_NAME" in self._environment
        return LEGACY_STOP_MANAGED_S if managed else LEGACY_STOP_S

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tick(self) -> None:
        """Twice a second: deadlines of client connections, expired upstream connections, the manager's watchdog."""
        watchdog_s = systemd.watchdog_interval_s(self._environment)
        loop = asyncio.get_running_loop()
        alive_at = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            now = loop.time()
            for connection in tuple(self._server.server_state.connections):
                connection.tick(now)  # type: ignore[union-attr]  # all of them are Wire
            self._forwarder.pool.expire()
            if watchdog_s is not None and now - alive_at > watchdog_s / 3:
                alive_at = now
                self._notifier.alive()

    async def _import_ahead(self) -> None:
        await asyncio.sleep(IMPORT_AFTER_S)
        native = {row.group for row in self._cutover.explain() if row.desired is Mode.NATIVE}
        for name in ASKED_FIRST:
            if name in native:
                await asyncio.to_thread(importlib.import_module, f"native_routes.{name}.handlers")

    # ---- what follows from legacy's state

    def _legacy_changed(self, status: LegacyStatus) -> None:
        self._cutover.refresh()
        self._notifier.status(f"legacy is {status.state.value}" + (f": {status.reason}" if status.reason else ""))
        if status.state in (LegacyState.STARTING, LegacyState.READY):
            self._keep(self._reload_auth())
            # What native answers show of the start's configuration is legacy's of its start.
            self._keep(self._services.read_startup_config())

    async def _reload_auth(self) -> None:
        """Legacy reads its auth section while it boots, so the edge reads it before and after every boot."""
        policy = await asyncio.to_thread(_load_policy, self._edge.auth, self._settings.home_path)
        if policy.problem not in (None, self._edge.auth.problem):
            log.warning("agent_yaml_problem", problem=policy.problem)
        if policy != self._edge.auth:
            self._edge.auth = policy


def _load_policy(previous: AuthPolicy | None, home_path: Path) -> AuthPolicy:
    """The policy in force, with a secret where tokens are asked for.

    Legacy makes the secret in the middle of its boot; we must be able to ask it before that, so whoever comes first
    makes it, and the other one reads it.
    """
    policy = AuthPolicy.load(home_path) if previous is None else AuthPolicy.reload(previous, home_path)
    if policy.mode != "local" and policy.secret is None and create_auth_secret(home_path):
        return AuthPolicy.load(home_path)
    return policy


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
