"""Django's runserver, with and without autoreload."""

import os
import signal
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from support_programs import free_port, stop, wait_for_port

MANAGE = """
import coev.monkey
import ticker
import os, sys
from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
SETTINGS = """
from pathlib import Path
DEBUG = True
SECRET_KEY = "x" * 50
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(__file__).parent / "db.sqlite3",
        "OPTIONS": {"timeout": 20},
    }
}
USE_TZ = True
"""
URLS = """
import time
import coev
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.urls import path

def slow(request, number):
    time.sleep(0.2)
    return HttpResponse(f"{number} {coev.current() is not coev.main()}")

def store(request, number):
    Group.objects.create(name=f"group {number}")
    time.sleep(0.05)
    return HttpResponse(str(Group.objects.filter(name=f"group {number}").count()))

def version(request):
    return HttpResponse("first")

urlpatterns = [
    path("slow/<int:number>", slow),
    path("store/<int:number>", store),
    path("version", version),
]
"""


@pytest.fixture
def site(runner):
    """A project with a database."""
    runner.write("settings.py", SETTINGS)
    runner.write("urls.py", URLS)
    manage = runner.write("manage.py", MANAGE)
    done = runner.run(manage, "migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stdout
    return runner


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
        return response.read().decode()


def load(port):
    began = time.monotonic()
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda n: fetch(port, f"/slow/{n}"), range(60)))
        assert answers == [f"{n} True" for n in range(60)]
        assert time.monotonic() - began < 10  # one after the other: 12
        assert list(pool.map(lambda n: fetch(port, f"/store/{n}"), range(20))) == ["1"] * 20


def test_runserver_serves_many_requests_at_once(site):
    port = free_port()
    process = site.start("manage.py", "runserver", "--noreload", f"127.0.0.1:{port}")
    try:
        wait_for_port(port, process)
        load(port)
    finally:
        out, _ = stop(process, signal.SIGINT)
    assert "Traceback" not in out, out
    site.check_ticks()


def test_runserver_reloads_what_changes(site):
    port = free_port()
    with open(site.folder / "log", "w") as log:
        process = site.start("manage.py", "runserver", f"127.0.0.1:{port}", output=log)
    try:
        wait_for_port(port, process)
        load(port)
        assert fetch(port, "/version") == "first"
        time.sleep(1.1)  # it looks once a second, at whole files
        site.write("urls.py", URLS.replace('"first"', '"second"'))
        os.utime(site.folder / "urls.py")
        end = time.monotonic() + 20
        answer = "first"
        while answer == "first" and time.monotonic() < end:
            time.sleep(0.1)
            try:
                answer = fetch(port, "/version")
            except (urllib.error.URLError, ConnectionError):
                pass
        assert answer == "second", (site.folder / "log").read_text()
    finally:
        stop(process, signal.SIGINT)
    assert "Traceback" not in (site.folder / "log").read_text()
    site.check_ticks(processes=3)
