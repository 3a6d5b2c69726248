"""psycopg2's miscellany: other cursors, other types of values, fast execution, replication.

``Multirange``, ``register_multirange()``, ``register_multiranges()`` and
``register_enum()`` are not in psycopg2.
"""

import json

from ._composite import CompositeCaster, register_composite
from ._dict_rows import (
    DictConnection,
    DictCursor,
    DictCursorBase,
    DictRow,
    RealDictConnection,
    RealDictCursor,
    RealDictRow,
)
from ._enum import register_enum
from ._fast_execute import _paginate, execute_batch, execute_values
from ._hstore import HstoreAdapter, register_hstore
from ._ipaddress import register_ipaddress
from ._json import Json, register_default_json, register_default_jsonb, register_json
from ._logging import (
    LoggingConnection,
    LoggingCursor,
    MinTimeLoggingConnection,
    MinTimeLoggingCursor,
)
from ._multirange import (
    DateMultirange,
    DateTimeMultirange,
    DateTimeTZMultirange,
    Multirange,
    NumericMultirange,
    register_multirange,
    register_multiranges,
)
from ._named_rows import NamedTupleConnection, NamedTupleCursor
from ._psycopg import (
    REPLICATION_LOGICAL,
    REPLICATION_PHYSICAL,
    ReplicationMessage,
    quote_ident,
)
from ._range import (
    DateRange,
    DateTimeRange,
    DateTimeTZRange,
    NumericRange,
    Range,
    RangeAdapter,
    RangeCaster,
    register_range,
)
from ._replication import (
    LogicalReplicationConnection,
    PhysicalReplicationConnection,
    ReplicationCursor,
    StopReplication,
)
from ._uuid import Inet, UUID_adapter, register_inet, register_uuid
from ._wait_select import wait_select

__all__ = [
    "REPLICATION_LOGICAL",
    "REPLICATION_PHYSICAL",
    "CompositeCaster",
    "DateMultirange",
    "DateRange",
    "DateTimeMultirange",
    "DateTimeRange",
    "DateTimeTZMultirange",
    "DateTimeTZRange",
    "DictConnection",
    "DictCursor",
    "DictCursorBase",
    "DictRow",
    "HstoreAdapter",
    "Inet",
    "Json",
    "LoggingConnection",
    "LoggingCursor",
    "LogicalReplicationConnection",
    "MinTimeLoggingConnection",
    "MinTimeLoggingCursor",
    "Multirange",
    "NamedTupleConnection",
    "NamedTupleCursor",
    "NumericMultirange",
    "NumericRange",
    "PhysicalReplicationConnection",
    "Range",
    "RangeAdapter",
    "RangeCaster",
    "RealDictConnection",
    "RealDictCursor",
    "RealDictRow",
    "ReplicationCursor",
    "ReplicationMessage",
    "StopReplication",
    "UUID_adapter",
    "_paginate",
    "execute_batch",
    "execute_values",
    "json",
    "quote_ident",
    "register_composite",
    "register_default_json",
    "register_default_jsonb",
    "register_enum",
    "register_hstore",
    "register_inet",
    "register_ipaddress",
    "register_json",
    "register_multirange",
    "register_multiranges",
    "register_range",
    "register_uuid",
    "wait_select",
]
