"""Django's backend for PostgreSQL, on psycoev: ``"ENGINE": "psycoev.django"``.

Everything that ``django.db.backends.postgresql`` does with psycopg2, from Django 3.2 on, and
from 5.1 on ``"OPTIONS": {"pool": True}`` (or a dictionary of ConnectionPool's arguments) too.

Django's own modules for PostgreSQL take the driver that they find when they are imported,
psycopg 3 first. With ``django.contrib.postgres`` among INSTALLED_APPS that is before Django
looks at an ENGINE: then ``import psycoev.django`` belongs at the top of the settings.
"""

from ._driver import make_driver_of_django

make_driver_of_django()
