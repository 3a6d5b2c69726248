"""Values for the comparison with psycopg2: what a server may send, and what programs may pass.

Every generator takes a random.Random: a seed gives the same values again.
"""

import datetime
import decimal
import enum
import string
import struct
import uuid

TEXT = "abcXYZ019 _-.,;:{}()[]\\\"'%\t\n\r\x01\x7f\xe9\xdf\u20ac\u0416\u6f22\U0001f600"


def text(random, longest=12):
    return "".join(random.choices(TEXT, k=random.randrange(longest + 1)))


def integer(random):
    digits = random.choice((1, 2, 4, 9, 10, 17, 18, 19, 20, 30))
    return random.choice((1, 1, 1, -1)) * random.randrange(10**digits)


def any_float(random):
    kind = random.randrange(6)
    if kind == 0:
        return random.choice((0.0, -0.0, 1.0, -1.0, 1e16, 1e-5, 1e300, 5e-324, 1.5))
    if kind == 1:
        return random.choice((float("nan"), float("inf"), float("-inf")))
    if kind == 2:
        return struct.unpack("d", random.randbytes(8))[0]
    return round(random.uniform(-1e6, 1e6), random.randrange(8))


def any_decimal(random):
    if random.randrange(12) == 0:
        return decimal.Decimal(random.choice(("NaN", "sNaN", "Infinity", "-Infinity", "NaN12")))
    sign = random.randrange(2)
    digits = tuple(random.randrange(10) for _ in range(random.randrange(1, 25)))
    return decimal.Decimal((sign, digits, random.randrange(-20, 8)))


def zone(random):
    offset = random.choice((0, 3600, -12600, 19800, 1172, -1172, 50400, -43200))
    return datetime.timezone(datetime.timedelta(seconds=offset))


def clock(random, zoned=False):
    micro = random.choice((0, 0, 1, 500000, 123456, 999999, 120000))
    return datetime.time(
        random.randrange(24),
        random.randrange(60),
        random.randrange(60),
        micro,
        zone(random) if zoned else None,
    )


def day(random):
    if random.randrange(10) == 0:
        return random.choice((datetime.date.min, datetime.date.max, datetime.date(2000, 2, 29)))
    return datetime.date.fromordinal(random.randrange(1, 3652059))


def moment(random, zoned=False):
    return datetime.datetime.combine(day(random), clock(random, zoned))


def interval(random):
    return datetime.timedelta(
        random.choice((0, 0, 1, -1, random.randrange(-9999, 9999), 999999999, -999999999)),
        random.randrange(86400),
        random.choice((0, 1, 999999, random.randrange(10**6))),
    )


class Text(str):
    pass


class Number(int):
    def __str__(self):
        return "a number"


class Fraction(float):
    def __repr__(self):
        return "0.5"


class Rows(list):
    pass


class Day(datetime.date):
    def isoformat(self):
        return "2000-01-01"


class Colour(enum.IntEnum):
    RED = 3


class Word(enum.StrEnum):
    HELLO = "he'llo"


class Unknown:
    pass


def odd(random):
    return random.choice(
        (
            Text("it's"),
            Number(-7),
            Fraction(2),
            Day(1999, 1, 1),
            Colour.RED,
            Word.HELLO,
            Unknown(),
            1j,
            {1},
            uuid.UUID(int=1),
            "nul\0inside",
            "\ud800",
            bytearray(b"\x00\xff'\\"),
            memoryview(b"abc"),
            Rows([1, None]),
            Rows(),
        )
    )


def parameter(random, depth=0):
    """What a program may pass for a placeholder."""
    makers = (
        lambda: None,
        lambda: text(random),
        lambda: text(random),
        lambda: integer(random),
        lambda: any_float(random),
        lambda: random.random() < 0.5,
        lambda: any_decimal(random),
        lambda: random.randbytes(random.randrange(20)),
        lambda: day(random),
        lambda: moment(random, random.random() < 0.5),
        lambda: clock(random, random.random() < 0.5),
        lambda: interval(random),
        lambda: odd(random),
        lambda: [parameter(random, depth + 1) for _ in range(random.randrange(4))],
        lambda: tuple(parameter(random, depth + 1) for _ in range(random.randrange(4))),
        lambda: random.choice(([None], [[None]], [[]], [[], [None]], [None, [None, None]])),
    )
    return random.choice(makers[: -3 if depth > 3 else None])()


def statement(random):
    """A statement with placeholders, and parameters that fit it: mostly."""
    if random.random() < 0.5:
        # In ASCII: psycopg2 takes other names for UTF-8 always.
        longer = [text(random, 5).encode("ascii", "ignore").decode() for _ in range(3)]
        names = [name.translate(str.maketrans("", "", "%()")) for name in longer]
        pieces = [f"%({random.choice(names)})s" for _ in range(random.randrange(5))]
        parameters = {name: parameter(random) for name in names}
        if random.random() < 0.05:
            parameters.popitem()
    else:
        pieces = ["%s"] * random.randrange(5)
        count = max(0, len(pieces) + random.choice((0,) * 20 + (1, -1)))
        parameters = random.choice((tuple, list))(parameter(random) for _ in range(count))
    between = ("select ", " ", "%%", ", ", "'", "\xe9", "a%%b", "")
    parts = []
    for piece in pieces:
        parts += [random.choice(between), piece]
    if random.random() < 0.03:
        parts.append(random.choice(("%", "%d", "%(", "%(a", "%(a)", "%5s", "%s", "%(a)s", "% s")))
        return "".join(parts), parameters
    return "".join(parts + [random.choice(between)]), parameters


# --- what the server writes ------------------------------------------------------------------


def bytea_text(random):
    data = random.randbytes(random.randrange(12))
    if random.random() < 0.5:
        return "\\x" + data.hex()
    return "".join("\\\\" if c == 92 else chr(c) if 32 <= c < 127 else f"\\{c:03o}" for c in data)


def year_text(random):
    return f"{random.choice((1, 44, 999, 1999, 2000, 2024, 9999, 10000, 294276)):04}"


def date_text(random):
    if random.randrange(20) == 0:
        return random.choice(("infinity", "-infinity"))
    era = " BC" if random.randrange(15) == 0 else ""
    return f"{year_text(random)}-{random.randrange(1, 13):02}-{random.randrange(1, 32):02}{era}"


def clock_text(random, zoned):
    second = f"{random.randrange(60):02}"
    if random.random() < 0.4:
        second += "." + str(random.randrange(1, 10**6)).zfill(6).rstrip("0")
    hour = 24 if random.randrange(40) == 0 else random.randrange(24)
    written = f"{hour:02}:{random.randrange(60):02}:{second}"
    if zoned:
        written += random.choice(("+00", "+01", "-03:30", "+00:19:32", "-12", "+14", "+05:30"))
    return written


def timestamp_text(random, zoned):
    if random.randrange(20) == 0:
        return random.choice(("infinity", "-infinity"))
    date = date_text(random)
    if "infinity" in date:
        return date
    date, _, era = date.partition(" ")
    return f"{date} {clock_text(random, zoned)}{' ' + era if era else ''}"


def interval_text(random):
    """In the style postgres: '1 year 2 mons -3 days +04:05:06.7'."""

    def count(unit):
        number = random.choice((1, -1, 2, 11, -11, 178, 10000))
        return f"{number} {unit}{'' if number in (1, -1) else 's'}"

    parts = [count(unit) for unit in ("year", "mon", "day") if random.random() < 0.4]
    if not parts or random.random() < 0.6:
        sign = random.choice(("", "", "-", "+" if parts else ""))
        hours = random.choice((0, 1, 23, 24, 100, 9999, 2562047))
        second = f"{random.randrange(60):02}"
        if random.random() < 0.4:
            second += "." + str(random.randrange(1, 10**6)).zfill(6).rstrip("0")
        parts.append(f"{sign}{hours:02}:{random.randrange(60):02}:{second}")
    return " ".join(parts)


def float_text(random):
    value = any_float(random)
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value).removesuffix(".0")


def numeric_text(random):
    value = any_decimal(random)
    return f"{value:f}" if value.is_finite() else random.choice(("NaN", "Infinity", "-Infinity"))


#: Typecaster -> how the server writes its values.
WRITTEN = {
    "INTEGER": lambda r: str(r.randrange(-(2**31), 2**31)),
    "LONGINTEGER": lambda r: str(r.choice((r.randrange(-(2**63), 2**63), r.randrange(99)))),
    "ROWID": lambda r: str(r.randrange(2**32)),
    "FLOAT": float_text,
    "NUMBER": float_text,
    "DECIMAL": numeric_text,
    "BOOLEAN": lambda r: r.choice("tf"),
    "STRING": text,
    "UNICODE": text,
    "BYTES": text,
    "UNKNOWN": text,
    "BINARY": bytea_text,
    "DATE": date_text,
    "PYDATE": date_text,
    "TIME": lambda r: clock_text(r, r.random() < 0.5),
    "PYTIME": lambda r: clock_text(r, r.random() < 0.5),
    "DATETIME": lambda r: timestamp_text(r, False),
    "PYDATETIME": lambda r: timestamp_text(r, False),
    "DATETIMETZ": lambda r: timestamp_text(r, True),
    "PYDATETIMETZ": lambda r: timestamp_text(r, True),
    "INTERVAL": interval_text,
    "PYINTERVAL": interval_text,
}


def array_text(random, element, depth=0):
    """An array as the server writes it: '{1,NULL,"a b"}', '{{1},{2}}', '[0:1]={1,2}'."""

    def quoted(value):
        if value in ("infinity", "-infinity"):
            value = "2000-01-01"  # psycopg2 reads infinities only where nothing follows
        needs = value == "" or value.lower() == "null" or any(c in value for c in '{},"\\ \t\n\r')
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"' if needs or random.random() < 0.1 else value

    if depth < 3 and random.random() < 0.3:
        items = [array_text(random, element, depth + 1) for _ in range(random.randrange(1, 4))]
    else:
        items = [
            "NULL" if random.random() < 0.15 else quoted(element(random))
            for _ in range(random.randrange(5))
        ]
    bounds = ""
    if depth == 0 and random.random() < 0.1 and not any(item.startswith("{") for item in items):
        bounds = f"[{random.randrange(-3, 9)}:{random.randrange(9)}]="
    return f"{bounds}{{{','.join(items)}}}"


def composite_text(random):
    """A row as the server writes it: '(1,,"a ""b")'."""

    def quoted(value):
        needs = value == "" or any(c in value for c in '(),"\\ \t\n\r')
        return '"' + value.replace("\\", "\\\\").replace('"', '""') + '"' if needs else value

    fields = ["" if random.random() < 0.2 else quoted(text(random)) for _ in range(3)]
    return f"({','.join(fields)})"


def damaged(random, value):
    """*value* with a character changed, put in, or taken away."""
    at = random.randrange(len(value) + 1)
    other = random.choice(string.digits + string.ascii_letters + ' {},"\\-+:./')
    return random.choice(
        (value[:at] + other + value[at + 1 :], value[:at] + other + value[at:], value[: at - 1])
    )
