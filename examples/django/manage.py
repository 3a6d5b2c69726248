"""Django's command line for the example: python manage.py test, migrate, runcoewsgi, ..."""

import os
import sys

import coev.monkey  # noqa: F401

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
