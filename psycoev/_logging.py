"""Connections that write down what is executed on them."""

import logging
import os
import time
from typing import Any, TextIO

from ._dict_rows import _CursorsByDefault
from ._psycopg import ProgrammingError, cursor

_Log = TextIO | logging.Logger


class LoggingConnection(_CursorsByDefault):
    """A connection that writes its statements to a file or a logger.

    ``initialize()`` says which; a subclass's ``filter()`` decides what is written.
    """

    _logobj: _Log | None = None

    def initialize(self, logobj: _Log) -> None:
        """Write to *logobj*, a file or a ``logging.Logger`` (at level DEBUG).

        Switches: never.
        """
        self._logobj = logobj

    def filter(self, msg: bytes | str, curs: cursor) -> bytes | str | None:
        """Return what is to be written for the statement *msg*; nothing is, if that is empty."""
        return msg

    def log(self, msg: bytes | str | None, curs: cursor) -> None:
        """Write the statement *msg*, as ``filter()`` wants it.

        Switches: only if writing does.
        """
        written = self.filter(msg, curs) if msg is not None else None
        if not written:
            return
        if isinstance(self._logobj, logging.Logger):
            self._logobj.debug(written)
            return
        if isinstance(written, bytes):
            from . import extensions

            written = written.decode(extensions.encodings[self.encoding], "replace")
        if self._logobj is not None:
            self._logobj.write(written + os.linesep)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        if self._logobj is None:
            raise ProgrammingError("LoggingConnection object has not been initialize()d")
        return super().cursor(*args, **kwargs)


class LoggingCursor(cursor):
    """A cursor that has its connection log its statements."""

    def execute(self, query: Any, vars: Any = None, **options: Any) -> None:
        try:
            return super().execute(query, vars, **options)
        finally:
            self.connection.log(self.query, self)

    def callproc(self, procname: str, vars: Any = None) -> Any:
        try:
            return super().callproc(procname, vars)
        finally:
            self.connection.log(self.query, self)


class MinTimeLoggingConnection(LoggingConnection):
    """A connection that logs the statements that take long, with their times."""

    _mintime: float = 0

    def initialize(self, logobj: _Log, mintime: float = 0) -> None:
        """Write to *logobj* what takes at least *mintime* milliseconds.

        Switches: never.
        """
        super().initialize(logobj)
        self._mintime = mintime

    def filter(self, msg: bytes | str, curs: Any) -> bytes | str | None:
        elapsed = (time.time() - curs.timestamp) * 1000
        if elapsed <= self._mintime:
            return None
        if isinstance(msg, bytes):
            from . import extensions

            msg = msg.decode(extensions.encodings[self.encoding], "replace")
        return f"{msg}{os.linesep}  (execution time: {elapsed} ms)"


class MinTimeLoggingCursor(LoggingCursor):
    """The cursor of ``MinTimeLoggingConnection``."""

    #: When the last statement began, by ``time.time()``.
    timestamp: float

    def execute(self, query: Any, vars: Any = None, **options: Any) -> None:
        self.timestamp = time.time()
        return super().execute(query, vars, **options)

    def callproc(self, procname: str, vars: Any = None) -> Any:
        self.timestamp = time.time()
        return super().callproc(procname, vars)


LoggingConnection._default_cursor = LoggingCursor
MinTimeLoggingConnection._default_cursor = MinTimeLoggingCursor
