"""Start the paste-bin with servers of its own: python examples/pyramid/run.py [--port N]

PostgreSQL and memcached come up on free ports, the table is made by Alembic, some pastes
are put into it, and coewsgi serves until Ctrl-C. With --data FOLDER the pastes stay.
"""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import coev.monkey  # noqa: E402, F401

SEED = [
    ("Hello", "coev", "Threads that cost what coroutines cost.\n"),
    ("A server in ten lines", "coev", Path(HERE.parent, "echo_server.py").read_text()[:2000]),
    ("Unicode", "coev", "Grüße, привет, こんにちは, 🐍\n"),
]


def migrate(url: str) -> None:
    """Bring the database to the newest revision, and give an empty one some pastes."""
    from alembic import command
    from alembic.config import Config
    from pastebin.models import Paste
    from sqlalchemy import create_engine, func, select
    from sqlalchemy.orm import Session

    config = Config()
    config.set_main_option("script_location", str(HERE / "pastebin" / "migrations"))
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "head")
    engine = create_engine(url)
    with Session(engine) as session:
        if not session.scalar(select(func.count(Paste.id))):
            session.add_all(Paste(title=t, author=a, text=x) for t, a, x in SEED)
            session.commit()
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=6543, help="of the web server; 0: a free one")
    parser.add_argument("--data", help="a folder for the data, which then stays")
    arguments = parser.parse_args()
    try:
        import alembic  # noqa: F401
        import paste.deploy  # noqa: F401
        import pyramid  # noqa: F401
        import pyramid_jinja2  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        wanted = f"pip install -r {HERE / 'requirements.txt'}"
        sys.exit(f"The example needs {error.name}: {wanted}")
    import services

    import coewsgi
    from coewsgi.application import load_paste, paste_server_options
    from coewsgi.listener import open_listener

    ini = str(HERE / "development.ini")
    with services.running(arguments.data) as servers:
        migrate(servers.database_url)
        os.environ["DATABASE_URL"] = servers.database_url
        os.environ["MEMCACHED"] = f"127.0.0.1:{servers.memcached_port}"
        application = load_paste(ini)
        options = paste_server_options(ini)
        options = {k: v for k, v in options.items() if k not in ("host", "port")}
        listener = open_listener(f"127.0.0.1:{arguments.port}")
        print(f"Pastes on http://{listener.name}/ (admin: admin, paste)", flush=True)
        if os.environ.get("COEV_EXAMPLE_POSTGRES"):  # for tests, which kill it
            print(f"PostgreSQL: {servers.postgres.process.pid}", flush=True)
        coewsgi.serve(application, sockets=[listener.socket], **options)
        print("Stopped.", flush=True)


if __name__ == "__main__":
    main()
