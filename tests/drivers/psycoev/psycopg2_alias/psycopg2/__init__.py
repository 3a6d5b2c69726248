"""With this folder on PYTHONPATH, ``import psycopg2`` is psycoev in every process."""

import psycoev

psycoev.install_as_psycopg2()
