"""A PostgreSQL driver (DB-API, PEP 249) whose every wait lets other coroutines run."""
