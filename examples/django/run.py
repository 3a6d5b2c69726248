"""Start the Django example with servers of its own: python examples/django/run.py [--port N]

PostgreSQL and memcached come up on free ports, migrations run, a superuser (admin, paste)
is made, and coewsgi serves until Ctrl-C. ``run.py test`` runs ``manage.py test`` instead.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

import services  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("command", nargs="*", help="a command of manage.py instead of serving")
    parser.add_argument("--port", type=int, default=8000, help="of the web server")
    parser.add_argument("--data", help="a folder for the data, which then stays")
    arguments = parser.parse_args()
    try:
        import django  # noqa: F401
    except ImportError:
        sys.exit(f"The example needs Django: pip install -r {HERE / 'requirements.txt'}")
    with services.running(arguments.data) as servers:
        environment = {
            **os.environ,
            "PGPORT": str(servers.postgres_port),
            "MEMCACHED": f"127.0.0.1:{servers.memcached_port}",
            "DJANGO_SUPERUSER_PASSWORD": "paste",
        }
        manage = [sys.executable, "manage.py"]
        if arguments.command:
            return subprocess.call([*manage, *arguments.command], cwd=HERE, env=environment)
        subprocess.run([*manage, "migrate", "-v0"], cwd=HERE, env=environment, check=True)
        user = ["createsuperuser", "--noinput", "--username", "admin", "--email", "admin@localhost"]
        subprocess.run([*manage, *user], cwd=HERE, env=environment, capture_output=True)
        print(f"Notes on http://127.0.0.1:{arguments.port}/ (admin: admin, paste)", flush=True)
        server = subprocess.Popen(
            [sys.executable, "-m", "coewsgi.django", "mysite.settings"]
            + ["-b", f"127.0.0.1:{arguments.port}", "--graceful-timeout", "10"],
            cwd=HERE,
            env=environment,
        )
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            return server.wait()
        except KeyboardInterrupt:
            return server.wait()


if __name__ == "__main__":
    sys.exit(main())
