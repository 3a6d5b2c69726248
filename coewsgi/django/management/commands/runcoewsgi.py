"""``manage.py runcoewsgi [options of coewsgi]``."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):  # type: ignore[misc]
    """Replaces this process by ``python -m coewsgi.django``.

    A new interpreter, because coev.monkey belongs before the first import of Django.
    """

    help = "Serves this project with coewsgi; options are those of the command coewsgi."

    def run_from_argv(self, argv: list[str]) -> None:
        # Not parsed here: coewsgi has its own options, and --help for them.
        self.handle(arguments=argv[2:])

    def handle(self, *args: Any, **options: Any) -> None:
        settings = os.environ["DJANGO_SETTINGS_MODULE"]
        command = [sys.executable, "-m", "coewsgi.django", settings, *options["arguments"]]
        os.execv(sys.executable, command)
