"""requests and urllib3 against a server that speaks TLS."""

import pytest

FETCH = """
import sys
import time
from concurrent.futures import ThreadPoolExecutor
{imports}

url, authority = sys.argv[1:]
{session}

began = time.monotonic()
with ThreadPoolExecutor(30) as threads:
    bodies = list(threads.map(lambda n: fetch(f"{{url}}/slow/{{n}}"), range(60)))
assert bodies == [f"/slow/{{n}}".encode() for n in range(60)], bodies
assert time.monotonic() - began < 10
assert len(fetch(url + "/big")) == 2_000_000
assert fetch(url + "/drip") == b"abc"
assert post(url, b"y" * 3_000_000) == b"3000000"
began = time.monotonic()
try:
    fetch(url + "/slow", timeout=0.1)
except {timeout}:
    assert time.monotonic() - began < 5
else:
    raise AssertionError("no timeout")
try:
    untrusting()
except {untrusted} as error:
    assert "CERTIFICATE_VERIFY_FAILED" in str(error), error
else:
    raise AssertionError("not verified")
"""

REQUESTS = {
    "imports": "import requests",
    "session": """
session = requests.Session()
session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=30))
session.verify = authority

def fetch(url, timeout=20):
    return session.get(url, timeout=timeout).content

def post(url, data):
    return session.post(url, data=data).content

def untrusting():
    requests.get(url, verify=True)
""",
    "timeout": "requests.exceptions.ReadTimeout",
    "untrusted": "requests.exceptions.SSLError",
}

URLLIB3 = {
    "imports": "import urllib3",
    "session": """
pool = urllib3.PoolManager(maxsize=30, ca_certs=authority, retries=False)
{truststore}

def fetch(url, timeout=20):
    return pool.request("GET", url, timeout=timeout).data

def post(url, data):
    return pool.request("POST", url, body=data).data

def untrusting():
    urllib3.PoolManager(retries=False).request("GET", url)
""",
    "timeout": "urllib3.exceptions.ReadTimeoutError",
    "untrusted": "urllib3.exceptions.SSLError",
}

TRUSTSTORE = """
import ssl, truststore
context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(authority)
pool = urllib3.PoolManager(maxsize=30, ssl_context=context, retries=False)
"""


def test_requests_wait_in_coroutines(runner, tls_server):
    runner.check(FETCH.format(**REQUESTS), *tls_server)


@pytest.mark.parametrize("truststore", ["", TRUSTSTORE], ids=["urllib3", "truststore"])
def test_urllib3_waits_in_coroutines(runner, tls_server, truststore):
    session = URLLIB3["session"].format(truststore=truststore)
    runner.check(FETCH.format(**(URLLIB3 | {"session": session})), *tls_server)


def test_truststore_injected_into_ssl_serves_requests(runner, tls_server):
    runner.check(
        """
        import sys
        import truststore
        truststore.inject_into_ssl()
        import requests
        from concurrent.futures import ThreadPoolExecutor

        url, authority = sys.argv[1:]
        with ThreadPoolExecutor(20) as pool:
            fetch = lambda n: requests.get(f"{url}/slow/{n}", verify=authority).text
            assert list(pool.map(fetch, range(20))) == [f"/slow/{n}" for n in range(20)]
        """,
        *tls_server,
    )
