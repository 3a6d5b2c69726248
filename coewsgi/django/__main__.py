"""``python -m coewsgi.django SETTINGS [options of coewsgi]``."""

import sys

from coewsgi.cli import main


def run(arguments: list[str]) -> int:
    """Serve the project of the settings module that comes first."""
    if not arguments or arguments[0].startswith("-"):
        print("usage: python -m coewsgi.django SETTINGS [options of coewsgi]", file=sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    settings, *options = arguments
    return main([*options, f"coewsgi.django.application:make({settings!r})"])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
