"""A paste-bin: list, form, search, upload, a live feed, and an admin page."""

import os
from typing import Any

from pyramid.authorization import Allow, Everyone
from pyramid.config import Configurator
from pyramid.request import Request

import cqsl
from pastebin.cache import Cache
from pastebin.feed import Feed
from pastebin.models import make_sessions


class Site:
    """The root of the site: everybody reads and writes, the admin deletes."""

    __acl__ = [(Allow, Everyone, "view"), (Allow, "admin", "delete")]

    def __init__(self, request: Request) -> None:
        self.request = request


def main(global_config: dict[str, str], **settings: Any) -> Any:
    """The WSGI application (PasteDeploy's paste.app_factory)."""
    # Where the servers are may be told by the environment, as run.py does.
    for name, variable in (("sqlalchemy.url", "DATABASE_URL"), ("cache.servers", "MEMCACHED")):
        settings[name] = os.environ.get(variable, settings[name])
    if settings.get("cqsl.patch") == "true":
        cqsl.patch()
    with Configurator(settings=settings, root_factory=Site) as config:
        sessions = make_sessions(settings)
        config.registry.sessions = sessions
        config.registry.cache = Cache(settings["cache.servers"], int(settings["cache.seconds"]))
        config.registry.feed = Feed()
        config.add_request_method(_database, "database", reify=True)
        config.include("pastebin.security")
        config.include("pastebin.views")
        return config.make_wsgi_app()


def _database(request: Request) -> Any:
    """One session a request, committed if the view succeeds, given back in any case."""
    session = request.registry.sessions()

    def finish(request: Request) -> None:
        try:
            if request.exception is None:
                session.commit()
            else:
                session.rollback()
        finally:
            session.close()

    request.add_finished_callback(finish)
    return session
