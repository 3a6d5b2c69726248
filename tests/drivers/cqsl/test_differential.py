"""Random queries: cqsl and the running urllib.parse give the same value or the same error.

COEV_CQSL_INPUTS says how many; a million where urllib.parse is of CPython 3.13 or newer,
fewer elsewhere, and there only where the older one says the same.
"""

import os
import random
import sys
import urllib.parse

import pytest

import cqsl

PIECES = [*"ab=&;+%", "=", "&", "%", "%41", "%e9", "%C3%A9", "%F0%9F%90%8D", "%zz", "%4", "+%2B"]
WIDE = ["é", "я", "🐍", "\x80", "\udc80", "\0", " "]
ENCODINGS = ["utf-8"] * 6 + [None, "latin-1", "ascii", "utf-16-le", "cp037", "nope", 5]
ERRORS = ["replace"] * 5 + [None, "strict", "ignore", "backslashreplace", "surrogateescape", "nope"]
SEPARATORS = ["&"] * 6 + [";", "&&", "ab", "я", b"&", b"\xa6", b";;", "", None]

#: From 3.13 on all is the same; what 3.14 made of false values is a warning.
IS_WHOLE = sys.version_info >= (3, 13)


def outcome(function, *arguments, **keywords):
    try:
        return function(*arguments, **keywords)
    except Exception as error:
        return type(error), str(error)


def random_text(source):
    pieces = PIECES + WIDE if source.random() < 0.4 else PIECES
    return "".join(source.choices(pieces, k=source.randrange(16)))


def random_query(source):
    text = random_text(source)
    if not IS_WHOLE or source.random() < 0.6:
        return text
    raw = text.encode("utf-8", "surrogatepass")
    return source.choice([raw, raw, bytearray(raw), memoryview(raw), None if not raw else raw])


def random_options(source):
    options = {}
    if source.random() < 0.5:
        options["keep_blank_values"] = source.random() < 0.7
    if source.random() < 0.3:
        options["strict_parsing"] = True
    if source.random() < 0.4:
        options["encoding"] = source.choice(ENCODINGS)
        options["errors"] = source.choice(ERRORS)
    if source.random() < 0.2:
        options["max_num_fields"] = source.randrange(-1, 6)
    if source.random() < 0.4:
        options["separator"] = source.choice(SEPARATORS if IS_WHOLE else ["&", ";", "&&", "я"])
    return options


def inputs():
    given = os.environ.get("COEV_CQSL_INPUTS")
    return int(given) if given else 1_000_000 if IS_WHOLE else 100_000


@pytest.mark.slow
def test_random_queries_have_the_outcome_of_the_standard_library():
    source = random.Random(20261201)
    for _ in range(inputs() // 2):
        query, options = random_query(source), random_options(source)
        if not query and not IS_WHOLE:
            continue  # an older one counts the fields of an empty query, or asks for its codec
        name = source.choice(["parse_qs", "parse_qsl"])
        theirs = outcome(getattr(urllib.parse, name), query, **options)
        assert outcome(getattr(cqsl, name), query, **options) == theirs, (name, query, options)


@pytest.mark.slow
def test_random_texts_are_unquoted_as_by_the_standard_library():
    source = random.Random(1994)
    for _ in range(inputs() // 2):
        text = random_text(source)
        name = source.choice(["unquote", "unquote_plus", "unquote_to_bytes"])
        arguments = []
        if name != "unquote_to_bytes" and source.random() < 0.4:
            arguments = [source.choice(ENCODINGS), source.choice(ERRORS)]
        if name != "unquote_plus" and source.random() < 0.3:
            text = text.encode("utf-8", "surrogatepass")
        theirs = outcome(getattr(urllib.parse, name), text, *arguments)
        assert outcome(getattr(cqsl, name), text, *arguments) == theirs, (name, text, arguments)


@pytest.mark.slow
def test_long_texts_cut_at_any_place_are_unquoted_as_by_the_standard_library():
    source = random.Random(65536)
    for _ in range(60):
        text = "".join(source.choices(PIECES + WIDE[-2:], k=source.randrange(30_000, 90_000)))
        text = text if source.random() < 0.7 else text + "é" + text
        errors = source.choice(["replace", "replace", "strict", "ignore"])
        theirs = outcome(urllib.parse.unquote, text, "utf-8", errors)
        assert outcome(cqsl.unquote, text, "utf-8", errors) == theirs
