"""The access log: gunicorn's atoms, JSON, and text that cannot forge an entry."""

import json
import logging
import re

import pytest

from coewsgi.access_log import AccessLog, Request, compile_format, escape
from coewsgi.options import Options

ENVIRON = {
    "REMOTE_ADDR": "192.0.2.1",
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/a%20b?q=1",
    "PATH_INFO": "/a b",
    "QUERY_STRING": "q=1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_USER_AGENT": 'curl "7"',
    "HTTP_REFERER": "http://x/",
    "HTTP_AUTHORIZATION": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    "CONTENT_TYPE": "text/x",
}
HEADERS = [("Content-Type", "text/html"), ("Set-Cookie", "a"), ("Set-Cookie", "b")]


def render(text, **changes):
    request = Request(ENVIRON | changes, "200 OK", HEADERS, 12, 1e9, 1.5)
    return compile_format(text)(request)


def test_default_format_is_that_of_gunicorn():
    line = render(Options().access_logformat)
    assert re.fullmatch(
        r'192\.0\.2\.1 - Aladdin \[\d\d/Sep/2001:[\d:]{8} [+-]\d{4}\] "GET /a%20b\?q=1 HTTP/1\.1" '
        r'200 12 "http://x/" "curl \\"7\\""',
        line,
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("%(m)s %(U)s %(q)s %(H)s", "GET /a b q=1 HTTP/1.1"),
        ("%(s)s %(st)s %(B)s", "200 200 OK 12"),
        ("%(T)s %(M)s %(D)s %(L)s", "1 1500 1500000 1.500000"),
        ("%({user-agent}i)s", 'curl \\"7\\"'),
        ("%({content-type}i)s %({content-type}o)s", "text/x text/html"),
        ("%({set-cookie}o)s %({x}o)s", "a, b -"),
        ("%({SERVER_PROTOCOL}e)s 100%%", "HTTP/1.1 100%"),
    ],
)
def test_atoms(text, line):
    assert render(text) == line


@pytest.mark.parametrize("text", ["%(zz)s", "%(h)d", "50%", "%h"])
def test_unknown_atom_is_refused_when_the_format_is_compiled(text):
    with pytest.raises(ValueError, match="access log format"):
        compile_format(text)


def test_what_a_client_sends_stays_on_its_line_and_within_its_quotes():
    line = render('"%(f)s"', HTTP_REFERER='x"\r\n1.2.3.4 "forged\x1b[2J\\')
    assert line == '"x\\"\\x0d\\x0a1.2.3.4 \\"forged\\x1b[2J\\\\"'
    assert escape("\x85é") == "\\x85é"


def test_refused_request_is_logged_by_its_first_line():
    head = b"GET / HTTP/1.1\r\nBad\r\n"
    request = Request(
        {"REMOTE_ADDR": "::1", "coewsgi.refused_head": head}, "400 Bad Request", [], 0, 0.0, 0.0
    )
    assert compile_format('%(h)s "%(r)s" %(s)s %(b)s')(request) == '::1 "GET / HTTP/1.1" 400 -'


def test_json_is_one_object_a_line():
    entry = json.loads(render("json"))
    assert entry["status"] == 200
    assert entry["request"] == "GET /a%20b?q=1 HTTP/1.1"
    assert entry["user_agent"] == 'curl "7"'


def test_line_goes_to_the_logger(caplog):
    with caplog.at_level(logging.INFO, "test.access"):
        AccessLog("%(h)s 100%%", logging.getLogger("test.access"))(
            ENVIRON, "200 OK", HEADERS, 1, 0.0, 0.0
        )
    assert [record.getMessage() for record in caplog.records] == ["192.0.2.1 100%"]
