"""Blocks that are one transaction, or a savepoint within one."""

from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

from ._psycopg import ProgrammingError, cursor, quote_ident, sqlstate_errors

# libpq's PGTransactionStatusType.
_IDLE = 0
_INERROR = 3


class Rollback(Exception):
    """Ends a block of ``transaction()``: its work is undone, and the program goes on after it.

    :param block: which block ends, where they are nested; None is the innermost.
    """

    def __init__(self, block: "Transaction | None" = None) -> None:
        super().__init__(block)
        self.block = block


#: The open blocks of each connection, the innermost last.
_blocks: "WeakKeyDictionary[Any, list[Transaction]]" = WeakKeyDictionary()


class Transaction:
    """What ``connection.transaction()`` returns: a context manager, to be entered once.

    The outermost block commits when it ends, and rolls back when an exception leaves it,
    under autocommit too. A block within another, or within a transaction that the program
    began otherwise, is a savepoint: an exception that leaves it undoes its work alone.
    """

    def __init__(self, conn: Any, savepoint_name: str | None, force_rollback: bool) -> None:
        #: The connection.
        self.connection = conn
        #: The savepoint's name; None while the block has none.
        self.savepoint_name = savepoint_name
        self._force_rollback = force_rollback
        self._is_outermost = False

    def __enter__(self) -> Self:
        open_blocks = _blocks.setdefault(self.connection, [])
        if self in open_blocks:
            raise ProgrammingError("a transaction() block is entered once")
        self._is_outermost = not open_blocks and self._begins()
        if not self._is_outermost:
            if self.savepoint_name is None:
                self.savepoint_name = f"psycoev_{len(open_blocks) + 1}"
            self._run("SAVEPOINT {0}")
        open_blocks.append(self)
        return self

    def _begins(self) -> bool:
        """Make the connection begin a transaction with the next statement, if there is none."""
        if self.connection.info.transaction_status != _IDLE:
            return False
        try:
            self.connection.__enter__()
        except ProgrammingError:
            return False  # inside of `with connection`, before its first statement
        return True

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        open_blocks = _blocks.setdefault(self.connection, [])
        was_innermost = bool(open_blocks) and open_blocks[-1] is self
        if self in open_blocks:
            open_blocks.remove(self)
        if self.connection.closed:
            if exc_type is None:
                self.connection.commit()  # says that the connection is closed
            self._leave()
            return False
        if not was_innermost:
            self._finish(ProgrammingError)
            raise ProgrammingError("transaction() blocks must end in the reverse order")
        if exc_type is None and self.connection.info.transaction_status == _INERROR:
            self._finish(ProgrammingError)
            raise sqlstate_errors["25P02"](
                "an error was ignored within the transaction() block: its work is lost"
            )
        self._finish(Rollback if exc_type is None and self._force_rollback else exc_type)
        return isinstance(exc, Rollback) and exc.block in (None, self)

    def _finish(self, exc_type: type[BaseException] | None) -> None:
        if self._is_outermost:
            self.connection.__exit__(exc_type, None, None)
        elif exc_type is None:
            self._run("RELEASE SAVEPOINT {0}")
        else:
            self._run("ROLLBACK TO SAVEPOINT {0}; RELEASE SAVEPOINT {0}")

    def _leave(self) -> None:
        """Give back `with connection`, of a connection that is closed."""
        if self._is_outermost:
            try:
                self.connection.__exit__(ProgrammingError, None, None)
            except Exception:
                pass  # it says that the connection is closed, which an exception tells already

    def _run(self, statement: str) -> None:
        name = quote_ident(self.savepoint_name, self.connection)  # type: ignore[arg-type]
        with self.connection.cursor(cursor_factory=cursor) as curs:
            curs.execute(statement.format(name))


def transaction(
    conn: Any, savepoint_name: str | None = None, force_rollback: bool = False
) -> Transaction:
    """Return a block of work that is done as a whole or not at all.

    ::

        with connection.transaction():
            cursor.execute("insert into orders ...")
            with connection.transaction():  # a savepoint
                cursor.execute("insert into parts ...")

    Switches: when the block ends; where it is a savepoint, also when it begins.

    :param savepoint_name: the name of the savepoint, instead of one that is made up.
    :param force_rollback: undo the work even if no exception leaves the block.
    :raises InFailedSqlTransaction: (when the block ends) an error in it was ignored.
    :raises ProgrammingError: (when the block ends) one that began later has not ended.
    """
    return Transaction(conn, savepoint_name, force_rollback)
