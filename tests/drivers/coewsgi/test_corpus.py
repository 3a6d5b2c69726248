"""Request cases of other servers' tests, where COEWSGI_CORPUS names a file that has them.

A JSON list; each case has src, name, data (base64), config, expect and requests. What is
refused here although its source accepts it stands below, with the rule that says so.
"""

import base64
import json
import os

import pytest

from coewsgi._coewsgi import parse_requests

#: Accepted by gunicorn, refused here: the rule and its status.
REFUSED = {
    "no fragment in a target (RFC 9112, 3.2)": (400, ["valid/005", "valid/009"]),
    "Transfer-Encoding is exactly chunked": (
        501,
        [
            "valid/025",
            "valid/025_line",
            "valid/029",
            "valid/030",
            "valid/rfc9112_smuggle_gzip_chunked_01",
            "valid/rfc9112_smuggle_te_identity_chunked_01",
        ],
    ),
    "no user in a target (RFC 9110, 4.2.4)": (400, ["valid/rfc9112_target_absolute_userinfo_01"]),
    "no space before a colon, whatever is configured": (400, ["valid/028"]),
    "no letters in lower case in a method": (400, ["valid/031compat", "valid/031compat2"]),
    "no folding, whatever is configured": (
        400,
        ["valid/compat_obs_fold", "valid/compat_obs_fold_huge"],
    ),
    "a PROXY header is read before HTTP": (
        400,
        ["valid/pp_01", "valid/pp_02", "valid/pp_04", "valid/pp_05"],
    ),
}
REFUSED_WITH = {name: status for status, names in REFUSED.values() for name in names}
#: Refused by gunicorn because of a forwarded field: coewsgi.forwarded decides that.
FORWARDED = ["invalid/019"]

#: Accepted by llhttp, beside what its lenient settings accept; refused here by the rules above.
LLHTTP_REFUSED = {
    "method: M-SEARCH request",  # "*" is for OPTIONS
    "method: SOURCE request with ICE",
    "method: OPTIONS request with RTSP",
    "method: ANNOUNCE request with RTSP",
    "sample: No HTTP version",
    "sample: Line folding in header value with CRLF",
    "sample: X-SSL-Nonsense",  # folding
    "transfer-encoding: POST with `chunked` as last transfer-encoding",
    "transfer-encoding: POST with `chunked` as last transfer-encoding (multiple headers)",
    "uri: Fragment in URI",
    "uri: `host:port` and basic auth",
}
#: llhttp pauses there, and calls that an error; what follows a last request is not read here.
LLHTTP_ACCEPTED = {
    "connection: No restart when keep-alive is off (1.0)",
    "connection: Multiple tokens with folding and LWS",
    "connection: Emitting part of body and pausing",
    "connection: Upgrade GET request",
    "connection: Upgrade POST request",
    "method: CONNECT request",
    "method: CONNECT with body",
}

CORPUS = os.environ.get("COEWSGI_CORPUS")
pytestmark = pytest.mark.skipif(CORPUS is None, reason="COEWSGI_CORPUS names no file")


def cases(source, expect):
    if CORPUS is None:
        return []
    with open(CORPUS) as file:
        found = [c for c in json.load(file) if c["src"] == source and c["expect"] == expect]
    return [pytest.param(case, id=case["name"]) for case in found]


def parse(case, data=None):
    config = case.get("config") or {}
    limits = {
        "limit_request_line": config.get("limit_request_line", 4094) or 65535,
        "limit_request_field_size": config.get("limit_request_field_size", 8190) or 8190,
        "limit_request_fields": config.get("limit_request_fields", 100),
        "header_map": config.get("header_map", "drop"),
    }
    data = base64.b64decode(case["data"]) if data is None else data
    # Neither source asks HTTP/1.1 for a Host.
    return parse_requests(data, require_host=False, **limits)


@pytest.mark.parametrize("case", cases("gunicorn", "reject"))
def test_refused_by_gunicorn(case):
    assert (parse(case)[1] != 0) != (case["name"] in FORWARDED)


@pytest.mark.parametrize("case", cases("gunicorn", "accept"))
def test_accepted_by_gunicorn(case):
    requests, status = parse(case)
    if case["name"] in REFUSED_WITH:
        assert status == REFUSED_WITH[case["name"]]
        return
    assert len(requests) == len(case["requests"])
    for parsed, expected in zip(requests, case["requests"]):
        method, target, minor, fields, body, _, _ = parsed
        assert method == expected["method"]
        assert target == expected["target"]
        assert [1, minor] == expected["version"]
        assert [[name.upper(), value] for name, value in fields] == expected["headers"]
        assert body == base64.b64decode(expected["body"] or "")


@pytest.mark.parametrize("case", cases("llhttp", "accept"))
def test_accepted_by_llhttp(case):
    data = base64.b64decode(case["data"])
    if b"\r\n\r\n" not in data and case["messages_complete"]:
        data = data.rstrip(b"\r\n") + b"\r\n\r\n"  # the collection has cut it off
    requests, status = parse(case, data)
    is_lenient = "(lenient)" in case["name"] or "(relaxed)" in case["name"]
    assert (
        is_lenient or case["name"] in LLHTTP_REFUSED or (status < 400 and (requests or status))
    ), status


@pytest.mark.parametrize("case", cases("llhttp", "reject"))
def test_refused_by_llhttp(case):
    data = base64.b64decode(case["data"])
    status = parse(case, data)[1] or parse(case, data + b"\r\n\r\n")[1]
    assert status != 0 or case["name"] in LLHTTP_ACCEPTED
