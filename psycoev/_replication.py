"""Connections and cursors of the replication protocol (PostgreSQL, "Streaming Replication")."""

from typing import Any

from . import extensions as ext
from ._psycopg import REPLICATION_LOGICAL, REPLICATION_PHYSICAL, ProgrammingError
from ._psycopg import ReplicationConnection as _ReplicationConnection
from ._psycopg import ReplicationCursor as _ReplicationCursor


class StopReplication(Exception):
    """Raised by the consumer of ``consume_stream()``, to end it."""


class ReplicationCursor(_ReplicationCursor):
    """A cursor for the commands of replication, and for its stream."""

    def create_replication_slot(
        self, slot_name: str, slot_type: int | None = None, output_plugin: str | None = None
    ) -> None:
        """Create a slot: the server keeps what its consumer has not had.

        Switches: always.

        :param slot_type: REPLICATION_LOGICAL or REPLICATION_PHYSICAL; None is what the
            connection is for.
        :param output_plugin: what decodes changes for a logical slot.
        :raises ProgrammingError: a plugin is missing, or is there for a physical slot.
        """
        if slot_type is None:
            slot_type = self.connection.replication_type
        if slot_type not in (REPLICATION_LOGICAL, REPLICATION_PHYSICAL):
            raise ProgrammingError(f"unrecognized replication type: {slot_type!r}")
        command = f"CREATE_REPLICATION_SLOT {self._quoted(slot_name)} "
        if slot_type == REPLICATION_LOGICAL:
            if output_plugin is None:
                raise ProgrammingError(
                    "output plugin name is required to create logical replication slot"
                )
            command += f"LOGICAL {self._quoted(output_plugin)}"
        elif output_plugin is not None:
            raise ProgrammingError(
                "output plugin name is not allowed for physical replication slots"
            )
        else:
            command += "PHYSICAL"
        self.execute(command)

    def drop_replication_slot(self, slot_name: str) -> None:
        """Drop a slot.

        Switches: always.
        """
        self.execute(f"DROP_REPLICATION_SLOT {self._quoted(slot_name)}")

    def start_replication(
        self,
        slot_name: str | None = None,
        slot_type: int | None = None,
        start_lsn: int | str = 0,
        timeline: int = 0,
        options: dict[str, Any] | None = None,
        decode: bool = False,
        status_interval: float = 10,
    ) -> None:
        """Begin to stream.

        Switches: always.

        :param slot_name: required for logical replication.
        :param slot_type: as in ``create_replication_slot()``.
        :param start_lsn: where to begin, a number or ``XXX/XXX``; 0 is where the slot is.
        :param timeline: of physical replication; 0 is the server's current one.
        :param options: for the output plugin of a logical slot.
        :param decode: messages are strings in the connection's encoding, not bytes.
        :param status_interval: seconds between two reports to the server.
        :raises ProgrammingError: what is given does not suit the type of replication.
        """
        if slot_type is None:
            slot_type = self.connection.replication_type
        if slot_type == REPLICATION_LOGICAL:
            if not slot_name:
                raise ProgrammingError("slot name is required for logical replication")
            if timeline != 0:
                raise ProgrammingError("cannot specify timeline for logical replication")
            command = f"START_REPLICATION SLOT {self._quoted(slot_name)} LOGICAL "
        elif slot_type == REPLICATION_PHYSICAL:
            if options:
                raise ProgrammingError(
                    "cannot specify output plugin options for physical replication"
                )
            slot = f"SLOT {self._quoted(slot_name)} " if slot_name else ""
            command = f"START_REPLICATION {slot}PHYSICAL "
        else:
            raise ProgrammingError(f"unrecognized replication type: {slot_type!r}")
        command += _lsn(start_lsn)
        if timeline:
            if timeline < 0:
                raise ProgrammingError(f"timeline must be positive, not {timeline}")
            command += f" TIMELINE {timeline}"
        if options:
            command += f" ({', '.join(map(self._option, options.items()))})"
        self.start_replication_expert(command, decode=decode, status_interval=status_interval)

    def _quoted(self, name: str) -> str:
        return ext.quote_ident(name, self)

    def _option(self, option: tuple[str, Any]) -> str:
        name, value = option
        if value is None:
            return self._quoted(name)
        text = str(value).replace("'", "''")
        return f"{self._quoted(name)} '{text}'"

    def fileno(self) -> int:
        """Return the connection's file descriptor, so that the cursor can be waited for."""
        return self.connection.fileno()  # type: ignore[no-any-return]


def _lsn(position: int | str) -> str:
    """Return a position in the log as the protocol writes it: two hexadecimal numbers."""
    if isinstance(position, str):
        high, slash, low = position.partition("/")
        try:
            position = (int(high, 16) << 32) + int(low, 16)
        except ValueError:
            raise ProgrammingError(f"not a position in the log: {position!r}") from None
    if not 0 <= position < 1 << 64:
        raise ProgrammingError(f"not a position in the log: {position}")
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:08X}"


class LogicalReplicationConnection(_ReplicationConnection):
    """A connection for logical replication; its cursors are ``ReplicationCursor``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["replication_type"] = REPLICATION_LOGICAL
        super().__init__(*args, **kwargs)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("cursor_factory", self.cursor_factory or ReplicationCursor)
        return super().cursor(*args, **kwargs)


class PhysicalReplicationConnection(_ReplicationConnection):
    """A connection for physical replication; its cursors are ``ReplicationCursor``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["replication_type"] = REPLICATION_PHYSICAL
        super().__init__(*args, **kwargs)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("cursor_factory", self.cursor_factory or ReplicationCursor)
        return super().cursor(*args, **kwargs)
