"""psycoev's values next to psycopg2's: some thousands; `make psycopg2-comparison` for a million."""

import pytest

psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2-binary has no wheel for this Python")

import psycopg2_comparison as comparison  # noqa: E402


@pytest.fixture(scope="module", params=["UTF8", "LATIN9", "EUC_JIS_2004"])
def sides(request, postgres):
    sides = [comparison.Side(name, postgres.dsn) for name in ("psycopg2", "psycoev")]
    for side in sides:
        side.connection.set_client_encoding(request.param)
    yield sides
    for side in sides:
        side.connection.close()


@pytest.fixture(scope="module")
def escaping_sides(postgres):
    """Connections whose server takes a backslash in '...' for itself."""
    options = r"-c\ standard_conforming_strings=off\ -c\ escape_string_warning=off"
    dsn = f"{postgres.dsn} options={options}"
    sides = [comparison.Side(name, dsn) for name in ("psycopg2", "psycoev")]
    yield sides
    for side in sides:
        side.connection.close()


@pytest.mark.parametrize("kind", comparison.KINDS, ids=lambda kind: kind.__name__)
def test_same_value_or_same_error(sides, kind):
    differences, equal = comparison.compare(sides, kind, 1000, seed=kind.__name__)
    assert not differences
    assert equal == 1000


@pytest.mark.parametrize("kind", comparison.DAMAGED_KINDS, ids=lambda kind: kind.__name__)
def test_damaged_text_gives_same_value_or_an_error(sides, kind):
    differences, equal = comparison.compare(sides, kind, 1000, kind.__name__, is_damaged=True)
    assert not differences
    assert equal > 400


@pytest.mark.parametrize("kind", [comparison.quotes, comparison.interpolations])
def test_backslashes_are_escaped_where_the_server_wants_it(escaping_sides, kind):
    differences, equal = comparison.compare(escaping_sides, kind, 1000, seed=kind.__name__)
    assert not differences
    assert equal == 1000


def test_server_gives_both_the_same_rows(sides):
    differences, equal = comparison.compare(sides, comparison.selects, 300, seed=1)
    assert not differences
    assert equal == 300
