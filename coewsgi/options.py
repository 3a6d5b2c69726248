"""The options of coewsgi, in one table: command line, ini file, COEWSGI_* and keyword arguments.

An option that gunicorn has bears gunicorn's name, so that a command line carries over. What
only makes sense for another kind of worker is accepted and said to have no effect.
"""

import argparse
import dataclasses
import shlex
import typing
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class OptionError(ValueError):
    """An option with a value that it cannot have; the message names both."""


def _flag(text: str) -> bool:
    value = text.strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off", "none", ""):
        return False
    raise ValueError("must be true or false")


def _at_least(least: float, kind: type[int] | type[float]) -> Callable[[str], Any]:
    def parse(text: str) -> float:
        value = kind(text)
        if not value >= least:
            raise ValueError(f"must be at least {least}")
        return value

    return parse


def _size(text: str) -> int:
    """Bytes: a number, perhaps with k, m or g (powers of 1024) behind it."""
    unit = {"k": 10, "m": 20, "g": 30}.get(text.strip()[-1:].lower(), 0)
    value = int(text.strip()[:-1] if unit else text) << unit
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError("must be one of " + ", ".join(choices))
        return text.lower()

    return parse


def _mode(text: str) -> int:
    return int(text, 8) if not text.startswith("0x") else int(text, 16)


def option(
    default: Any,
    parse: Callable[[str], Any],
    text: str,
    *flags: str,
    repeated: bool = False,
    metavar: str = "",
) -> Any:
    metadata = {
        "parse": parse,
        "help": text,
        "flags": flags,
        "repeated": repeated,
        "metavar": metavar,
    }
    return field(default=default, metadata=metadata)


_seconds = _at_least(0, float)
_count = _at_least(0, int)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a server does; every field is an option."""

    bind: tuple[str, ...] = option(
        ("127.0.0.1:8000",),
        _words,
        "where to listen: HOST:PORT, [IPV6]:PORT, unix:PATH, unix:@NAME (abstract), fd://N; "
        "may be given several times (sockets from systemd come before)",
        "-b",
        repeated=True,
        metavar="ADDRESS",
    )
    backlog: int = option(2048, _at_least(1, int), "connections that wait to be accepted")
    unix_mode: int | None = option(None, _mode, "permissions of unix sockets, octal")
    workers: int = option(1, _at_least(1, int), "processes; one holds thousands of requests", "-w")
    worker_timeout: float = option(
        60.0, _seconds, "a worker whose coroutines stand still for so long is killed; 0: never"
    )
    preload_app: bool = option(
        False, _flag, "load the application before workers start", "--preload"
    )
    max_requests: int = option(0, _count, "restart a worker after so many requests; 0: never")
    max_requests_jitter: int = option(0, _count, "up to so many more, by chance")
    graceful_timeout: float = option(30.0, _seconds, "seconds that requests have to end at a stop")
    reload: bool = option(False, _flag, "restart when a module's file changes")
    reload_extra_file: tuple[str, ...] = option(
        (), _words, "another file to watch", repeated=True, metavar="FILE"
    )
    check_config: bool = option(False, _flag, "load the application, then end")
    print_config: bool = option(False, _flag, "print every option with its value, then end")
    monkey: bool = option(True, _flag, "import coev.monkey before the application")

    timeout: float = option(
        0.0, _seconds, "seconds for a request: RequestTimeout in the application; 0: no limit", "-t"
    )
    keep_alive: float = option(60.0, _seconds, "seconds between two requests of a connection")
    head_timeout: float = option(10.0, _seconds, "seconds for the head of a request to arrive")
    body_timeout: float = option(20.0, _seconds, "seconds of grace for a request's body")
    body_min_rate: int = option(500, _count, "bytes a second at which a body must arrive")
    write_timeout: float = option(20.0, _seconds, "seconds without progress of a response")
    handshake_timeout: float = option(10.0, _seconds, "seconds for a TLS handshake")
    worker_connections: int = option(10000, _at_least(1, int), "connections of one worker")
    connections_per_address: int = option(0, _count, "connections of one address; 0: no limit")
    buffered_bytes: int = option(64 << 20, _size, "heads and pipelined requests held at once")

    limit_request_line: int = option(8190, _at_least(1, int), "bytes of a request line")
    limit_request_fields: int = option(100, _at_least(1, int), "header fields of a request")
    limit_request_field_size: int = option(8190, _at_least(1, int), "bytes of a header field")
    limit_request_head: int = option(65536, _size, "bytes of a head")
    limit_request_body: int = option(0, _size, "bytes of a body; 0: no limit")
    spill_bytes: int = option(
        0, _size, "receive bodies before the application runs, above this size into a file"
    )
    header_map: str = option(
        "drop", _one_of("drop", "refuse", "dangerous"), "header names with an underscore"
    )
    server_header: str = option("coewsgi", str, "the Server field of responses; empty: none")

    certfile: str | None = option(None, str, "certificate chain (PEM): speak TLS")
    keyfile: str | None = option(None, str, "private key (PEM), if not in the certificate's file")
    ca_certs: str | None = option(None, str, "authorities of client certificates (PEM)")
    cert_reqs: str = option(
        "none", _one_of("none", "optional", "required", "0", "1", "2"), "client certificates"
    )
    ciphers: str | None = option(None, str, "OpenSSL's list of ciphers for TLS 1.2")
    sni: tuple[str, ...] = option(
        (), _words, "another certificate for one name: NAME=CERTFILE[:KEYFILE]", repeated=True
    )

    proxy_protocol: bool = option(False, _flag, "connections begin with a PROXY header")
    proxy_allow_ips: tuple[str, ...] = option(
        ("127.0.0.1", "::1"), _words, "peers that may send PROXY headers; * for all"
    )
    forwarded_allow_ips: tuple[str, ...] = option(
        (), _words, "peers whose Forwarded and X-Forwarded-* count; * for all"
    )
    forwarded_hops: int = option(1, _at_least(1, int), "proxies in front that are ours")

    access_logfile: str | None = option(None, str, "a file, or - for stdout")
    access_logformat: str = option(
        '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',
        str,
        "gunicorn's atoms, or json",
    )
    error_logfile: str = option("-", str, "a file, or - for stderr", "--log-file")
    log_level: str = option(
        "info", _one_of("debug", "info", "warning", "error", "critical"), "of the error log"
    )
    stats_path: str | None = option(None, str, "path of a page with the server's counters")

    chdir: str | None = option(None, str, "folder to change to before the application is loaded")
    pythonpath: str | None = option(None, str, "folders to import from, with commas between")
    raw_env: tuple[str, ...] = option(
        (), lambda text: (text,), "NAME=VALUE for the environment", "-e", "--env", repeated=True
    )
    pid: str | None = option(None, str, "file for the process id", "-p")
    user: str | None = option(None, str, "user to become when the sockets are open", "-u")
    group: str | None = option(None, str, "group to become when the sockets are open", "-g")
    umask: int | None = option(None, _mode, "file mode mask, octal", "-m")
    paste: str | None = option(None, str, "load the application from this PasteDeploy file")

    def replace(self, **changes: Any) -> "Options":
        return dataclasses.replace(self, **changes)


_FIELDS = {item.name: item for item in dataclasses.fields(Options)}

#: Of other servers and of the original: accepted, without effect here.
IGNORED = {
    "threads": "every request is a coroutine",
    "worker_class": "there is one kind of worker",
    "worker_tmp_dir": "workers tell in shared memory that they live",
    "proc_name": "use a supervisor's names",
    "reuse_port": "each worker has a listening socket of its own anyhow",
    "threadpool_workers": "every request is a coroutine",
    "threadpool_options": "every request is a coroutine",
    "use_threadpool": "every request is a coroutine",
    "daemon_threads": "every request is a coroutine",
    "start_loop": "serve() returns when the server has ended",
    "protocol_version": "HTTP/1.1 is what is spoken",
    "handler": "the connection loop is not exchangeable",
}
_SHORT_IGNORED = {"worker_class": ("-k",), "proc_name": ("-n",)}


def parse_value(name: str, text: str) -> Any:
    """The value of option *name* that *text* means.

    :raises OptionError: it means none; the message says what is wrong.
    """
    try:
        return _FIELDS[name].metadata["parse"](text)
    except ValueError as error:
        raise OptionError(f"{name} = {text!r}: {error}") from None


def _is_ignored(name: str) -> bool:
    return name in IGNORED or name.startswith("threadpool_")


def warn_of_ignored(name: str) -> None:
    why = IGNORED.get(name, IGNORED["threadpool_options"])
    warnings.warn(f"coewsgi: option {name} has no effect: {why}", stacklevel=3)


def from_strings(values: Mapping[str, str], base: Options | None = None) -> Options:
    """Options out of strings by name, as an ini file or the environment has them.

    :raises OptionError: an unknown name, or a value that it cannot have.
    """
    changes: dict[str, Any] = {}
    for raw_name, text in values.items():
        name = raw_name.replace("-", "_")
        if _is_ignored(name):
            warn_of_ignored(name)
        elif name in _FIELDS:
            changes[name] = parse_value(name, text)
        else:
            raise OptionError(f"unknown option {raw_name!r}")
    return (base or Options()).replace(**changes)


def from_environment(environment: Mapping[str, str], base: Options | None = None) -> Options:
    """Options out of COEWSGI_NAME variables; COEWSGI_CMD_ARGS is for the command line."""
    prefix = "COEWSGI_"
    values = {
        name.removeprefix(prefix).lower(): text
        for name, text in environment.items()
        if name.startswith(prefix) and name.removeprefix(prefix).lower() in _FIELDS
    }
    return from_strings(values, base)


def from_file(path: str, base: Options | None = None) -> Options:
    """Options out of a Python file that assigns them, as gunicorn's configuration files do.

    Hooks (functions) and names that gunicorn has and coewsgi has not are said to be ignored.
    """
    namespace: dict[str, Any] = {"__file__": path, "__name__": "__config__"}
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec"), namespace)
    base = base or Options()
    changes = {}
    for name, value in namespace.items():
        if name.startswith("_") or isinstance(value, type(warnings)):
            continue
        if name in _FIELDS:
            changes[name] = _as_option(name, value)
        elif name in IGNORED:
            warn_of_ignored(name)
        elif callable(value):
            warnings.warn(f"coewsgi: {path}: hook {name} is not called", stacklevel=2)
    return base.replace(**changes)


def _as_option(name: str, value: Any) -> Any:
    if isinstance(_FIELDS[name].default, tuple) and isinstance(value, (list, tuple)):
        return tuple(str(item) for item in value)
    if isinstance(value, bool) or value is None or name in ("umask", "unix_mode"):
        return value
    return parse_value(name, str(value))


def from_keywords(values: Mapping[str, Any], base: Options | None = None) -> Options:
    """Options out of keyword arguments, whose values may be strings as well.

    :raises TypeError: an unknown name.
    """
    changes = {}
    for name, value in values.items():
        if _is_ignored(name):
            warn_of_ignored(name)
        elif name in _FIELDS:
            changes[name] = _as_option(name, value)
        else:
            raise TypeError(f"unknown option {name!r}")
    return (base or Options()).replace(**changes)


class _Parsed(argparse.Action):
    """Parses by the table; an option that may come several times collects."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            value = parse_value(self.dest, str(values))
        except OptionError as error:
            parser.error(str(error))
        if _FIELDS[self.dest].metadata["repeated"]:
            value = (*getattr(namespace, self.dest, ()), *value)
        setattr(namespace, self.dest, value)


class _Ignored(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *arguments: Any, **keywords: Any) -> None:
        print(f"coewsgi: {self.option_strings[-1]} has no effect: {IGNORED[self.dest]}")


def _is_flag(name: str) -> bool:
    return typing.get_type_hints(Options)[name] is bool


def parser() -> argparse.ArgumentParser:
    """The command line's parser, made from the table."""
    result = argparse.ArgumentParser(
        prog="coewsgi",
        usage="coewsgi [options] MODULE:APPLICATION | FILE.ini[#NAME]",
        description="A WSGI server with a coroutine for each connection.",
        argument_default=argparse.SUPPRESS,
        epilog="Every option may also stand in the environment (COEWSGI_BIND=...), in an ini "
        "file ([server:main] bind = ...) and in a Python file (-c FILE: bind = '...').",
    )
    result.add_argument("app", nargs="?", default=None, help="MODULE:APPLICATION or an ini file")
    result.add_argument("-c", "--config", metavar="FILE", help="a Python file with options")
    result.add_argument("-v", "--version", action="store_true", help="print the version, then end")
    for name, item in _FIELDS.items():
        flags = [*item.metadata["flags"], "--" + name.replace("_", "-")]
        text = item.metadata["help"]
        if _is_flag(name):
            if item.default:
                flags = ["--no-" + name.replace("_", "-")]
                text = "do not " + text
            result.add_argument(
                *flags, dest=name, action="store_const", const=not item.default, help=text
            )
            continue
        default = item.default
        if default not in (None, (), "") and not isinstance(default, tuple):
            text += f" [{default}]".replace("%", "%%")
        elif isinstance(default, tuple) and default:
            text += f" [{' '.join(default)}]"
        metavar = item.metadata["metavar"] or name.rpartition("_")[2].upper()
        result.add_argument(*flags, dest=name, action=_Parsed, metavar=metavar, help=text)
    for name in ("threads", "worker_class", "worker_tmp_dir", "proc_name"):
        flags = [*_SHORT_IGNORED.get(name, ()), "--" + name.replace("_", "-")]
        result.add_argument(*flags, dest=name, action=_Ignored, help=argparse.SUPPRESS)
    result.add_argument(
        "--reuse-port", dest="reuse_port", action=_Ignored, nargs=0, help=argparse.SUPPRESS
    )
    return result


def parse_command_line(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[str | None, Options, bool]:
    """The application's name, the options, and whether only the version is wanted.

    Later counts more: defaults, COEWSGI_*, the file of -c, COEWSGI_CMD_ARGS, the command line.
    Exits with status 2 and a message for what is wrong.
    """
    command = parser()
    extra = shlex.split(environment.get("COEWSGI_CMD_ARGS", ""))
    parsed = vars(command.parse_args([*extra, *arguments]))
    app, config = parsed.pop("app"), parsed.pop("config", None)
    version = parsed.pop("version", False)
    for name in IGNORED:
        parsed.pop(name, None)
    try:
        options = from_environment(environment)
        if config is not None:
            options = from_file(config, options)
    except (OptionError, OSError) as error:
        command.error(str(error))
    return app, options.replace(**parsed), version
