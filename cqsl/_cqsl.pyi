from typing import overload

from _typeshed import ReadableBuffer

@overload
def parse_qs(
    qs: str | None,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    encoding: str | None = "utf-8",
    errors: str | None = "replace",
    max_num_fields: int | None = None,
    separator: str | bytes = "&",
) -> dict[str, list[str]]: ...
@overload
def parse_qs(
    qs: ReadableBuffer,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    encoding: str | None = "utf-8",
    errors: str | None = "replace",
    max_num_fields: int | None = None,
    separator: str | bytes = "&",
) -> dict[bytes, list[bytes]]: ...
@overload
def parse_qsl(
    qs: str | None,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    encoding: str | None = "utf-8",
    errors: str | None = "replace",
    max_num_fields: int | None = None,
    separator: str | bytes = "&",
) -> list[tuple[str, str]]: ...
@overload
def parse_qsl(
    qs: ReadableBuffer,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    encoding: str | None = "utf-8",
    errors: str | None = "replace",
    max_num_fields: int | None = None,
    separator: str | bytes = "&",
) -> list[tuple[bytes, bytes]]: ...
def unquote(
    string: str | bytes, encoding: str | None = "utf-8", errors: str | None = "replace"
) -> str: ...
def unquote_plus(
    string: str, encoding: str | None = "utf-8", errors: str | None = "replace"
) -> str: ...
def unquote_to_bytes(string: str | bytes | bytearray) -> bytes: ...
