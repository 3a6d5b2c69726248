"""One process that serves: a Server made from options, its listeners, its signals."""

import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from ssl import SSLContext
from types import FrameType
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from coewsgi import logs, websocket
from coewsgi._coewsgi import Server
from coewsgi.access_log import AccessLog
from coewsgi.forwarded import Forwarded, trust
from coewsgi.listener import Listener
from coewsgi.notify import notify
from coewsgi.options import OptionError, Options
from coewsgi.stats import StatsPage
from coewsgi.tls import Tls


def _log_exception(environ: WSGIEnvironment, error: BaseException) -> None:
    request = f"{environ.get('REQUEST_METHOD')} {environ.get('RAW_URI')!r}"
    text = "".join(traceback.format_exception(error))
    logs.ERROR.error("%s failed:\n%s", request, text.rstrip())


class Worker:
    """Serves *application* on *listeners* until a signal or :meth:`stop` ends it.

    :param context: for TLS, instead of the options' certificates.
    :param heartbeat: called every second while coroutines run.
    :raises OptionError: options that cannot be used together, or a bad certificate.
    """

    def __init__(
        self,
        application: WSGIApplication,
        options: Options,
        listeners: Sequence[Listener],
        *,
        context: SSLContext | None = None,
        heartbeat: Callable[[], None] | None = None,
        multiprocess: bool = False,
    ) -> None:
        self.options = options
        self._listeners = listeners
        self._heartbeat = heartbeat
        uses_tls = context is not None or options.certfile or options.keyfile or options.sni
        self._tls = Tls(options, context) if uses_tls else None
        page = StatsPage(application, options.stats_path) if options.stats_path else None
        self.server = Server(page or application, **self._server_options(multiprocess))
        if page is not None:
            page.server = self.server

    def _server_options(self, multiprocess: bool) -> dict[str, Any]:
        options = self.options
        try:
            access_log = None
            if options.access_logfile is not None:
                access_log = AccessLog(options.access_logformat, logs.ACCESS)
            peers = options.proxy_allow_ips if options.proxy_protocol else ()
            trusted_peer = trust((*options.forwarded_allow_ips, *peers))
        except ValueError as error:
            raise OptionError(str(error)) from None
        most = options.max_requests
        if most:
            most += random.SystemRandom().randint(0, options.max_requests_jitter)
        return {
            "limit_request_line": options.limit_request_line,
            "limit_request_field_size": options.limit_request_field_size,
            "limit_request_fields": options.limit_request_fields,
            "limit_request_head": options.limit_request_head,
            "limit_request_body": options.limit_request_body,
            "spill_bytes": options.spill_bytes,
            "header_map": options.header_map,
            "handshake_timeout": options.handshake_timeout,
            "head_timeout": options.head_timeout,
            "body_timeout": options.body_timeout,
            "body_min_rate": options.body_min_rate,
            "write_timeout": options.write_timeout,
            "keepalive_timeout": options.keep_alive,
            "request_timeout": options.timeout,
            "max_connections": options.worker_connections,
            "max_connections_per_address": options.connections_per_address,
            "max_buffered_bytes": options.buffered_bytes,
            "max_requests": most,
            "environ": {
                "wsgi.multithread": True,
                "wsgi.multiprocess": multiprocess,
                "wsgi.run_once": False,
                "SERVER_SOFTWARE": "coewsgi",
            },
            "access_log": access_log,
            "on_error": _log_exception,
            "trusted_peer": trusted_peer,
            "forwarded": Forwarded(options.forwarded_hops) if options.forwarded_allow_ips else None,
            "upgrade": websocket.upgrade,
            "on_max_requests": self.stop,
            "server_header": options.server_header or None,
        }

    def start(self) -> None:
        """Begin to accept on every listener. Switches: never."""
        for listener in self._listeners:
            tls = self._tls
            self.server.start(
                listener.socket,
                environ=listener.environ(tls is not None),
                tls=None if tls is None else tls.wrap,
                tls_environ=None if tls is None else tls.environ,
                proxy_protocol=self.options.proxy_protocol,
            )

    def stop(self, timeout: float | None = None) -> None:
        """Finish what is under way, in *timeout* seconds (the options' graceful_timeout).

        Callable in a signal handler. Switches: never.
        """
        self.server.drain(self.options.graceful_timeout if timeout is None else timeout)

    def reload_files(self) -> None:
        """Use the certificates as their files are now, for new connections; reopen logs."""
        logs.reopen()
        if self._tls is not None:
            try:
                self._tls.reload()
            except OptionError as error:
                logs.ERROR.error("certificates stay as they were: %s", error)

    def install_signals(self) -> None:
        """TERM: graceful stop. INT, QUIT: at once. HUP: certificates and logs. USR1: logs."""
        actions: dict[signal.Signals, Callable[[], object]] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: lambda: self.stop(0),
            signal.SIGQUIT: lambda: self.stop(0),
            signal.SIGHUP: self.reload_files,
            signal.SIGUSR1: logs.reopen,
        }
        for number, action in actions.items():
            signal.signal(number, _handler(action))

    def run(self, signals: bool = True) -> None:
        """:meth:`start`, then wait for the end. Switches: always."""
        if signals and threading.current_thread() is threading.main_thread():
            self.install_signals()
        self.start()
        notify("READY=1")
        if self._heartbeat is not None:
            threading.Thread(target=self._beat, name="coewsgi heartbeat", daemon=True).start()
        self.server.join()

    def _beat(self) -> None:
        assert self._heartbeat is not None
        while True:
            self._heartbeat()
            time.sleep(1)


def _handler(action: Callable[[], object]) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        action()

    return handle


def prepare_process(options: Options) -> None:
    """The folder, the path and the environment that the application expects."""
    for entry in options.raw_env:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise OptionError(f"env = {entry!r}: write NAME=VALUE")
        os.environ[name] = value
    if options.chdir:
        try:
            os.chdir(options.chdir)
        except OSError as error:
            raise OptionError(f"chdir = {options.chdir!r}: {error.strerror}") from None
    folders = [os.getcwd(), *(options.pythonpath or "").split(",")]
    for folder in reversed([os.path.abspath(f) for f in folders if f]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    if options.umask is not None:
        os.umask(options.umask)
