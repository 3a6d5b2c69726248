"""The WSGI application of a Django project."""

import os
from wsgiref.types import WSGIApplication


def make(settings: str) -> WSGIApplication:
    """The application of *settings* (a module's name), which serves static files in DEBUG.

    Its WSGI_APPLICATION if it names one, else Django's own.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    import django

    django.setup()
    from django.conf import settings as configured
    from django.core.servers.basehttp import get_internal_wsgi_application

    application = get_internal_wsgi_application()
    if configured.DEBUG and "django.contrib.staticfiles" in configured.INSTALLED_APPS:
        from django.contrib.staticfiles.handlers import StaticFilesHandler

        application = StaticFilesHandler(application)
    return application  # type: ignore[no-any-return]
