"""The meta protocol (mg, ms, md, ma, mn), and what it is good for: values that one
process computes while the others wait or use the old one.

Source: the section "Meta Commands" of memcached's doc/protocol.txt. Needs memcached 1.6.
"""

import math
import random
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import coev

from . import _memcached
from ._exceptions import (
    MemcacheError,
    MemcacheIllegalInputError,
    MemcacheNoServerError,
    MemcacheServerError,
    MemcacheUnknownError,
)

_T = TypeVar("_T")

_VERBS = frozenset({"mg", "ms", "md", "ma", "mn"})
_PLAIN_KEY = re.compile(rb"[\x21-\x7e\x80-\xff]+")
_FLAG = re.compile(r"[!-~]+")
#: Flags with a meaning of their own here: O ties a reply to its command, q would leave
#: replies out, b follows from the key.
_OURS = frozenset("Oqb")

#: Flags that make a command one that must not be sent twice; of ma that is always so.
_ONCE = {
    "mg": frozenset("NR"),
    "ms": frozenset("CIM"),
    "md": frozenset("CIM"),
    "mn": frozenset[str](),
}

_FIRST_PAUSE = 0.005  # seconds between two looks at a value that another is computing
_LONGEST_PAUSE = 0.1

#: How long functions took, in seconds, by their code.
_costs: WeakKeyDictionary[CodeType, float] = WeakKeyDictionary()


class MetaCommand(NamedTuple):
    """A command of the meta protocol.

    :param verb: ``"mg"``, ``"ms"``, ``"md"``, ``"ma"`` or ``"mn"`` (whose key only chooses
        the server).
    :param key: bytes that no plain command could send go in base64.
    :param flags: each as the protocol writes it: ``("v", "t", "N30")``.
    :param value: of ``ms``.
    """

    verb: str
    key: str | bytes
    flags: tuple[str, ...] = ()
    value: bytes | None = None


class MetaReply(NamedTuple):
    """The reply to a command of the meta protocol.

    :param status: ``"HD"``, ``"VA"``, ``"EN"``, ``"NS"``, ``"EX"``, ``"NF"`` or ``"MN"``.
    :param flags: by letter, with what stands behind it: ``{"t": "30", "W": ""}``.
    :param value: of ``VA``.
    """

    status: str
    flags: dict[str, str]
    value: bytes | None

    @property
    def found(self) -> bool:
        """Whether the command did what it says: a hit, stored, deleted, counted."""
        return self.status in ("HD", "VA", "MN")


@lru_cache(1024)
def _checked(verb: str, flags: tuple[str, ...], has_value: bool) -> tuple[bytes, bytes, bool]:
    """A verb and flags as they are sent, and whether sending them twice does what once does."""
    if verb not in _VERBS:
        raise MemcacheIllegalInputError(f"no command of the meta protocol: {verb!r}")
    if has_value != (verb == "ms"):
        raise MemcacheIllegalInputError("ms takes a value, and no other command")
    for flag in flags:
        if not _FLAG.fullmatch(flag) or flag[0] in _OURS:
            raise MemcacheIllegalInputError(f"no flag that can be sent: {flag!r}")
    once = _ONCE.get(verb)
    repeatable = once is not None and not once.intersection(flag[0] for flag in flags)
    return verb.encode(), " ".join(flags).encode(), repeatable


def _encoded(
    verb: str, key: str | bytes, flags: tuple[str, ...] = (), value: bytes | None = None
) -> tuple[tuple[bytes, bytes, bytes, bytes | None], bool]:
    """A command as the native part takes it, and whether it may be repeated."""
    name, text, repeatable = _checked(verb, tuple(flags), value is not None)
    data = key.encode() if isinstance(key, str) else key
    if not _PLAIN_KEY.fullmatch(data) and data and verb != "mn":
        data = b64encode(data)
        text = b"b " + text if text else b"b"
    return (name, data, text, value), repeatable


def _decoded(reply: tuple[str, bytes, bytes | None]) -> MetaReply:
    status, flags, value = reply
    words = flags.decode("utf-8", "replace").split()
    return MetaReply(status, {word[0]: word[1:] for word in words}, value)


class MetaCommands:
    """The meta protocol as methods of a client. Unlike the others they raise what failed."""

    __slots__ = ()

    _cluster: _memcached.Cluster

    def meta(self, commands: Iterable[MetaCommand]) -> list[MetaReply]:
        """Send all *commands* at once, to all servers, and give their replies in order.

        Switches: always.

        :raises MemcacheError: a server failed; of what others did nothing is told.
        """
        listed = [_encoded(*command) for command in commands]
        replies, failures = self._cluster.meta(
            [command for command, _ in listed], all(repeatable for _, repeatable in listed)
        )
        if failures:
            raise failures[0]
        return [_decoded(reply) for reply in replies if reply is not None]

    def _meta(
        self, verb: str, key: str | bytes, flags: tuple[str, ...], value: bytes | None = None
    ) -> MetaReply:
        [reply] = self.meta([MetaCommand(verb, key, flags, value)])
        return reply

    def mg(self, key: str | bytes, *flags: str) -> MetaReply:
        """Meta get. Switches: always."""
        return self._meta("mg", key, flags)

    def ms(self, key: str | bytes, value: bytes, *flags: str) -> MetaReply:
        """Meta set. Switches: always."""
        return self._meta("ms", key, flags, value)

    def md(self, key: str | bytes, *flags: str) -> MetaReply:
        """Meta delete. Switches: always."""
        return self._meta("md", key, flags)

    def ma(self, key: str | bytes, *flags: str) -> MetaReply:
        """Meta arithmetic. Switches: always."""
        return self._meta("ma", key, flags)

    def mn(self, key: str | bytes = b"mn") -> MetaReply:
        """Meta no-op, to the server of *key*. Switches: always."""
        return self._meta("mn", key, ())

    def invalidate(self, key: str | bytes, ttl: int = 30) -> bool:
        """Mark the value of *key* as stale for *ttl* seconds, after which it is gone.

        The next :meth:`get_or_compute` computes it anew; others get the stale value
        meanwhile. Gives whether there was one. Switches: always.
        """
        return self._meta("md", key, ("I", f"T{ttl}")).found

    def get_or_compute(
        self,
        key: str | bytes,
        function: Callable[[], _T],
        ttl: int = 0,
        beta: float = 1.0,
        *,
        grace: int = 30,
    ) -> _T:
        """The value of *key*, or what ``function()`` gives, which is then kept there.

        However many ask at once, in whatever processes, one of them computes. The others
        wait for it, or get the old value where there is one: while it is stale
        (:meth:`invalidate`), or shortly before it expires, when it is computed early. If no
        server answers, ``function()`` is called.

        Switches: always.

        :param ttl: seconds until the value expires; 0: never.
        :param beta: how eagerly a value is computed before it expires: the time left at
            which that happens is random, and *beta* times as long as ``function()`` takes
            on average; 0: never. (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic
            Cache Stampede Prevention", VLDB 2015.)
        :param grace: seconds that others wait for who computes a first value; then they
            compute, too.
        """
        # The server counts in whole seconds: one more, or the place might go too early.
        flags: tuple[str, ...] = ("v", "f", "c", f"N{grace + 1}")
        if (early := _early(function, beta)) > 0:
            flags += (f"R{early}",)
        deadline = time.monotonic() + grace
        pause = _FIRST_PAUSE
        while True:
            try:
                reply = self.mg(key, *flags)
            except _UNREACHABLE:
                return function()
            if "W" in reply.flags or not reply.found:
                return self._compute(key, function, ttl, reply)
            if reply.value or "Z" not in reply.flags:
                return self._cluster.decode(key, reply.value or b"", int(reply.flags["f"]))  # type: ignore[no-any-return]
            if time.monotonic() >= deadline:
                return self._compute(key, function, ttl, reply)
            coev.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _compute(
        self, key: str | bytes, function: Callable[[], _T], ttl: int, reply: MetaReply
    ) -> _T:
        # Whoever changed or deleted the key since then knows better.
        unchanged = f"C{reply.flags['c']}" if "c" in reply.flags else "ME"
        start = time.monotonic()
        try:
            value = function()
        except BaseException:
            self._give_up(key, reply, unchanged)
            raise
        _note_cost(function, time.monotonic() - start)
        try:
            data, client_flags = self._cluster.encode(b"-", value)
            self.ms(key, data, f"F{client_flags}", f"T{ttl}", unchanged)
        except _UNREACHABLE:
            pass
        except MemcacheIllegalInputError:  # too long to be kept
            self._give_up(key, reply, unchanged)
        return value

    def _give_up(self, key: str | bytes, reply: MetaReply, unchanged: str) -> None:
        """Let somebody else compute: an empty place goes away, an old value becomes stale."""
        flags = (unchanged, "I") if reply.value else (unchanged,)
        try:
            if unchanged.startswith("C"):
                self.md(key, *flags)
        except MemcacheError:
            pass


_UNREACHABLE = (MemcacheServerError, MemcacheNoServerError, MemcacheUnknownError)


def _code_of(function: Callable[[], object]) -> CodeType | None:
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    return getattr(function, "__code__", None)


def _early(function: Callable[[], object], beta: float) -> int:
    """Seconds before the end at which a value is computed anew, this time."""
    code = _code_of(function)
    cost = _costs.get(code, 0.0) if code is not None else 0.0
    return math.ceil(-cost * beta * math.log(1.0 - random.random())) if cost and beta else 0


def _note_cost(function: Callable[[], object], seconds: float) -> None:
    code: Any = _code_of(function)
    if code is not None:
        _costs[code] = seconds if code not in _costs else 0.8 * _costs[code] + 0.2 * seconds
