"""What psycoev.extras has besides psycopg2's, and what psycopg2's own tests leave out."""

import datetime
import enum
import io
import logging
from decimal import Decimal

import pytest

import psycoev
from psycoev import extras, sql


def one(cur, query, *arguments):
    cur.execute(query, arguments)
    return cur.fetchone()[0]


class Mood(enum.Enum):
    sad = 1
    happy = 2


class Fruit(enum.StrEnum):
    APPLE = "a 'fresh' apple"
    PEAR = "pear"


def test_enum_goes_there_and_back_by_its_names(cur):
    cur.execute("create type mood as enum ('sad', 'happy')")
    extras.register_enum("mood", Mood, cur)
    assert one(cur, "select %s", Mood.happy) is Mood.happy
    assert one(cur, "select %s", [Mood.sad, Mood.happy]) == [Mood.sad, Mood.happy]
    assert one(cur, "select null::mood") is None
    assert one(cur, "select pg_typeof(%s)::text", Mood.sad) == "mood"


def test_enum_of_strings_goes_by_its_values(cur):
    cur.execute("create type fruit as enum ('pear', 'a ''fresh'' apple')")
    extras.register_enum("fruit", Fruit, cur)
    assert one(cur, "select %s", Fruit.APPLE) is Fruit.APPLE


def test_enum_without_a_member_for_a_label_is_refused(cur):
    cur.execute("create type mood as enum ('sad', 'angry')")
    with pytest.raises(psycoev.ProgrammingError, match="angry"):
        extras.register_enum("mood", Mood, cur)


def test_multiranges_are_strings_until_they_are_registered(cur):
    assert one(cur, "select '{[1,3),[5,9)}'::int4multirange") == "{[1,3),[5,9)}"
    extras.register_multiranges(cur)
    assert one(cur, "select '{[1,3),[5,9)}'::int4multirange") == extras.NumericMultirange(
        [extras.NumericRange(1, 3), extras.NumericRange(5, 9)]
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("int4multirange", extras.NumericMultirange()),
        ("int8multirange", extras.NumericMultirange([extras.NumericRange(None, 1 << 40, "()")])),
        ("nummultirange", extras.NumericMultirange([extras.NumericRange(Decimal("1.5"), None)])),
        (
            "datemultirange",
            extras.DateMultirange(
                [extras.DateRange(datetime.date(2020, 1, 1), datetime.date(2021, 1, 1))]
            ),
        ),
        (
            "tsmultirange",
            extras.DateTimeMultirange(
                [
                    extras.DateTimeRange(None, datetime.datetime(1999, 12, 31, 23, 59), "()"),
                    extras.DateTimeRange(datetime.datetime(2020, 1, 1), None),
                ]
            ),
        ),
    ],
)
def test_multirange_goes_there_and_back(cur, name, value):
    extras.register_multiranges(cur)
    back = one(cur, f"select %s::{name}", value)
    assert back == value and type(back) is type(value)
    assert one(cur, f"select array[%s::{name}]", value) == [value]


def test_multirange_of_a_type_of_ones_own_survives_every_character(cur):
    cur.execute("create type textrange as range (subtype = text, collation = 'C')")
    caster = extras.register_multirange("textmultirange", "TextMultirange", "TextRange", cur)
    low, high = 'a",]})(\\ "', "b'{"
    value = caster.multirange([caster._range_caster.range(low, high, "[]")])
    assert one(cur, "select %s", value) == value


def test_multirange_contains_the_values_of_its_ranges():
    value = extras.Multirange([extras.Range(1, 3), extras.Range(7, 9)])
    assert 2 in value and 5 not in value and extras.Range(7, 9) in value
    assert value[1:] == extras.Multirange([extras.Range(7, 9)])
    with pytest.raises(TypeError):
        extras.Multirange([1])


def test_unknown_types_are_errors_that_leave_the_transaction_alone(cur):
    cur.execute("create temp table kept (n int)")
    for register in (
        lambda: extras.register_composite("no_such_type", cur),
        lambda: extras.register_range("no_such_type", "X", cur),
        lambda: extras.register_multirange("no_such_type", "X", "Y", cur),
        lambda: extras.register_enum("no_such_type", Mood, cur),
        lambda: extras.register_json(cur, name="no_such_type"),
    ):
        with pytest.raises(psycoev.ProgrammingError, match="not found"):
            register()
    cur.execute("select * from kept")  # the transaction is not in error


def test_types_may_be_named_by_identifiers(cur):
    cur.execute('create schema "my schema"; create type "my schema"."a.b" as (x int, y text)')
    caster = extras.register_composite(sql.Identifier("my schema", "a.b"), cur)
    assert one(cur, 'select (1, \'z\')::"my schema"."a.b"') == caster.type(1, "z")


def test_rows_of_one_result_share_what_they_know_of_its_columns(conn):
    cur = conn.cursor(cursor_factory=extras.DictCursor)
    cur.execute("select 1 as a, 2 as b union all select 3, 4")
    first, second = cur.fetchall()
    assert first._index is second._index
    assert (first["a"], first[1], first.get("c"), second["b"]) == (1, 2, None, 4)
    assert dict(first.items()) == first.copy() == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("factory", "value"),
    [
        (extras.DictCursor, lambda row: row["n"]),
        (extras.RealDictCursor, lambda row: row["n"]),
        (extras.NamedTupleCursor, lambda row: row.n),
    ],
)
@pytest.mark.parametrize("name", [None, "named"])
def test_every_way_of_fetching_gives_rows_of_the_cursors_kind(conn, factory, value, name):
    cur = conn.cursor(name, cursor_factory=factory)
    cur.execute("select n from generate_series(1, 6) n")
    got = [cur.fetchone(), *cur.fetchmany(2)]
    # What next() of a named cursor has read ahead, fetchall() does not see, as in psycopg2.
    got += cur if name else [next(cur), *cur.fetchall()]
    assert [value(row) for row in got] == [1, 2, 3, 4, 5, 6]
    assert cur.fetchone() is None and cur.fetchall() == []
    cur.close()


def test_row_factory_of_the_program_goes_first(conn):
    cur = conn.cursor(cursor_factory=extras.RealDictCursor)
    cur.row_factory = lambda cursor: [None] * len(cursor.description)
    cur.execute("select 1 as a, 2 as b")
    assert cur.fetchone() == [1, 2]


def test_statements_are_logged_to_a_file_and_to_a_logger(connect, caplog):
    conn = connect(connection_factory=extras.LoggingConnection)
    with pytest.raises(psycoev.ProgrammingError, match="initialize"):
        conn.cursor()
    file = io.StringIO()
    conn.initialize(file)
    conn.cursor().execute("select %s", ("é",))
    assert file.getvalue().strip() == "select 'é'"
    conn.initialize(logging.getLogger("psycoev.test"))
    with caplog.at_level(logging.DEBUG, "psycoev.test"):
        conn.cursor().execute("select 2")
    assert "select 2" in caplog.text


def test_only_slow_statements_are_logged_with_their_times(connect):
    conn = connect(connection_factory=extras.MinTimeLoggingConnection)
    file = io.StringIO()
    conn.initialize(file, mintime=50)
    cur = conn.cursor()
    cur.execute("select 1")
    cur.execute("select pg_sleep(0.1)")
    assert "select 1" not in file.getvalue()
    assert "pg_sleep" in file.getvalue() and "execution time" in file.getvalue()


def test_names_are_those_of_psycopg2():
    psycopg2 = pytest.importorskip("psycopg2", reason="compares with psycopg2 where that is")
    if psycopg2.__file__ == psycoev.__file__:
        pytest.skip("psycopg2 is psycoev here")
    import importlib

    for name in ("extensions", "extras", "sql", "tz", "pool", "errors", "errorcodes"):
        ours = importlib.import_module(f"psycoev.{name}")
        theirs = importlib.import_module(f"psycopg2.{name}")
        public = {n for n in vars(theirs) if not n.startswith("_")}
        modules = {n for n in public if type(getattr(theirs, n)).__name__ == "module"}
        helpers = {"ext", "lru_cache", "namedtuple", "OrderedDict"}
        assert public - modules - helpers <= set(vars(ours)), name
    for cls in ("connection", "cursor", "lobject", "ConnectionInfo", "Diagnostics", "Xid"):
        ours = getattr(psycoev.extensions, cls)
        theirs = getattr(importlib.import_module("psycopg2.extensions"), cls)
        assert {n for n in dir(theirs) if not n.startswith("_")} <= set(dir(ours)), cls
