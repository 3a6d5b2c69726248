"""Flask's development server with its threads, under load."""

import signal
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from support_programs import free_port, stop, wait_for_port

APP = """
import time
from flask import Flask, Response, g, request

app = Flask(__name__)

@app.get("/slow/<int:number>")
def slow(number):
    g.number = number
    time.sleep(0.2)
    return {"number": g.number, "path": request.path}

@app.post("/echo")
def echo():
    return request.get_data()

@app.get("/stream")
def stream():
    def pieces():
        for n in range(5):
            time.sleep(0.05)
            yield f"{n};"
    return Response(pieces())
"""


def test_flask_serves_many_slow_requests_at_once(runner):
    runner.write("app.py", APP)
    port = free_port()
    process = runner.start_module("flask", "--app", "app", "run", "--port", port)
    try:
        wait_for_port(port, process)
        url = f"http://127.0.0.1:{port}"

        def fetch(path, data=None):
            with urllib.request.urlopen(url + path, data, timeout=20) as response:
                return response.read().decode()

        began = time.monotonic()
        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda n: fetch(f"/slow/{n}"), range(120)))
        assert [f'"path":"/slow/{n}"' in answer for n, answer in enumerate(answers)] == [True] * 120
        assert time.monotonic() - began < 12  # one after the other: 24
        assert len(fetch("/echo", b"x" * 1_000_000)) == 1_000_000
        assert fetch("/stream") == "0;1;2;3;4;"
    finally:
        out, _ = stop(process, signal.SIGINT)
    assert "Traceback" not in out, out
    runner.check_ticks()
