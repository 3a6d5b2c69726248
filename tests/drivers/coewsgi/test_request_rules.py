"""What a request may look like: whatever two parsers could read differently is refused, and the
connection ended. Each rule has its cases here, by name."""

import base64

import pytest
from serving import ask, request, serving, statuses, talk

H = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#: A second request that must never be answered behind a refused one.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def server():
    with serving("echo", limit_request_body=100_000) as process:
        yield process
        assert process.counters()["exceptions"] == 0


REFUSED = {
    # Transfer-Encoding: one field, exactly "chunked".
    "length_beside_chunked": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked_beside_length": (400, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
    "chunked_in_1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "empty_element_before_chunked": (400, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
    "empty_encoding": (400, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
    "coding_before_chunked": (501, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "coding_behind_chunked": (501, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "identity_coding": (501, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: identity\r\n\r\n"),
    "chunked_twice_in_a_list": (400, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "chunked_in_two_fields": (400, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "vertical_tab_before_chunked": (400, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "no_break_space_behind_chunked": (400, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n"),
    "other_coding": (501, b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"),
    # Content-Length: one field of digits.
    "length_twice": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "length_list": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3, 3\r\n\r\nabc"),
    "length_with_plus": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: +3\r\n\r\nabc"),
    "length_negative": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: -3\r\n\r\nabc"),
    "length_hexadecimal": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 0x3\r\n\r\nabc"),
    "length_with_underscore": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 1_0\r\n\r\nabc"),
    "length_with_space_inside": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3 3\r\n\r\nabc"),
    "length_empty": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length:\r\n\r\nabc"),
    "length_overflowing": (400, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 18446744073709551619\r\n\r\nabc"),
    "length_over_the_limit": (413, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 100001\r\n\r\n"),
    # Line ends and control characters.
    "bare_newline_behind_request_line": (400, b"GET / HTTP/1.1\n" + H + b"\r\n"),
    "bare_newline_behind_field": (400, b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    "bare_newline_ends_head": (400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    "bare_return_in_value": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n"),
    "bare_return_behind_field": (400, b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"),
    "nul_in_value": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n"),
    "control_in_value": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x01z\r\n\r\n"),
    "delete_in_value": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x7fz\r\n\r\n"),
    "nul_in_target": (400, b"GET /a\0b HTTP/1.1\r\n" + H + b"\r\n"),
    "tab_in_request_line": (400, b"GET\t/ HTTP/1.1\r\n" + H + b"\r\n"),
    # Fields.
    "space_before_colon": (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    "tab_before_colon": (400, b"GET / HTTP/1.1\r\n" + H + b"X\t: a\r\n\r\n"),
    "space_before_first_field": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "folded_field": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
    "folded_field_by_tab": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"),
    "no_colon": (400, b"GET / HTTP/1.1\r\n" + H + b"X\r\n\r\n"),
    "no_name": (400, b"GET / HTTP/1.1\r\n" + H + b": x\r\n\r\n"),
    "parenthesis_in_name": (400, b"GET / HTTP/1.1\r\n" + H + b"X(: x\r\n\r\n"),
    "latin1_in_name": (400, b"GET / HTTP/1.1\r\n" + H + b"X\xe9: x\r\n\r\n"),
    "content_type_twice": (400, b"GET / HTTP/1.1\r\n" + H + b"Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n"),
    # Host.
    "no_host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two_hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    "host_list": (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "host_with_path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "host_with_user": (400, b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    "host_with_wrong_port": (400, b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
    "host_with_open_bracket": (400, b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    # The request line.
    "version_1.2": (505, b"GET / HTTP/1.2\r\n" + H + b"\r\n"),
    "version_2.0": (505, b"GET / HTTP/2.0\r\n" + H + b"\r\n"),
    "http2_preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "version_0.9": (505, b"GET / HTTP/0.9\r\n\r\n"),
    "no_version": (400, b"GET /\r\n\r\n"),
    "version_in_lower_case": (400, b"GET / http/1.1\r\n" + H + b"\r\n"),
    "version_with_two_digits": (400, b"GET / HTTP/1.10\r\n" + H + b"\r\n"),
    "space_behind_version": (400, b"GET / HTTP/1.1 \r\n" + H + b"\r\n"),
    "two_spaces": (400, b"GET  / HTTP/1.1\r\n" + H + b"\r\n"),
    "method_in_lower_case": (400, b"get / HTTP/1.1\r\n" + H + b"\r\n"),
    "method_with_parenthesis": (400, b"GE(T / HTTP/1.1\r\n" + H + b"\r\n"),
    "method_too_long": (501, b"A" * 33 + b" / HTTP/1.1\r\n" + H + b"\r\n"),
    "target_without_slash": (400, b"GET a HTTP/1.1\r\n" + H + b"\r\n"),
    "target_with_fragment": (400, b"GET /a#b HTTP/1.1\r\n" + H + b"\r\n"),
    "asterisk_for_get": (400, b"GET * HTTP/1.1\r\n" + H + b"\r\n"),
    "authority_for_get": (400, b"GET a:80 HTTP/1.1\r\n" + H + b"\r\n"),
    "path_for_connect": (400, b"CONNECT /a HTTP/1.1\r\n" + H + b"\r\n"),
    "connect_without_port": (400, b"CONNECT a HTTP/1.1\r\n" + H + b"\r\n"),
    "absolute_form_of_another_scheme": (400, b"GET ftp://a/ HTTP/1.1\r\n" + H + b"\r\n"),
    "absolute_form_without_host": (400, b"GET http:///a HTTP/1.1\r\n" + H + b"\r\n"),
    "absolute_form_with_user": (400, b"GET http://u@a/ HTTP/1.1\r\n" + H + b"\r\n"),
    # Limits.
    "line_too_long": (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + H + b"\r\n"),
    "line_too_long_without_end": (414, b"GET /" + b"a" * 100_000),
    "field_too_long": (431, b"GET / HTTP/1.1\r\n" + H + b"X: " + b"a" * 9000 + b"\r\n\r\n"),
    "name_too_long": (431, b"GET / HTTP/1.1\r\n" + H + b"X" * 1025 + b": a\r\n\r\n"),
    "too_many_fields": (431, b"GET / HTTP/1.1\r\n" + H + b"X: a\r\n" * 100 + b"\r\n"),
    "head_too_large": (431, b"GET / HTTP/1.1\r\n" + H + (b"X: " + b"a" * 8000 + b"\r\n") * 9 + b"\r\n"),
    # Expect.
    "unknown_expectation": (417, b"POST / HTTP/1.1\r\n" + H + b"Expect: 200-ok\r\nContent-Length: 3\r\n\r\n"),
    # Chunks.
    "chunk_size_with_0x": (400, CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk_size_with_plus": (400, CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n"),
    "chunk_size_negative": (400, CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n"),
    "chunk_size_with_underscore": (400, CHUNKED + b"1_0\r\nabc\r\n0\r\n\r\n"),
    "chunk_size_empty": (400, CHUNKED + b"\r\nabc\r\n0\r\n\r\n"),
    "chunk_size_too_long": (400, CHUNKED + b"0" * 17 + b"3\r\nabc\r\n0\r\n\r\n"),
    "chunk_size_overflowing": (400, CHUNKED + b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    "space_behind_chunk_size": (400, CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n"),
    "bare_newline_behind_chunk_size": (400, CHUNKED + b"3\nabc\r\n0\r\n\r\n"),
    "bare_newline_in_extension": (400, CHUNKED + b"3;a\nabc\r\n0\r\n\r\n"),
    "bare_return_in_extension": (400, CHUNKED + b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
    "control_in_extension": (400, CHUNKED + b"3;a\x01\r\nabc\r\n0\r\n\r\n"),
    "extension_without_name": (400, CHUNKED + b"3;\r\nabc\r\n0\r\n\r\n"),
    "extension_without_value": (400, CHUNKED + b"3;a=\r\nabc\r\n0\r\n\r\n"),
    "newline_in_quoted_extension": (400, CHUNKED + b'3;a="\r\n"\r\nabc\r\n0\r\n\r\n'),
    "extension_too_long": (400, CHUNKED + b"3;" + b"a" * 300 + b"\r\nabc\r\n0\r\n\r\n"),
    "no_line_end_behind_chunk": (400, CHUNKED + b"3\r\nabcXX0\r\n\r\n"),
    "bare_newline_behind_chunk": (400, CHUNKED + b"3\r\nabc\n0\r\n\r\n"),
    "chunks_over_the_limit": (413, CHUNKED + b"10000\r\n" + b"a" * 65536 + b"\r\n10000\r\n" + b"a" * 65536 + b"\r\n0\r\n\r\n"),
    # Trailers: the grammar of fields, and nothing that frames or routes.
    "host_in_trailer": (400, CHUNKED + b"0\r\nHost: b\r\n\r\n"),
    "length_in_trailer": (400, CHUNKED + b"0\r\nContent-Length: 1\r\n\r\n"),
    "encoding_in_trailer": (400, CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "forwarded_in_trailer": (400, CHUNKED + b"0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"),
    "underscore_in_trailer": (400, CHUNKED + b"0\r\nContent_Length: 1\r\n\r\n"),
    "space_before_colon_in_trailer": (400, CHUNKED + b"0\r\nX : b\r\n\r\n"),
    "control_in_trailer": (400, CHUNKED + b"0\r\nX: \0\r\n\r\n"),
    "bare_newline_in_trailer": (400, CHUNKED + b"0\r\nX: b\n\r\n"),
    "trailers_too_large": (400, CHUNKED + b"0\r\n" + b"X: bbbbbbbbbbbbbb\r\n" * 600 + b"\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(server, name):
    status, data = REFUSED[name]
    [response] = ask(server, data + SMUGGLED)
    assert response.status == status
    assert response["Connection"] == "close"


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab",
        CHUNKED + b"3\r\nab",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\nX: y\r\n",
    ],
)
def test_body_that_the_client_cuts_off_is_an_error(server, data):
    assert statuses(server, data, end=True) == [400]


@pytest.mark.parametrize("data", [b"", b"G", b"GET / HTTP/1.1\r\nHost:", b"\r\n"])
def test_head_that_the_client_cuts_off_is_not_answered(server, data):
    assert talk(server, data, end=True) == b""


def test_valid_request_before_a_malformed_one_is_answered(server):
    data = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n" + SMUGGLED
    assert statuses(server, data) == [200, 400]


def test_empty_body_and_pipelined_request_stay_apart(server):
    first = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    responses = ask(server, first + request("GET", "/2"))
    assert [response.json["PATH_INFO"] for response in responses] == ["/1", "/2"]


ACCEPTED = {
    "empty_line_before_request": (b"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", {"PATH_INFO": "/a"}),
    "no_space_behind_colon": (b"GET / HTTP/1.1\r\nHost:a\r\nX:y\r\n\r\n", {"HTTP_X": "y"}),
    "space_and_tab_around_value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \t y\tz \t\r\n\r\n", {"HTTP_X": "y\tz"}),
    "empty_value": (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", {"HTTP_X": ""}),
    "latin1_in_value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\x85\xa0\r\n\r\n", {"HTTP_X": "\xe9\x85\xa0"}),
    "repeated_field": (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 0\r\nx: 2\r\n\r\n", {"HTTP_X": "1,2", "HTTP_Y": "0"}),
    "repeated_cookie": (b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n", {"HTTP_COOKIE": "a=1; b=2"}),
    "underscore_dropped": (b"GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\nX-Y: 2\r\n\r\n", {"HTTP_X_Y": "2"}),
    "underscore_length_dropped": (b"GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 9\r\n\r\n", {"CONTENT_LENGTH": None}),
    "proxy_dropped": (b"GET / HTTP/1.1\r\nHost: a\r\nProxy: evil\r\n\r\n", {"HTTP_PROXY": None}),
    "script_name_is_no_cgi_variable": (b"GET / HTTP/1.1\r\nHost: a\r\nSCRIPT_NAME: /x\r\n\r\n", {"SCRIPT_NAME": ""}),
    "forwarded_of_untrusted_peer_dropped": (
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nForwarded: for=x\r\nX-Real-IP: x\r\n\r\n",
        {"HTTP_X_FORWARDED_FOR": None, "HTTP_X_FORWARDED_PROTO": None, "HTTP_FORWARDED": None, "HTTP_X_REAL_IP": None, "wsgi.url_scheme": "http"}),
    "percent_decoded": (b"GET /a%20b%2Fc%zz?x=%20 HTTP/1.1\r\nHost: a\r\n\r\n", {"PATH_INFO": "/a b/c%zz", "QUERY_STRING": "x=%20", "RAW_URI": "/a%20b%2Fc%zz?x=%20", "REQUEST_URI": "/a%20b%2Fc%zz?x=%20"}),
    "dots_in_path_kept": (b"GET /a/../b//c HTTP/1.1\r\nHost: a\r\n\r\n", {"PATH_INFO": "/a/../b//c"}),
    "utf8_in_target": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", {"PATH_INFO": "/\xc3\xa9"}),
    "absolute_form_overrides_host": (b"GET http://b:8/x?y HTTP/1.1\r\nHost: a\r\n\r\n", {"HTTP_HOST": "b:8", "PATH_INFO": "/x", "QUERY_STRING": "y"}),
    "absolute_form_without_path": (b"GET http://b?y HTTP/1.1\r\nHost: a\r\n\r\n", {"HTTP_HOST": "b", "PATH_INFO": "/", "QUERY_STRING": "y"}),
    "asterisk_for_options": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", {"PATH_INFO": "*"}),
    "authority_for_connect": (b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", {"PATH_INFO": "", "RAW_URI": "b:443"}),
    "ipv6_host": (b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", {"HTTP_HOST": "[::1]:8080"}),
    "empty_host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", {"HTTP_HOST": ""}),
    "no_host_in_1.0": (b"GET / HTTP/1.0\r\n\r\n", {"SERVER_PROTOCOL": "HTTP/1.0", "HTTP_HOST": None}),
    "expectation_in_1.0_ignored": (b"GET / HTTP/1.0\r\nExpect: x\r\n\r\n", {"PATH_INFO": "/"}),
    "unusual_method": (b"MKCOL / HTTP/1.1\r\nHost: a\r\n\r\n", {"REQUEST_METHOD": "MKCOL"}),
    "length_with_leading_zeros": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc", {"body": "abc"}),
    "chunks": (CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", {"body": "abc0123456789", "CONTENT_LENGTH": None, "trailers": []}),
    "chunks_with_extensions": (CHUNKED + b'3;a;b=c;d="e\\"f"\r\nabc\r\n0;x\r\n\r\n', {"body": "abc"}),
    "chunk_of_leading_zeros": (CHUNKED + b"0003\r\nabc\r\n000\r\n\r\n", {"body": "abc"}),
    "chunked_in_capitals": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", {"body": "a"}),
    "trailers_never_merged": (CHUNKED + b"1\r\na\r\n0\r\nX-Sum: 1\r\nx-other:\t2 \r\n\r\n", {"body": "a", "HTTP_X_SUM": None, "trailers": [["X-Sum", "1"], ["x-other", "2"]]}),
    "most_fields": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 99 + b"\r\n", {"HTTP_X": ",".join("a" * 99)}),
}  # fmt: skip


def check_parsed(parsed, expected):
    parsed["body"] = base64.b64decode(parsed["body"]).decode()
    for key, value in expected.items():
        assert parsed.get(key) == value, key


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(server, name):
    data, expected = ACCEPTED[name]
    first, second = ask(server, data + b"GET /next HTTP/1.0\r\n\r\n", end=True)[:2] if b"HTTP/1.0" not in data else (*ask(server, data), None)  # fmt: skip
    assert first.status == 200
    check_parsed(first.json, expected)
    if second is not None:
        assert second.json["PATH_INFO"] == "/next"


SPLIT = {
    "accepted": [name for name in ACCEPTED if len(ACCEPTED[name][0]) < 250],
    "refused": [name for name in REFUSED if len(REFUSED[name][1]) < 120],
}


@pytest.mark.parametrize("name", SPLIT["accepted"])
def test_accepted_one_byte_at_a_time(server, name):
    data, expected = ACCEPTED[name]
    response = ask(server, *(bytes([byte]) for byte in data), pause=0, end=True)[0]
    assert response.status == 200
    check_parsed(response.json, expected)


@pytest.mark.parametrize("name", SPLIT["refused"])
def test_refused_one_byte_at_a_time(server, name):
    status, data = REFUSED[name]
    assert statuses(server, *(bytes([byte]) for byte in data), pause=0) == [status]


@pytest.mark.parametrize(
    "name", ["chunks_with_extensions", "trailers_never_merged", "repeated_field"]
)
def test_accepted_when_split_at_every_byte(server, name):
    data, expected = ACCEPTED[name]
    for at in range(1, len(data)):
        response = ask(server, data[:at], data[at:], pause=0.001, end=True)[0]
        assert response.status == 200, at
        check_parsed(response.json, expected)


@pytest.mark.parametrize(
    "name",
    ["no_line_end_behind_chunk", "bare_newline_behind_field", "length_twice", "host_in_trailer"],
)
def test_refused_when_split_at_every_byte(server, name):
    status, data = REFUSED[name]
    for at in range(1, len(data)):
        assert statuses(server, data[:at], data[at:], pause=0.001) == [status], at


def test_header_map_decides_about_underscores():
    data = request("GET", "/", "X_Y: 1")
    with serving("echo", header_map="refuse") as server:
        assert statuses(server, data) == [400]
    with serving("echo", header_map="dangerous") as server:
        assert ask(server, data)[0].json["HTTP_X_Y"] == "1"


def test_forwarded_fields_of_a_trusted_peer_reach_the_hook():
    with serving("echo", trusted_peer="trust_all", forwarded="forwarded") as server:
        parsed = ask(server, request("GET", "/", "X-Forwarded-For: 1.2.3.4"))[0].json
        assert parsed["REMOTE_ADDR"] == "1.2.3.4"
        assert statuses(server, request("GET", "/", "X-Forwarded-For: broken")) == [400]


def test_many_new_field_names_are_read_and_remembered_by_nobody(server):
    """More names than the table of names has room for."""
    for start in range(0, 1200, 90):
        fields = [f"X-New-{number}: {number}" for number in range(start, start + 90)]
        parsed = ask(server, request("GET", "/", *fields))[0].json
        assert parsed[f"HTTP_X_NEW_{start + 89}"] == str(start + 89)
