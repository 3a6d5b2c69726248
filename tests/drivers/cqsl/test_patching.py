"""patch() reaches every module that imported a function of urllib.parse; unpatch() undoes it."""

import subprocess
import sys
import textwrap

import pytest


def run(script):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_copies_in_other_modules_are_replaced_and_come_back():
    done = run("""
        import sys, types, urllib.parse
        from urllib.parse import parse_qsl, unquote
        import cqsl

        early = types.ModuleType("early")
        exec("from urllib.parse import parse_qsl as parse_qsl_text, unquote_plus", vars(early))
        sys.modules["early"] = early
        originals = parse_qsl, unquote, early.unquote_plus
        cqsl.patch()
        assert parse_qsl is not originals[0] and unquote is not originals[1]
        assert early.parse_qsl_text is urllib.parse.parse_qsl is parse_qsl
        assert type(parse_qsl).__name__ == "builtin_function_or_method"
        assert parse_qsl(b"a=%FF") == [(b"a", b"\\xff")]
        late = types.ModuleType("late")
        exec("from urllib.parse import unquote; from cqsl import parse_qs", vars(late))
        sys.modules["late"] = late
        cqsl.patch()
        cqsl.unpatch()
        assert (parse_qsl, unquote, early.unquote_plus) == originals
        assert late.unquote is urllib.parse.unquote is originals[1]
        assert late.parse_qs is cqsl.parse_qs is not urllib.parse.parse_qs
        cqsl.unpatch()
        assert cqsl.parse_qs("a=1") == {"a": ["1"]}
    """)
    assert done.returncode == 0, done.stderr


def test_tests_of_the_standard_library_pass_with_ours_in_place():
    """CPython's test_urlparse and test_urllib: each method about query strings and unquoting."""
    done = run("""
        import sys, unittest
        try:
            from test import test_urllib, test_urlparse
        except ImportError:
            sys.exit(77)
        import cqsl
        cqsl.patch()
        # What only 3.14 says of false values is a warning, which 3.13 does not give.
        theirs = {"test_parse_qsl_false_value"} if sys.version_info >= (3, 14) else set()
        suite = unittest.TestSuite(
            case
            for module in (test_urlparse, test_urllib)
            for group in unittest.defaultTestLoader.loadTestsFromModule(module)
            for case in group
            if any(word in case.id() for word in ("_qs", "unquot"))
            and case.id().rpartition(".")[2] not in theirs
        )
        result = unittest.TextTestRunner().run(suite)
        assert result.testsRun >= 15, result.testsRun
        sys.exit(not result.wasSuccessful())
    """)
    if done.returncode == 77:
        pytest.skip("this interpreter comes without its own tests")
    assert done.returncode == 0, done.stderr
