"""The command ``coewsgi``, which is ``python -m coewsgi`` as well."""

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from wsgiref.types import WSGIApplication

from coewsgi import application, logs, options, privileges
from coewsgi.options import OptionError, Options


def _say(text: str) -> None:
    print(f"coewsgi: {text}", file=sys.stderr)


def _from_ini(name: str, given: Options) -> Options:
    """Options of the ini file's [server:main], below those of the command line."""
    path = name.partition("#")[0]
    values = application.paste_server_options(path)
    host, port = values.pop("host", None), values.pop("port", None)
    if host is not None or port is not None:
        values.setdefault("bind", f"{host or '127.0.0.1'}:{port or 8080}")
    if listen := values.pop("listen", None):
        values.setdefault("bind", listen)
    from coewsgi.httpserver import translate

    translated = options.from_strings({k: str(v) for k, v in translate(values).items()})
    default = Options()
    changes = {
        item.name: getattr(given, item.name)
        for item in dataclasses.fields(Options)
        if getattr(given, item.name) != getattr(default, item.name)
    }
    return translated.replace(**changes)


def _serve(load: Callable[[], WSGIApplication], given: Options) -> int:
    from coewsgi.listener import from_systemd, open_listener
    from coewsgi.prefork import Master
    from coewsgi.worker import Worker, prepare_process

    # A single process needs no master but to start again after a change or many requests.
    if given.workers > 1 or given.reload or given.max_requests:
        return Master(load, given).run()
    prepare_process(given)
    listeners = from_systemd() or [
        open_listener(a, backlog=given.backlog, mode=given.unix_mode) for a in given.bind
    ]
    try:
        privileges.drop(given.user, given.group)
        worker = Worker(load(), given, listeners)
        logs.ERROR.info("listening on %s", ", ".join(item.name for item in listeners))
        worker.run()
    finally:
        for listener in listeners:
            listener.close()
    return 0


def _with_pid_file(path: str | None, serve: Callable[[], int]) -> int:
    if path is None:
        return serve()
    with open(path, "w") as file:
        file.write(f"{os.getpid()}\n")
    try:
        return serve()
    finally:
        try:
            os.unlink(path)
        except OSError:
            pass  # the user that we became may not


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit status: 0, 1 for a failure, 2 for wrong options."""
    arguments = sys.argv[1:] if arguments is None else arguments
    name, given, version = options.parse_command_line(arguments, os.environ)
    if version:
        import coewsgi

        print(f"coewsgi {coewsgi.__version__} (Python {sys.version.split()[0]})")
        return 0
    try:
        name = given.paste or name
        if name is None:
            raise OptionError("which application? coewsgi MODULE:APPLICATION, or --help")
        if name.partition("#")[0].endswith(".ini"):
            given = _from_ini(name, given)
        if given.print_config:
            for item in dataclasses.fields(Options):
                print(f"{item.name} = {getattr(given, item.name)!r}")
            return 0
        return _run(name, given)
    except (OptionError, application.ApplicationError) as error:
        _say(str(error))
        return 2
    except OSError as error:
        _say(str(error))
        return 1


def _run(name: str, given: Options) -> int:
    if given.monkey:
        import coev.monkey  # noqa: F401 - before the application, so that all of it waits in coev
    logs.configure(given)

    def load() -> WSGIApplication:
        return application.load_application(name)

    if given.check_config:
        from coewsgi.worker import Worker, prepare_process

        prepare_process(given)
        Worker(load(), given, [])
        print("coewsgi: the configuration is fine")
        return 0
    return _with_pid_file(given.pid, lambda: _serve(load, given))
