"""What parse_qs, parse_qsl and unquote make of a query string, point by point.

The values are those of urllib.parse in CPython 3.13, whatever version runs the tests.
"""

import array
import pickle
import tracemalloc

import pytest

import cqsl

REPLACEMENT = "�"


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("&&", []),
        ("=", [("", "")]),
        ("a", [("a", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("a=1&a=2&&b=", [("a", "1"), ("a", "2"), ("b", "")]),
        ("a+b=c+d%2Be", [("a b", "c d+e")]),
        ("a=b;c=d", [("a", "b;c=d")]),
        ("a=%E2%82%AC", [("a", "€")]),
        ("a=%", [("a", "%")]),
        ("a=%4&b=%zz&c=%+1", [("a", "%4"), ("b", "%zz"), ("c", "% 1")]),
        ("a=%00", [("a", "\0")]),
        ("a=%c3é%A9", [("a", REPLACEMENT + "é" + REPLACEMENT)]),
        ("ключ=%D1%8F+ю", [("ключ", "я ю")]),
        ("🐍=%F0%9F%90%8D+x", [("🐍", "🐍 x")]),
        ("a=\udc80%41", [("a", "\udc80A")]),
        (b"a=%FF\xff+", [(b"a", b"\xff\xff ")]),
        (bytearray(b"a=1"), [(b"a", b"1")]),
        (memoryview(b"xa=1x")[1:-1], [(b"a", b"1")]),
        (memoryview(b"1_=_a")[::-2], [(b"a", b"1")]),
        (array.array("B", b"a=1"), [(b"a", b"1")]),
    ],
)
def test_query_is_taken_apart(query, pairs):
    assert cqsl.parse_qsl(query, keep_blank_values=True) == pairs
    values = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    assert cqsl.parse_qs(query, keep_blank_values=True) == values
    assert cqsl.parse_qsl(query) == [(name, value) for name, value in pairs if value]


@pytest.mark.parametrize("query", [None, 0, [], "", b"", {}, False])
def test_what_is_false_has_no_fields(query):
    assert cqsl.parse_qsl(query, max_num_fields=-1) == []
    assert cqsl.parse_qs(query, strict_parsing=True) == {}


@pytest.mark.parametrize("query", [1, object(), [b"a=b"], iter(b"a=b"), 1.5])
def test_what_has_no_bytes_is_a_type_error(query):
    with pytest.raises(TypeError, match="a bytes-like object is required"):
        cqsl.parse_qsl(query)


def test_names_keep_the_order_in_which_they_came_first():
    assert list(cqsl.parse_qs("z=1&a=2&z=3&b=4")) == ["z", "a", "b"]


def test_subclass_of_str_gives_plain_str():
    class Text(str):
        pass

    [(name, value)] = cqsl.parse_qsl(Text("a=b"))
    assert type(name) is type(value) is str


@pytest.mark.parametrize(
    ("query", "separator", "pairs"),
    [
        ("a=1;b=2", ";", [("a", "1"), ("b", "2")]),
        ("a=1;b=2", b";", [("a", "1"), ("b", "2")]),
        (b"a=1;b=2", ";", [(b"a", b"1"), (b"b", b"2")]),
        ("a=1XXb=2X", "XX", [("a", "1"), ("b", "2X")]),
        ("я=1XXю=2X", b"XX", [("я", "1"), ("ю", "2X")]),
        (b"a=1XXb=2", b"XX", [(b"a", b"1"), (b"b", b"2")]),
        ("a=1яb=2", "я", [("a", "1"), ("b", "2")]),
        ("a=1&b=2", "я", [("a", "1&b=2")]),
        ("a=1=b=2", "=", []),
    ],
)
def test_separator_may_be_any_str_or_bytes(query, separator, pairs):
    assert cqsl.parse_qsl(query, separator=separator) == pairs


@pytest.mark.parametrize("separator", ["", b"", None, 0, 1, ("&",), bytearray(b"&")])
@pytest.mark.parametrize("query", ["a=b", b"a=b", "", None])
def test_separator_of_another_type_is_refused_even_without_fields(query, separator):
    with pytest.raises(ValueError, match="Separator must be of type string or bytes"):
        cqsl.parse_qsl(query, separator=separator)


def test_separator_that_is_not_ascii_cannot_change_its_type():
    with pytest.raises(UnicodeDecodeError):
        cqsl.parse_qsl("a=b", separator=b"\xa6")
    with pytest.raises(UnicodeEncodeError):
        cqsl.parse_qsl(b"a=b", separator="\xa6")


def test_strict_parsing_names_the_bad_field():
    with pytest.raises(ValueError, match="^bad query field: 'b'$"):
        cqsl.parse_qsl("a=1&b&c=2", strict_parsing=True, keep_blank_values=True)
    with pytest.raises(ValueError, match="^bad query field: ''$"):
        cqsl.parse_qs("a=1&&b=2", strict_parsing=True)
    with pytest.raises(ValueError, match="^bad query field: b'b'$"):
        cqsl.parse_qsl(b"b", strict_parsing=True)
    assert cqsl.parse_qsl("a=", strict_parsing=True) == []


def test_empty_fields_count_as_fields():
    assert cqsl.parse_qsl("&&&a=1", max_num_fields=4) == [("a", "1")]
    for most in (3, 0, -1, 3.5):
        with pytest.raises(ValueError, match="^Max number of fields exceeded$"):
            cqsl.parse_qsl("&&&a=1", max_num_fields=most)
    with pytest.raises(TypeError):
        cqsl.parse_qsl("a=1", max_num_fields="9")


@pytest.mark.parametrize(
    ("encoding", "errors", "value"),
    [
        ("latin-1", "replace", "Łé"),
        ("utf-8", "strict", UnicodeDecodeError),
        ("utf-8", "ignore", "Ł"),
        ("utf-8", "backslashreplace", "Ł\\xe9"),
        ("utf-8", "surrogateescape", "Ł\udce9"),
        ("ascii", "replace", "Ł" + REPLACEMENT),
        (None, None, "Ł" + REPLACEMENT),
        ("UTF8", "replace", "Ł" + REPLACEMENT),
        ("nope", "replace", LookupError),
        (b"utf-8", "replace", TypeError),
        ("ascii", 1, TypeError),
    ],
)
def test_escapes_go_through_the_codec(encoding, errors, value):
    arguments = {"encoding": encoding, "errors": errors}
    if isinstance(value, str):
        assert cqsl.parse_qsl("a=Ł%E9", **arguments) == [("a", value)]
        assert cqsl.unquote("Ł%E9", **arguments) == value
    else:
        with pytest.raises(value):
            cqsl.parse_qsl("a=Ł%E9", **arguments)


def test_codec_is_looked_up_only_if_there_is_a_percent_sign():
    assert cqsl.parse_qsl("a=b+c", encoding="nope") == [("a", "b c")]
    assert cqsl.parse_qsl("a=%41%00", encoding="utf-16-le", errors="strict") == [("a", "A")]
    assert cqsl.parse_qsl("é=aъ%41%00", encoding="utf-16-le") == [("é", REPLACEMENT + "ъA")]


def test_unquote_leaves_what_has_no_escape():
    text = "a+b é"
    assert cqsl.unquote(text) is text
    assert cqsl.unquote_plus(text) == "a b é"
    assert cqsl.unquote(b"a%41+") == "aA+"
    assert cqsl.unquote_to_bytes("é%FF+") == b"\xc3\xa9\xff+"
    assert cqsl.unquote_to_bytes(bytearray(b"%41")) == b"A"
    assert type(cqsl.unquote_to_bytes(bytearray(b"A"))) is bytes


@pytest.mark.parametrize("value", [None, 1, ["%"], ["a"], memoryview(b"a"), {}])
def test_unquote_of_other_types_fails_as_in_the_standard_library(value):
    with pytest.raises((TypeError, AttributeError)):
        cqsl.unquote(value)
    with pytest.raises((TypeError, AttributeError)):
        cqsl.unquote_plus(value)
    with pytest.raises(AttributeError, match="split"):
        cqsl.unquote_to_bytes(value)


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((), {}, r"parse_qsl\(\) missing 1 required positional argument: 'qs'"),
        (("a",), {"qs": "b"}, r"parse_qsl\(\) got multiple values for argument 'qs'"),
        (("a",), {"x": 1}, r"parse_qsl\(\) got an unexpected keyword argument 'x'"),
        ((1,) * 8, {}, r"parse_qsl\(\) takes from 1 to 7 positional arguments but 8 were given"),
    ],
)
def test_wrong_arguments_are_named(arguments, keywords, message):
    with pytest.raises(TypeError, match=message):
        cqsl.parse_qsl(*arguments, **keywords)


def test_arguments_go_by_position_or_by_name():
    expected = [("a", "é"), ("b", "")]
    assert cqsl.parse_qsl("a=%E9;b=", True, False, "latin-1", "strict", 2, ";") == expected
    assert cqsl.parse_qsl(
        qs="a=%E9;b=", separator=";", encoding="latin-1", keep_blank_values=1
    ) == (expected)


def test_exception_of_an_option_comes_through():
    class Moody:
        def __bool__(self):
            raise RuntimeError("not today")

    assert cqsl.parse_qsl("a=1", keep_blank_values=Moody(), strict_parsing=Moody()) == [("a", "1")]
    with pytest.raises(RuntimeError, match="not today"):
        cqsl.parse_qsl("a=", keep_blank_values=Moody())
    with pytest.raises(RuntimeError, match="not today"):
        cqsl.parse_qsl("a", strict_parsing=Moody())


def test_functions_can_be_pickled_and_described():
    for name in ("parse_qs", "parse_qsl", "unquote", "unquote_plus", "unquote_to_bytes"):
        function = getattr(cqsl, name)
        assert pickle.loads(pickle.dumps(function)) is function
        assert "Switches: never" in function.__doc__ or "parse_qsl()" in function.__doc__


@pytest.mark.parametrize("unit", ["x", "+", "%41", "%e2%82%ac", "é", "é+", "€%41"])
def test_long_value_needs_at_most_twice_its_own_memory(unit):
    query = "a=" + unit * (3 * 2**20 // len(unit))
    result_bytes = cqsl.parse_qsl(query)[0][1].__sizeof__()
    tracemalloc.start()
    cqsl.parse_qsl(query)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * result_bytes + 2**17


def test_separator_that_nearly_matches_everywhere_takes_linear_time():
    query = "a" * 2_000_000
    for separator in ("a" * 1000 + "b", "b" + "a" * 1000, "я" + "a" * 1000):
        assert cqsl.parse_qsl(query, True, separator=separator) == [(query, "")]
        wide = cqsl.parse_qsl("ю" + query, True, separator=separator)
        assert wide == [("ю" + query, "")]
    assert cqsl.parse_qsl(query.encode(), separator="a" * 1000 + "b") == []


@pytest.mark.slow
def test_hundred_mebibytes_are_taken_apart():
    value = "x" * 2**20
    query = "&".join(f"n{i}={value}" for i in range(100))
    result = cqsl.parse_qs(query)
    assert len(result) == 100
    assert result["n99"] == [value]
