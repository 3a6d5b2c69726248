"""For any WSGI server: coewsgi mysite.wsgi, gunicorn -k coewsgi.gunicorn.Worker mysite.wsgi."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
application = get_wsgi_application()
