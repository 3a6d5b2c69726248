"""A client that tries again."""

from collections.abc import Callable
from typing import Any

import coev

_Classes = tuple[type[Exception], ...] | list[type[Exception]] | set[type[Exception]]


def _classes(name: str, classes: _Classes | None) -> tuple[type[Exception], ...]:
    if classes is None:
        return ()
    if not isinstance(classes, (tuple, set, list)):
        raise ValueError(f"{name} must be either a tuple, a set or a list.")
    if not all(issubclass(item, Exception) for item in classes):
        raise ValueError(
            f"{name} is only allowed to contain elements that are subclasses of Exception."
        )
    return tuple(classes)


class RetryingClient:
    """Calls the methods of *client*, again if they raise.

    :param attempts: how often at most.
    :param retry_delay: seconds between two attempts.
    :param retry_for: the exceptions to try again for; None: all.
    :param do_not_retry_for: exceptions that are raised at once.
    """

    def __init__(
        self,
        client: Any,
        attempts: int = 2,
        retry_delay: float = 0,
        retry_for: _Classes | None = None,
        do_not_retry_for: _Classes | None = None,
    ) -> None:
        if attempts < 1:
            raise ValueError(
                "`attempts` argument must be at least 1. Otherwise no attempts are made."
            )
        self._client = client
        self._attempts = attempts
        self._retry_delay = retry_delay
        self._retry_for = _classes("retry_for", retry_for)
        self._do_not_retry_for = _classes("do_not_retry_for", do_not_retry_for)
        for item in self._retry_for:
            if item in self._do_not_retry_for:
                raise ValueError(
                    f'Exception class "{item!r}" was present in both `retry_for` and '
                    "`do_not_retry_for`. Any exception class is only allowed in a single argument."
                )

    def _is_final(self, error: Exception) -> bool:
        if self._retry_for and not isinstance(error, self._retry_for):
            return True
        return isinstance(error, self._do_not_retry_for)

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        for attempt in range(1, self._attempts + 1):
            try:
                return method(*args, **kwargs)
            except Exception as error:
                if attempt == self._attempts or self._is_final(error):
                    raise
            coev.sleep(self._retry_delay)
        raise AssertionError("the last attempt returns or raises")

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not callable(attribute):
            return attribute
        return lambda *args, **kwargs: self._call(attribute, *args, **kwargs)

    def __dir__(self) -> list[str]:
        return dir(self._client)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value, noreply=True)

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key)
        if value is None:
            raise KeyError
        return value

    def __delitem__(self, key: Any) -> None:
        self.delete(key, noreply=True)
