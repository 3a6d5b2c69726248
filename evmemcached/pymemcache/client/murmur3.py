"""MurmurHash3 for 32 bits."""

from ..._memcached import murmur3_32 as _murmur3


def murmur3_32(data: str, seed: int = 0) -> int:
    """The hash of the low bytes of *data*'s code points."""
    return _murmur3(bytes(ord(character) & 0xFF for character in data), seed)
