"""Packages that were imported before coev.monkey: each does a real request afterwards."""

import pytest

FETCH = {
    "requests": """
def fetch(number):
    return requests.get(f"{url}/slow/{number}", verify=authority, timeout=20).content
""",
    "urllib3": """
pool = urllib3.PoolManager(maxsize=20, ca_certs=authority, retries=False)

def fetch(number):
    return pool.request("GET", f"{url}/slow/{number}").data
""",
    "truststore": """
context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(authority)

def fetch(number):
    return urllib.request.urlopen(f"{url}/slow/{number}", context=context, timeout=20).read()
""",
    "aiohttp": """
async def get(path):
    context = ssl.create_default_context(cafile=authority)
    async with aiohttp.ClientSession() as session:
        async with session.get(url + path, ssl=context) as response:
            return await response.read()

def fetch(number):
    return asyncio.run(get(f"/slow/{number}"))
""",
    "django": """
def view(request, number):
    time.sleep(0.3)
    return HttpResponse(f"/slow/{number}")

urlpatterns = [path("slow/<int:number>", view)]
settings.configure(DEBUG=True, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
django.setup()
server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
server.daemon_threads = True
server.set_app(WSGIHandler())

def fetch(number):
    local = f"http://127.0.0.1:{server.server_port}/slow/{number}"
    return urllib.request.urlopen(local, timeout=20).read()
""",
}

PROGRAM = """
import asyncio
import logging
import ssl
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import django
import requests
import truststore
import urllib3
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.http import HttpResponse
from django.urls import path

server = None
url, authority = sys.argv[1:]
{fetch}
import coev.monkey
import ticker

if server is not None:
    logging.getLogger("django.server").setLevel(logging.ERROR)
    threading.Thread(target=server.serve_forever, daemon=True).start()
began = time.monotonic()
with ThreadPoolExecutor(10) as threads:
    assert list(threads.map(fetch, range(20))) == [f"/slow/{{n}}".encode() for n in range(20)]
assert time.monotonic() - began < 5  # one after the other: 6
"""


@pytest.mark.parametrize("package", FETCH)
def test_a_package_imported_first_waits_in_coroutines(runner, tls_server, package):
    program = runner.write("program.py", PROGRAM.format(fetch=FETCH[package]))
    done = runner.run("-W", "error::RuntimeWarning", program, *tls_server)
    assert done.returncode == 0 and not done.stdout, done.stdout
    runner.check_ticks()
