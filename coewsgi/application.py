"""Finding the WSGI application that a name means."""

import ast
import importlib
import os
from typing import Any
from wsgiref.types import WSGIApplication


class ApplicationError(Exception):
    """A name that leads to no application; the message says what to write instead."""


def load_application(name: str) -> WSGIApplication:
    """The application of "MODULE:EXPRESSION", "MODULE" (its ``application`` or ``app``),
    "FILE.ini" or "FILE.ini#NAME".

    EXPRESSION is a name, perhaps with dots, or a call with literal arguments of a function
    that makes the application: ``site:create("production")``.

    :raises ApplicationError: there is none.
    """
    path, hash_, section = name.partition("#")
    if path.endswith(".ini"):
        return load_paste(path, section if hash_ else "main")
    module_name, _, expression = name.partition(":")
    if os.path.exists(module_name) and module_name.endswith(".py"):
        raise ApplicationError(
            f"{module_name!r} is a file; name the module: {module_name.removesuffix('.py')}"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise ApplicationError(f"there is no module {module_name!r}: {error}") from error
    if not expression:
        expression = "application" if hasattr(module, "application") else "app"
    application = _evaluate(module, module_name, expression)
    if not callable(application):
        raise ApplicationError(f"{module_name}:{expression} is {application!r}, not callable")
    return application  # type: ignore[no-any-return]


def _evaluate(module: Any, module_name: str, expression: str) -> Any:
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise ApplicationError(f"{expression!r} is neither a name nor a call") from None
    call = node if isinstance(node, ast.Call) else None
    value: Any = module
    for part in ast.unparse(call.func if call else node).split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise ApplicationError(f"module {module_name!r} has no {expression!r}") from None
    if call is None:
        return value
    try:
        arguments = [ast.literal_eval(item) for item in call.args]
        keywords = {item.arg: ast.literal_eval(item.value) for item in call.keywords if item.arg}
    except ValueError:
        raise ApplicationError(f"{expression!r}: arguments must be literals") from None
    return value(*arguments, **keywords)


def _paste() -> Any:
    try:
        from paste.deploy import loadwsgi
    except ImportError:
        raise ApplicationError(
            "ini files are read by PasteDeploy: pip install PasteDeploy"
        ) from None
    return loadwsgi


def load_paste(path: str, name: str = "main") -> WSGIApplication:
    """The application *name* of a PasteDeploy file, with that file's logging set up."""
    loadwsgi = _paste()
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise ApplicationError(f"there is no file {path}")
    configure_logging(path)
    return loadwsgi.loadapp(f"config:{path}", name=name)  # type: ignore[no-any-return]


def paste_server_options(path: str, name: str = "main") -> dict[str, str]:
    """The options of section [server:NAME], which needs not be there."""
    import configparser
    import re

    # [DEFAULT] as a section like others, because its values are not options of the server:
    # they only stand in for %(name)s.
    reader = configparser.ConfigParser(interpolation=None, default_section="")
    reader.optionxform = str  # type: ignore[assignment, method-assign]
    reader.read(path)
    known = dict(reader["DEFAULT"]) if reader.has_section("DEFAULT") else {}
    known["here"] = os.path.dirname(os.path.abspath(path))
    section = f"server:{name}"
    values = dict(reader[section]) if reader.has_section(section) else {}
    return {
        key: re.sub(r"%\((\w+)\)s", lambda match: known.get(match[1], match[0]), text)
        for key, text in values.items()
        if key != "use"
    }


def configure_logging(path: str) -> None:
    """Set up logging from an ini file that has a section [loggers]."""
    import configparser
    import logging.config

    reader = configparser.RawConfigParser()
    reader.read(path)
    if reader.has_section("loggers"):
        here = os.path.dirname(os.path.abspath(path))
        logging.config.fileConfig(
            path, {"here": here, "__file__": path}, disable_existing_loggers=False
        )
