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

    def __init__(self, name, dsn, **settings):
        self.name = name
        self.extensions = importlib.import_module(f"{name}.extensions")
        self.module = importlib.import_module(f"{name}._psycopg")
        self.connection = importlib.import_module(name).connect(dsn, **settings)
        self.cursor = self.connection.cursor()

    def cast(self, typecaster, value):
        return getattr(self.module, typecaster)(value, self.cursor)

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
        self.cursor.execute(statement)
        row = self.cursor.fetchone()
        return row, tuple(tuple(column) for column in self.cursor.description)


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


KINDS = (casts, arrays, interpolations, quotes, composites)


def damaged(kind, source):
    """Cases of *kind* whose text no server would write."""
    for method, *arguments, value in kind(source):
        yield method, *arguments, generate.damaged(source, value)


DAMAGED_KINDS = (casts, arrays, composites)


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
        for is_damaged, kinds in ((False, KINDS), (True, DAMAGED_KINDS)):
            for kind in kinds:
                differences, equal = compare(sides, kind, count, seed, is_damaged)
                name = ("damaged " if is_damaged else "") + kind.__name__
                print(f"{name}: {count} of seed {seed}, {equal} equal, {len(differences)} not")
                for difference in differences[:5]:
                    print("   ", *difference, sep="\n      ")
                failed = failed or bool(differences)
    return failed


if __name__ == "__main__":
    sys.exit(main())
