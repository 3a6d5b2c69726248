"""Where the logs go: files that can be reopened, stdout, stderr."""

import logging
import sys
from logging.handlers import WatchedFileHandler

from coewsgi.options import Options

ERROR = logging.getLogger("coewsgi.error")
ACCESS = logging.getLogger("coewsgi.access")


def _handler(path: str, standard: str, text: str) -> logging.Handler:
    if path == "-":
        handler: logging.Handler = logging.StreamHandler(getattr(sys, standard))
    else:
        handler = WatchedFileHandler(path, delay=False)
    handler.setFormatter(logging.Formatter(text, "[%Y-%m-%d %H:%M:%S %z]"))
    return handler


def configure(options: Options) -> None:
    """Give both loggers their handlers. Loggers that have some (an ini file's) keep them."""
    ERROR.setLevel(options.log_level.upper())
    if not ERROR.handlers:
        text = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
        ERROR.addHandler(_handler(options.error_logfile, "stderr", text))
        ERROR.propagate = False
    if options.access_logfile is not None and not ACCESS.handlers:
        ACCESS.setLevel("INFO")
        ACCESS.addHandler(_handler(options.access_logfile, "stdout", "%(message)s"))
        ACCESS.propagate = False


def reopen() -> None:
    """Open the files again, after something has moved them away (logrotate, USR1)."""
    for logger in (ERROR, ACCESS):
        for handler in logger.handlers:
            if isinstance(handler, WatchedFileHandler):
                # At once, and not with the next entry: whoever sent the signal looks.
                handler.acquire()
                try:
                    handler.reopenIfNeeded()
                finally:
                    handler.release()
