"""A worker class for those who keep gunicorn's master: ``gunicorn -k coewsgi.gunicorn.Worker``.

gunicorn's own settings hold where coewsgi has one of that name: limits, keepalive,
graceful_timeout, max_requests, TLS files, access log (which gunicorn's logger writes).
``timeout`` is gunicorn's: how long a worker may give no sign of life.
"""

import os
import signal
import sys
import threading
import time
from types import FrameType

from gunicorn.workers.base import Worker as BaseWorker

import coev.monkey  # noqa: F401 - gunicorn imports its worker class before the application
from coewsgi import worker as serving
from coewsgi.listener import Listener
from coewsgi.options import Options


class Worker(BaseWorker):  # type: ignore[misc]
    """Serves by coewsgi; lives and dies by gunicorn's master."""

    def _options(self) -> Options:
        cfg = self.cfg
        return Options(
            backlog=cfg.backlog,
            workers=cfg.workers,
            worker_connections=cfg.worker_connections,
            keep_alive=float(cfg.keepalive),
            graceful_timeout=float(cfg.graceful_timeout),
            limit_request_line=cfg.limit_request_line or 65536,
            limit_request_fields=cfg.limit_request_fields,
            limit_request_field_size=cfg.limit_request_field_size or 65536,
            certfile=cfg.certfile,
            keyfile=cfg.keyfile,
            ca_certs=cfg.ca_certs,
            cert_reqs=str(int(cfg.cert_reqs)),
            ciphers=cfg.ciphers,
            forwarded_allow_ips=tuple(_as_list(cfg.forwarded_allow_ips)),
            server_header="coewsgi",
        )

    def run(self) -> None:
        """gunicorn calls this in the child; returns when the worker is to end."""
        listeners = [Listener(item.sock, str(item)) for item in self.sockets]
        work = serving.Worker(
            self.wsgi, self._options(), listeners, multiprocess=self.cfg.workers > 1
        )
        self._work = work
        threading.Thread(target=self._live, name="gunicorn heartbeat", daemon=True).start()
        work.run(signals=False)

    def _live(self) -> None:
        while True:
            self.notify()
            if self.ppid != os.getppid():
                self.log.info("the master is gone")
                self._stop()
                return
            if not self.alive:
                self._stop()
                return
            if self.max_requests < sys.maxsize and self._requests() >= self.max_requests:
                self.log.info("max requests reached")
                self._stop()
                return
            time.sleep(0.5)

    def _requests(self) -> int:
        return self._work.server.counters()["requests"]

    def _stop(self) -> None:
        self.alive = False
        self._work.stop()

    def init_signals(self) -> None:
        super().init_signals()
        # gunicorn's handler of SIGQUIT and SIGINT ends the process at once; that is wanted.
        signal.signal(signal.SIGTERM, self.handle_exit)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        if hasattr(self, "_work"):
            self._work.stop()


def _as_list(value: str | list[str]) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    return [item.strip() for item in items]
