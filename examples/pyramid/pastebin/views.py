"""The pages."""

import json
import logging
from collections.abc import Iterator
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther, HTTPServiceUnavailable
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

import coev
from pastebin.models import Paste

LOG = logging.getLogger("pastebin")
PAGE = 20
HEARTBEAT = 15.0
LIMITS = {"title": 100, "author": 50, "text": 500_000}


def listing(request: Request) -> dict[str, Any]:
    """The newest pastes; with ?q= those that contain the words."""
    words = request.params.get("q", "").strip()
    if words:
        found = request.database.scalars(
            select(Paste)
            .where(Paste.words.op("@@")(func.plainto_tsquery("simple", words)))
            .order_by(Paste.created.desc())
            .limit(PAGE)
        )
        return {"pastes": [paste.as_dict() for paste in found], "words": words}
    return {
        "pastes": request.registry.cache.get_or_make("newest", lambda: _newest(request)),
        "words": "",
    }


def _newest(request: Request) -> list[dict[str, Any]]:
    found = request.database.scalars(select(Paste).order_by(Paste.id.desc()).limit(PAGE))
    return [paste.as_dict() for paste in found]


def show(request: Request) -> dict[str, Any]:
    number = int(request.matchdict["id"])

    def load() -> dict[str, Any] | None:
        paste = request.database.get(Paste, number)
        return None if paste is None else paste.as_dict()

    paste = request.registry.cache.get_or_make(f"paste-{number}", load)
    if paste is None:
        raise HTTPNotFound()
    return {"paste": paste}


def add(request: Request) -> dict[str, Any]:
    """The form, and what it sends: a text, or a file with one."""
    if request.method != "POST":
        return {"errors": {}, "values": {}}
    values = {name: str(request.POST.get(name, "")).strip() for name in ("title", "author")}
    upload = request.POST.get("file")
    if getattr(upload, "file", None) is not None:
        values["text"] = upload.file.read(LIMITS["text"] + 1).decode("utf-8", "replace")
        values["title"] = values["title"] or upload.filename
    else:
        values["text"] = str(request.POST.get("text", ""))
    # PostgreSQL's text has no NUL.
    values = {name: value.replace("\0", "") for name, value in values.items()}
    errors = {name: "is missing" for name in LIMITS if not values[name].strip()}
    errors |= {
        name: f"has more than {most} characters"
        for name, most in LIMITS.items()
        if len(values[name]) > most
    }
    if errors:
        request.response.status = 400
        return {"errors": errors, "values": values}
    paste = Paste(**values)
    request.database.add(paste)
    request.database.flush()
    request.database.refresh(paste)
    request.database.commit()
    # After the commit, because readers must not learn of what may be rolled back.
    request.registry.cache.forget("newest")
    request.registry.feed.publish(paste.as_dict())
    LOG.info("paste %d by %s", paste.id, paste.author)
    raise HTTPSeeOther(request.route_url("show", id=paste.id))


def feed(request: Request) -> Response:
    """Server-sent events (the HTML standard): one for each new paste."""
    source = request.registry.feed
    last = request.headers.get("Last-Event-ID", "")
    seen = int(last) if last.isdigit() else source.newest
    request.database.close()  # a reader stays for hours, and needs no connection

    def events() -> Iterator[bytes]:
        nonlocal seen
        yield b"retry: 2000\n\n"
        while True:
            entries = source.wait(seen, HEARTBEAT)
            for number, paste in entries:
                data = json.dumps({k: paste[k] for k in ("id", "title", "author", "created")})
                yield f"id: {number}\ndata: {data}\n\n".encode()
                seen = number
            if not entries:
                yield b": still here\n\n"  # finds out whether the reader is

    headers = [("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")]
    return Response(
        content_type="text/event-stream",
        charset="utf-8",
        app_iter=events(),
        headerlist=[("Content-Type", "text/event-stream; charset=utf-8"), *headers],
    )


def admin(request: Request) -> dict[str, Any]:
    count = request.database.scalar(select(func.count(Paste.id)))
    pool = request.database.get_bind().pool
    return {
        "count": count,
        "pastes": _newest(request),
        "readers": request.registry.feed.readers,
        "pool": pool.status(),
        "coev": coev.stats(),
    }


def delete(request: Request) -> None:
    number = int(request.matchdict["id"])
    paste = request.database.get(Paste, number)
    if paste is not None:
        request.database.delete(paste)
        request.database.commit()
    request.registry.cache.forget("newest", f"paste-{number}")
    raise HTTPSeeOther(request.route_url("admin"))


def debug_coev(request: Request) -> Response:
    """The scheduler's counters, as text."""
    lines = [f"coev.{name}={value}" for name, value in coev.stats().items()]
    lines.append(f"feed.readers={request.registry.feed.readers}")
    return Response("\n".join(lines) + "\n", content_type="text/plain")


def debug_who(request: Request) -> Response:
    """Where every coroutine waits; the innermost frames."""
    lines = []
    for coroutine in coev.coroutines():
        frames = list(coroutine.stack())[-3:]
        places = " < ".join(f"{f.name} ({f.filename}:{f.lineno})" for f in reversed(frames))
        lines.append(f"{coroutine.name}: {places}")
    return Response("\n".join(lines) + "\n", content_type="text/plain")


def health(request: Request) -> Response:
    request.database.execute(select(1))
    return Response("fine\n", content_type="text/plain")


def database_is_away(error: Exception, request: Request) -> Response:
    """PostgreSQL is restarting, or all connections are busy: try again soon."""
    LOG.warning("%s: %s", request.path, str(error).split("\n", 1)[0])
    return HTTPServiceUnavailable(
        "The database is away for a moment.", headers={"Retry-After": "1"}
    )


def includeme(config: Configurator) -> None:
    settings = config.registry.settings
    config.add_static_view("static", "pastebin:static", cache_max_age=3600)
    pages = [
        ("listing", "/", listing, "listing"),
        ("add", "/add", add, "add"),
        ("show", r"/paste/{id:\d+}", show, "show"),
    ]
    for name, pattern, view, template in pages:
        config.add_route(name, pattern)
        config.add_view(
            view,
            route_name=name,
            renderer=f"pastebin:templates/{template}.jinja2",
            permission="view",
        )
    for name, pattern, plain in [("feed", "/feed", feed), ("health", "/health", health)]:
        config.add_route(name, pattern)
        config.add_view(plain, route_name=name)
    config.add_route("admin", "/admin")
    config.add_view(
        admin, route_name="admin", renderer="pastebin:templates/admin.jinja2", permission="delete"
    )
    config.add_route("delete", r"/admin/delete/{id:\d+}")
    config.add_view(delete, route_name="delete", request_method="POST", permission="delete")
    if settings.get("debug.coev_stats") == "true":
        config.add_route("debug_coev", "/debug/coev")
        config.add_view(debug_coev, route_name="debug_coev")
    if settings.get("debug.who_waits") == "true":
        config.add_route("debug_who", "/debug/who")
        config.add_view(debug_who, route_name="debug_who")
    for kind in (DBAPIError, PoolTimeout):
        config.add_exception_view(database_is_away, context=kind)
