"""Serializers under pymemcache's names. Those here run in the native part of a client."""

import logging
import pickle
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

FLAG_BYTES = 0
FLAG_PICKLE = 1 << 0
FLAG_INTEGER = 1 << 1
FLAG_LONG = 1 << 2
FLAG_COMPRESSED = 1 << 3
FLAG_TEXT = 1 << 4

DEFAULT_PICKLE_VERSION = pickle.HIGHEST_PROTOCOL
#: Bytes above which :class:`CompressedSerde` compresses.
MIN_COMPRESS_LENGTH = 400

_log = logging.getLogger(__name__)


class Serde(Protocol):
    """What turns values into bytes and flags, and back."""

    def serialize(self, key: bytes, value: Any) -> tuple[Any, int]: ...
    def deserialize(self, key: Any, value: bytes, flags: int) -> Any: ...


def loads(data: bytes) -> Any:
    """Unpickle; what cannot be unpickled is None, and the log says why."""
    try:
        return pickle.loads(data)
    except Exception:
        _log.info("Pickle error", exc_info=True)
        return None


def _serialize(key: bytes, value: Any, pickle_version: int) -> tuple[bytes, int]:
    kind = type(value)
    if kind is bytes:
        return value, FLAG_BYTES
    if kind is str:
        return value.encode(), FLAG_TEXT
    if kind is int:
        return b"%d" % value, FLAG_INTEGER
    return pickle.dumps(value, pickle_version), FLAG_PICKLE


def get_python_memcache_serializer(
    pickle_version: int = DEFAULT_PICKLE_VERSION,
) -> Callable[[bytes, Any], tuple[bytes, int]]:
    """A function ``(key, value) -> (bytes, flags)`` that writes as python-memcached does."""
    return partial(_serialize, pickle_version=pickle_version)


python_memcache_serializer = get_python_memcache_serializer()


def python_memcache_deserializer(key: Any, value: bytes, flags: int) -> Any:
    """Read what :func:`python_memcache_serializer` wrote."""
    if flags & FLAG_TEXT:
        return value.decode()
    if flags & (FLAG_INTEGER | FLAG_LONG):
        return int(value)
    return loads(value) if flags & FLAG_PICKLE else value


class PickleSerde:
    """Bytes, str and int as they are, all else pickled."""

    def __init__(self, pickle_version: int = DEFAULT_PICKLE_VERSION) -> None:
        self.pickle_version = pickle_version

    def serialize(self, key: bytes, value: Any) -> tuple[bytes, int]:
        return _serialize(key, value, self.pickle_version)

    def deserialize(self, key: Any, value: bytes, flags: int) -> Any:
        return python_memcache_deserializer(key, value, flags)


pickle_serde = PickleSerde()


class CompressedSerde:
    """Compresses what another serializer gives, if that is long and gets shorter.

    :param min_compress_len: bytes above which values are compressed; 0: none.
    """

    def __init__(
        self,
        compress: Callable[[bytes], bytes] = zlib.compress,
        decompress: Callable[[bytes], bytes] = zlib.decompress,
        serde: Serde = pickle_serde,
        min_compress_len: int = MIN_COMPRESS_LENGTH,
    ) -> None:
        self.compress = compress
        self.decompress = decompress
        self.serde = serde
        self.min_compress_len = min_compress_len

    def serialize(self, key: bytes, value: Any) -> tuple[Any, int]:
        data, flags = self.serde.serialize(key, value)
        if len(data) > self.min_compress_len > 0:
            small = self.compress(data)
            if len(small) <= len(data):
                return small, flags | FLAG_COMPRESSED
        return data, flags

    def deserialize(self, key: Any, value: bytes, flags: int) -> Any:
        if flags & FLAG_COMPRESSED:
            value = self.decompress(value)
        return self.serde.deserialize(key, value, flags)


compressed_serde = CompressedSerde()


class LegacyWrappingSerde:
    """Two functions as a serializer; without them bytes stay what they are."""

    def __init__(
        self,
        serializer_func: Callable[[bytes, Any], tuple[Any, int]] | None,
        deserializer_func: Callable[[Any, bytes, int], Any] | None,
    ) -> None:
        self.serialize = serializer_func or _as_it_is
        self.deserialize = deserializer_func or _whatever_flags


def _as_it_is(key: bytes, value: Any) -> tuple[Any, int]:
    return value, 0


def _whatever_flags(key: Any, value: bytes, flags: int) -> Any:
    return value


def native_codec(serde: Serde) -> dict[str, Any]:
    """What tells a cluster to do natively what *serde* does, or to call it."""
    if type(serde) is LegacyWrappingSerde:
        if serde.serialize is _as_it_is and serde.deserialize is _whatever_flags:
            return {"raw": True}
    if type(serde) is PickleSerde:
        return {"dumps": partial(pickle.dumps, protocol=serde.pickle_version), "loads": loads}
    if type(serde) is CompressedSerde and type(serde.serde) is PickleSerde:
        return native_codec(serde.serde) | {
            "compress": serde.compress,
            "decompress": serde.decompress,
            "compressed_from": serde.min_compress_len,
        }
    return {"serialize": serde.serialize, "deserialize": serde.deserialize}
