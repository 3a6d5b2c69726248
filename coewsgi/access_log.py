"""The access log: gunicorn's format, compiled once, or a JSON object a line."""

import base64
import json
import logging
import os
import re
import time
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

_Headers = list[tuple[str, str]]
#: What a format is made of: the text of an atom for one request.
_Atom = Callable[["Request"], str]

_ESCAPES = {i: f"\\x{i:02x}" for i in (*range(32), *range(127, 160))} | {
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}


def escape(text: str) -> str:
    """*text* on one line and within quotes: what a client sent cannot forge an entry."""
    return text.translate(_ESCAPES)


class Request:
    """One request that has been answered, as the log sees it."""

    __slots__ = ("body_bytes", "environ", "headers", "seconds", "started", "status")

    def __init__(
        self,
        environ: WSGIEnvironment,
        status: str,
        headers: _Headers,
        body_bytes: int,
        started: float,
        seconds: float,
    ) -> None:
        self.environ = environ
        self.status = status
        self.headers = headers
        self.body_bytes = body_bytes
        self.started = started
        self.seconds = seconds

    def variable(self, name: str) -> str:
        return str(self.environ.get(name, "-")) or "-"

    def request_header(self, name: str) -> str:
        name = name.upper().replace("-", "_")
        bare = name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        return self.variable(name if bare else "HTTP_" + name)

    def response_header(self, name: str) -> str:
        return ", ".join(v for k, v in self.headers if k.lower() == name.lower()) or "-"

    def request_line(self) -> str:
        refused = self.environ.get("coewsgi.refused_head")
        if refused is not None:
            return bytes(refused).split(b"\r\n", 1)[0].decode("latin-1")
        target = self.environ.get("RAW_URI", self.environ.get("PATH_INFO", "-"))
        protocol = self.variable("SERVER_PROTOCOL")
        return f"{self.variable('REQUEST_METHOD')} {target} {protocol}"

    def user(self) -> str:
        scheme, _, credentials = self.variable("HTTP_AUTHORIZATION").partition(" ")
        if scheme.lower() != "basic":
            return "-"
        try:
            return base64.b64decode(credentials).decode("utf-8").partition(":")[0] or "-"
        except ValueError:
            return "-"

    def time(self) -> str:
        # Not by strftime's %b, because months have English names here in every locale.
        local = time.localtime(self.started)
        month = ("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()[local.tm_mon - 1]
        return time.strftime(f"[%d/{month}/%Y:%H:%M:%S %z]", local)


_ATOMS: dict[str, _Atom] = {
    "h": lambda r: r.variable("REMOTE_ADDR"),
    "l": lambda r: "-",
    "u": lambda r: r.user(),
    "t": lambda r: r.time(),
    "r": lambda r: r.request_line(),
    "m": lambda r: r.variable("REQUEST_METHOD"),
    "U": lambda r: r.variable("PATH_INFO"),
    "q": lambda r: str(r.environ.get("QUERY_STRING", "")),
    "H": lambda r: r.variable("SERVER_PROTOCOL"),
    "s": lambda r: r.status.split(None, 1)[0],
    "st": lambda r: r.status,
    "B": lambda r: str(r.body_bytes),
    "b": lambda r: str(r.body_bytes) if r.body_bytes else "-",
    "f": lambda r: r.request_header("referer"),
    "a": lambda r: r.request_header("user-agent"),
    "T": lambda r: str(int(r.seconds)),
    "M": lambda r: str(int(r.seconds * 1e3)),
    "D": lambda r: str(int(r.seconds * 1e6)),
    "L": lambda r: f"{r.seconds:.6f}",
    "p": lambda r: f"<{os.getpid()}>",
}
_NAMED: dict[str, Callable[[Request, str], str]] = {
    "i": lambda r, name: r.request_header(name),
    "o": lambda r, name: r.response_header(name),
    "e": lambda r, name: r.variable(name),
}
_PART = re.compile(r"%\((?:\{([^}]+)\}([ieo])|(\w+))\)s|%%")


def compile_format(text: str) -> Callable[[Request], str]:
    """A function that renders *text* for a request.

    :raises ValueError: an atom that there is not; the message names it.
    """
    if text == "json":
        return render_json
    pieces: list[str | _Atom] = []
    end = 0
    for match in _PART.finditer(text):
        pieces.append(text[end : match.start()])
        end = match.end()
        pieces.append(_atom(match))
    pieces.append(text[end:])
    if any(isinstance(piece, str) and "%" in piece.replace("%%", "") for piece in pieces[::2]):
        raise ValueError(f"access log format {text!r}: a '%' begins no atom")

    def render(request: Request) -> str:
        return "".join(p if isinstance(p, str) else escape(p(request)) for p in pieces)

    return render


def _atom(match: re.Match[str]) -> str | _Atom:
    header, kind, name = match.groups()
    if header is not None:
        function = _NAMED[kind]
        return lambda request: function(request, header)
    if name is None:
        return "%"
    if name not in _ATOMS:
        raise ValueError(f"access log format: there is no atom %({name})s")
    return _ATOMS[name]


def render_json(request: Request) -> str:
    """One JSON object, on one line."""
    return json.dumps(
        {
            "time": request.started,
            "remote_addr": request.variable("REMOTE_ADDR"),
            "user": request.user(),
            "request": request.request_line(),
            "status": int(request.status.split(None, 1)[0]),
            "bytes": request.body_bytes,
            "seconds": round(request.seconds, 6),
            "referer": request.request_header("referer"),
            "user_agent": request.request_header("user-agent"),
        }
    )


class AccessLog:
    """What the server calls after each response: renders, and gives the line to a logger.

    :param logger: ``coewsgi.access`` has a handler of its own where a file is configured.
    :raises ValueError: the format has an atom that there is not.
    """

    def __init__(self, text: str, logger: logging.Logger) -> None:
        self._render = compile_format(text)
        self._logger = logger

    def __call__(self, *arguments: Any) -> None:
        self._logger.info("%s", self._render(Request(*arguments)))
