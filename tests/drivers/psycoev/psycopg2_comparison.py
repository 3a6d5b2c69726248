"""Compares psycoev's values with psycopg2's: the same value, or the same error.

    python psycopg2_comparison.py [count [seed]]

compares *count* generated values of each kind on a server of its own.
"""

import importlib
import random
import sys

import generated_values as generate

#: What damaged text gives may differ, but only so: psycoev raises one of these. No server writes
#: such text, of which psycopg2 makes some value or another error.
STRICTER = ("DataError", "ValueError", "OverflowError", "InvalidOperation", "InterfaceError")


def plain(value):
    """*value* as something that compares equal only to the very same value of the other side."""
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(item) for item in value]
    if isinstance(value, memoryview):
        return "memoryview", value.format, value.readonly, value.tobytes()
    return type(value).__name__, repr(value)


def outcome(function, *arguments):
    try:
        return "value", plain(function(*arguments))
    except Exception as error:
        name = type(error).__name__
        module = type(error).__module__.replace("psycopg2", "psycoev")
        return "error", module, name, str(error).replace("psycopg2", "psycoev")


class Side:
    """One of the drivers, with a connection."""

    def __init__(self, name, dsn):
        self.name = name
        self.extensions = importlib.import_module(f"{name}.extensions")
        self.module = importlib.import_module(f"{name}._psycopg")
        self.connection = self.module._connect(dsn)
        self.cursor = self.connection.cursor()

    def cast(self, typecaster, value):
        # Bytes, as they come from the server: of a str psycopg2 takes UTF-8 always.
        codec = self.module.encodings[self.connection.encoding]
        return getattr(self.module, typecaster)(value.encode(codec, "ignore"), self.cursor)

    def interpolate(self, statement, parameters):
        return self.cursor.mogrify(statement, parameters)

    def quote(self, value):
        adapter = self.extensions.adapt(value)
        if hasattr(adapter, "prepare"):
            adapter.prepare(self.connection)
        written_in_python = type(adapter).__name__ in ("SQL_IN", "NoneAdapter")
        return adapter.getquoted(), None if written_in_python else str(adapter)

    def tokenize(self, value):
        extras = importlib.import_module(f"{self.name}.extras")
        return extras.CompositeCaster.tokenize(value)

    def fetch(self, statement):
        try:
            self.cursor.execute(statement)
            row = self.cursor.fetchone()
        finally:
            self.connection.rollback()
        return row, tuple((*column, repr(column)) for column in self.cursor.description)


def casts(source):
    typecaster = source.choice(sorted(generate.WRITTEN))
    yield "cast", typecaster, generate.WRITTEN[typecaster](source)


def arrays(source):
    typecaster = source.choice(
        [name for name in sorted(generate.WRITTEN) if name not in ("NUMBER", "UNKNOWN")]
    )
    yield "cast", typecaster + "ARRAY", generate.array_text(source, generate.WRITTEN[typecaster])


def interpolations(source):
    yield "interpolate", *generate.statement(source)


def quotes(source):
    yield "quote", generate.parameter(source)


def composites(source):
    yield "tokenize", generate.composite_text(source)


#: Type -> whose values the server shall write.
SELECTED = {
    "int2": lambda r: str(r.randrange(-(2**15), 2**15)),
    "int4": generate.WRITTEN["INTEGER"],
    "int8": generate.WRITTEN["LONGINTEGER"],
    "float4": lambda r: repr(r.uniform(-1e6, 1e6)),
    "float8": generate.WRITTEN["FLOAT"],
    "numeric": lambda r: str(r.randrange(10**20) - 10**10) + "." + str(r.randrange(10**8)),
    "numeric(12,3)": lambda r: str(r.randrange(10**8)),
    "text": lambda r: "".join(r.choices("abc \\{}\",'()", k=r.randrange(9))),
    "varchar(5)": lambda r: "".join(r.choices("abc", k=r.randrange(5))),
    "char(5)": lambda r: "".join(r.choices("abc", k=r.randrange(5))),
    "bool": generate.WRITTEN["BOOLEAN"],
    "bytea": lambda r: "\\x" + r.randbytes(9).hex(),
    "date": lambda r: str(generate.day(r)),
    "time": lambda r: str(generate.clock(r)),
    "timetz": lambda r: str(generate.clock(r, True)),
    "timestamp": lambda r: str(generate.moment(r)),
    "timestamptz": lambda r: str(generate.moment(r, True)),
    "interval": generate.interval_text,
    "oid": generate.WRITTEN["ROWID"],
    "json": lambda r: '{"a": [1, null, "b"]}',
    "jsonb": lambda r: '{"a": [1, null, "b"]}',
    "uuid": lambda r: r.randbytes(16).hex(),
    "inet": lambda r: f"10.0.{r.randrange(256)}.1/24",
    "int4range": lambda r: f"[{r.randrange(5)},{r.randrange(5, 9)})",
}


def selects(source):
    columns = []
    for number in range(source.randrange(1, 6)):
        name = source.choice(sorted(SELECTED))
        values = [SELECTED[name](source) for _ in range(source.randrange(1, 4))]
        if source.random() < 0.4:
            inner = ",".join(source.choice(("NULL", *map(array_item, values))) for _ in range(3))
            literal, name = f"{{{inner}}}", name + "[]"
        else:
            literal = values[0]
        quoted = "NULL" if source.random() < 0.1 else "'" + literal.replace("'", "''") + "'"
        columns.append(f"{quoted}::{name} as c{number}")
    yield "fetch", "select " + ", ".join(columns)


def array_item(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


KINDS = (casts, arrays, interpolations, quotes, composites)


def damaged(kind, source):
    """Cases of *kind* whose text no server would write."""
    for method, *arguments, value in kind(source):
        yield method, *arguments, generate.damaged(source, value)


#: Not arrays: of some psycopg2 never comes back.
DAMAGED_KINDS = (casts, composites)


def is_stricter(found):
    return found[0] == "error" and found[2] in STRICTER


def compare(sides, kind, count, seed, is_damaged=False):
    """A list of (case, psycopg2's outcome, ours) of what differs; and how many agreed exactly."""
    source = random.Random(seed)
    theirs, ours = sides
    differences = []
    equal = 0
    for _ in range(count):
        for method, *arguments in damaged(kind, source) if is_damaged else kind(source):
            expected = outcome(getattr(theirs, method), *arguments)
            found = outcome(getattr(ours, method), *arguments)
            if expected == found:
                equal += 1
            elif not (is_damaged and is_stricter(found)):
                differences.append(((method, *arguments), expected, found))
    return differences, equal


def main():
    from postgres_server import PostgresServer

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**9)
    failed = False
    with PostgresServer() as server:
        sides = [Side(name, server.dsn) for name in ("psycopg2", "psycoev")]
        for is_damaged, kinds in ((False, (*KINDS, selects)), (True, DAMAGED_KINDS)):
            for kind in kinds:
                number = count // 50 if kind is selects else count
                differences, equal = compare(sides, kind, number, seed, is_damaged)
                name = ("damaged " if is_damaged else "") + kind.__name__
                print(f"{name}: {number} of seed {seed}, {equal} equal, {len(differences)} not")
                for difference in differences[:5]:
                    print("   ", *difference, sep="\n      ")
                failed = failed or bool(differences)
    return failed


if __name__ == "__main__":
    sys.exit(main())
