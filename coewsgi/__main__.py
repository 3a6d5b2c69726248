"""``python -m coewsgi``: see ``python -m coewsgi --help``."""

import sys

from coewsgi.cli import main

if __name__ == "__main__":
    sys.exit(main())
