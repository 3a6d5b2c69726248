"""coewsgi with programs of others: a websocket client, gunicorn's master."""

import urllib.request

import pytest
from support_programs import free_port, stop, wait_for_port

ECHO = """
def app(environ, start_response):
    websocket = environ.get("coewsgi.websocket")
    if websocket is None:
        start_response("426 Upgrade Required", [("Upgrade", "websocket")])
        return [b"This is a websocket."]
    if "refuse" in environ["QUERY_STRING"]:
        start_response("403 Forbidden", [])
        return [b"no"]
    protocols = websocket.subprotocols
    websocket.accept(protocols[0] if protocols else None, [("X-Greeting", "hello")])
    for message in websocket:
        if message == "close":
            websocket.close(4000, "as asked")
        else:
            websocket.send(message)
    return []
"""


@pytest.fixture
def echo(runner):
    """The URL of a websocket that echoes."""
    runner.write("echo_app.py", ECHO)
    port = free_port()
    process = runner.start("-m", "coewsgi", "-b", f"127.0.0.1:{port}", "echo_app:app")
    try:
        wait_for_port(port, process)
        yield f"ws://127.0.0.1:{port}/"
    finally:
        stop(process)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_come_back_whole(echo, compression):
    from websockets.sync.client import connect

    options = {"compression": compression, "max_size": None, "proxy": None}
    with connect(echo, subprotocols=["b", "a"], **options) as websocket:
        assert websocket.subprotocol == "b"
        assert websocket.response.headers["X-Greeting"] == "hello"
        for message in ("", "héllo", b"\0\1", "x" * 70_000, bytes(range(256)) * 3000):
            websocket.send(message)
            assert websocket.recv(10) == message
        websocket.send(["frag", "ment", "ed"])
        assert websocket.recv(10) == "fragmented"
        assert websocket.ping(b"p").wait(10)


def test_websocket_is_closed_with_a_reason_by_either_side(echo):
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with connect(echo, proxy=None) as websocket:
        websocket.close(4321, "enough")
    assert websocket.protocol.close_code == 4321
    with connect(echo, proxy=None) as websocket:
        websocket.send("close")
        with pytest.raises(ConnectionClosed):
            websocket.recv(10)
        assert (websocket.protocol.close_code, websocket.protocol.close_reason) == (
            4000,
            "as asked",
        )


def test_message_above_the_limit_and_text_that_is_none_end_the_websocket(echo):
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with connect(echo, proxy=None, compression=None) as websocket:
        websocket.send(b"z" * 1_100_000)
        with pytest.raises(ConnectionClosed):
            websocket.recv(10)
        assert websocket.protocol.close_code == 1009
    with connect(echo, proxy=None) as websocket:
        # Small on the wire, large when inflated.
        websocket.send(b"\0" * 50_000_000)
        with pytest.raises(ConnectionClosed):
            websocket.recv(10)
        assert websocket.protocol.close_code == 1009
    with connect(echo, proxy=None) as websocket:
        websocket.send(b"\xff", text=True)
        with pytest.raises(ConnectionClosed):
            websocket.recv(10)
        assert websocket.protocol.close_code == 1007


def test_application_may_refuse_the_websocket(echo):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus) as refused:
        connect(echo + "?refuse", proxy=None)
    assert refused.value.response.status_code == 403


def test_worker_of_gunicorn_serves_and_ends_gracefully(runner):
    runner.write(
        "site_app.py",
        """
        import time
        def app(environ, start_response):
            time.sleep(0.2)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"served"]
        """,
    )
    port = free_port()
    process = runner.start(
        *("-m", "gunicorn", "-k", "coewsgi.gunicorn.Worker", "-w", "2"),
        *("-b", f"127.0.0.1:{port}", "--no-control-socket", "site_app:app"),
    )
    try:
        wait_for_port(port, process)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(5):
            with opener.open(f"http://127.0.0.1:{port}/", timeout=20) as response:
                assert response.read() == b"served"
        process.terminate()
        assert process.wait(20) == 0
    finally:
        out, _ = stop(process)
    assert "Traceback" not in out, out
