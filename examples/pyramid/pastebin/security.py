"""Basic authentication for the admin page."""

import hmac
from typing import Any

from pyramid.authentication import extract_http_basic_credentials
from pyramid.authorization import ACLHelper, Authenticated, Everyone
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPUnauthorized
from pyramid.request import Request
from pyramid.security import forget


class Security:
    """Knows one user, whose name and password stand in the ini file."""

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user.encode(), password.encode()

    def identity(self, request: Request) -> str | None:
        given = extract_http_basic_credentials(request)
        if given is None:
            return None
        right = hmac.compare_digest(given.username.encode(), self._user)
        right &= hmac.compare_digest(given.password.encode(), self._password)
        return "admin" if right else None

    def authenticated_userid(self, request: Request) -> str | None:
        return self.identity(request)

    def permits(self, request: Request, context: Any, permission: str) -> Any:
        principals = [Everyone]
        if self.identity(request) is not None:
            principals += [Authenticated, "admin"]
        return ACLHelper().permits(context, principals, permission)

    def remember(self, request: Request, userid: str, **options: Any) -> list[tuple[str, str]]:
        return []

    def forget(self, request: Request, **options: Any) -> list[tuple[str, str]]:
        return [("WWW-Authenticate", 'Basic realm="pastebin"')]


def ask_for_password(request: Request) -> HTTPUnauthorized:
    response = HTTPUnauthorized()
    response.headers.update(forget(request))
    return response


def includeme(config: Configurator) -> None:
    settings = config.registry.settings
    config.set_security_policy(Security(settings["admin.user"], settings["admin.password"]))
    config.add_forbidden_view(ask_for_password)
