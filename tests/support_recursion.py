"""Functions that recurse without end through C, each by another way."""

import ast
import codecs
import copy
import functools
import io
import json
import pickle
import re
import struct
import types
from collections import OrderedDict, deque

DEPTH = 30_000
kept = []  # so that nothing deep is freed while something is tested


def nested(wrap, leaf=None, depth=DEPTH):
    for _ in range(depth):
        leaf = wrap(leaf)
    kept.append(leaf)
    return leaf


class Node:
    def __init__(self, child):
        self.child = child

    def __repr__(self):
        return f"Node({self.child!r})"


class Dynamic:
    def __getattr__(self, name):
        return getattr(self, "x" + name[:3])

    def __eq__(self, other):
        return [self] == [Dynamic()]

    def __hash__(self):
        return hash((self,))

    def __lt__(self, other):
        return bool(sorted([Dynamic(), Dynamic()]))

    def __getitem__(self, index):
        return list(self)

    def __bool__(self):
        return any([self])

    def __iter__(self):
        return iter(list(self))

    def __format__(self, spec):
        return f"{self:>1}"

    def __deepcopy__(self, memo):
        return copy.deepcopy(Dynamic(), memo)

    def __getstate__(self):
        return pickle.dumps(Dynamic())


class Meta(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, (cls,))


class Checked(metaclass=Meta):
    pass


class Property:
    @property
    def value(self):
        return getattr(self, "value")  # noqa: B009

    @functools.cached_property
    def cached(self):
        return Property().cached


def recurse_python(n=0):
    return recurse_python(n + 1)


def recurse_sorted(_=None):
    return sorted([1], key=recurse_sorted)


def recurse_sort(_=None):
    numbers = [1]
    numbers.sort(key=recurse_sort)


def recurse_max(_=None):
    return max([1], key=recurse_max)


def recurse_map(_=None):
    return list(map(recurse_map, (1,)))


def recurse_reduce(*_):
    return functools.reduce(recurse_reduce, (1, 2))


def recurse_compare(*_):
    sorted([1, 2], key=functools.cmp_to_key(recurse_compare))
    return 0


def recurse_re_sub(_=None):
    return re.sub("a", recurse_re_sub, "a")


@functools.lru_cache(None)
def recurse_lru_cache(n=0):
    return recurse_lru_cache(n + 1)


def recurse_exec():
    exec("recurse_exec()")


def recurse_generator():
    yield from recurse_generator()


def recurse_json_default(_=None):
    return json.dumps(object(), default=recurse_json_default, check_circular=False)


def recurse_json_hook(_=None):
    return json.loads('{"a": 1}', object_hook=recurse_json_hook)


def recurse_codec_handler(_=None):
    codecs.register_error("recurse", recurse_codec_handler)
    return "\u1234".encode("ascii", "recurse")


class Packed:
    def __index__(self):
        return recurse_struct_index()


def recurse_struct_index():
    return struct.pack("i", Packed())


def recurse_any():
    return any(recurse_any() for _ in (1,))


def recurse_partial():
    return functools.partial(recurse_partial)()


class Unpickled:
    def __setstate__(self, state):
        pickle.loads(state)


def unpickle():
    data = pickle.dumps(Unpickled.__new__(Unpickled))
    Unpickled.__setstate__ = lambda self, state: pickle.loads(data)
    Unpickled.__reduce__ = lambda self: (Unpickled, (), b"")
    data = pickle.dumps(Unpickled.__new__(Unpickled))
    return pickle.loads(data)


class Raw(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        return io.BufferedReader(Raw()).read(1)


def deep(name):
    """Return a function whose call recurses; what is deep is made here, by Python alone."""
    make = {
        "repr_list": lambda: functools.partial(repr, nested(lambda x: [x])),
        "repr_dict": lambda: functools.partial(repr, nested(lambda x: {1: x})),
        "repr_tuple": lambda: functools.partial(repr, nested(lambda x: (x,))),
        "repr_deque": lambda: functools.partial(repr, nested(lambda x: deque([x]))),
        "repr_ordered": lambda: functools.partial(repr, nested(lambda x: OrderedDict(a=x))),
        "repr_namespace": lambda: functools.partial(
            repr, nested(lambda x: types.SimpleNamespace(a=x))
        ),
        "repr_partial": lambda: functools.partial(
            repr, nested(lambda x: functools.partial(print, x))
        ),
        "repr_class": lambda: functools.partial(repr, nested(Node)),
        "json_dumps": lambda: functools.partial(json.dumps, nested(lambda x: [x])),
        "json_dumps_dict": lambda: functools.partial(json.dumps, nested(lambda x: {"a": x})),
        "json_loads": lambda: functools.partial(json.loads, "[" * DEPTH),
        "pickle": lambda: functools.partial(pickle.dumps, nested(lambda x: [x])),
        "pickle_object": lambda: functools.partial(pickle.dumps, nested(Node)),
        "pickle_getstate": lambda: functools.partial(pickle.dumps, Dynamic()),
        "unpickle": lambda: unpickle,
        "deepcopy": lambda: functools.partial(copy.deepcopy, nested(lambda x: [x])),
        "deepcopy_method": lambda: functools.partial(copy.deepcopy, Dynamic()),
        "equal_lists": lambda: functools.partial(
            nested(lambda x: [x]).__eq__, nested(lambda x: [x])
        ),
        "getattr": lambda: functools.partial(getattr, Dynamic(), "foo"),
        "equal": lambda: functools.partial(Dynamic().__eq__, 1),
        "hash": lambda: functools.partial(hash, Dynamic()),
        "less": lambda: functools.partial(Dynamic().__lt__, 1),
        "getitem": lambda: functools.partial(Dynamic().__getitem__, 1),
        "bool": lambda: functools.partial(bool, Dynamic()),
        "iter": lambda: functools.partial(list, Dynamic()),
        "format": lambda: functools.partial(format, Dynamic()),
        "isinstance": lambda: functools.partial(isinstance, 1, Checked),
        "isinstance_tuple": lambda: functools.partial(isinstance, 1, nested(lambda x: (x,), int)),
        "property": lambda: lambda: Property().value,
        "cached_property": lambda: lambda: Property().cached,
        "generator": lambda: lambda: list(recurse_generator()),
        "ast": lambda: (
            lambda: compile(ast.Expression(ast.fix_missing_locations(nested_ast())), "deep", "eval")
        ),
        "attribute_chain": lambda: functools.partial(compile, "a" + ".b" * 20_000, "deep", "eval"),
        "sum_chain": lambda: functools.partial(compile, "1" + "+a" * 20_000, "deep", "eval"),
        "dunder_call": dunder_call,
        "buffered_reader": lambda: lambda: io.BufferedReader(Raw()).read(1),
    }
    if name in make:
        return make[name]()
    return globals()["recurse_" + name]


def dunder_call():
    class Callable:
        pass

    Callable.__call__ = Callable()
    return Callable()


def nested_ast():
    return nested(
        lambda x: ast.UnaryOp(op=ast.Not(), operand=x), ast.Constant(value=1), depth=5_000
    )


NAMES = [
    "python", "sorted", "sort", "max", "map", "reduce", "compare", "re_sub", "lru_cache", "exec",
    "json_default", "json_hook", "codec_handler", "struct_index", "any", "partial",
    "repr_list", "repr_dict", "repr_tuple",
    "repr_deque", "repr_ordered", "repr_namespace", "repr_partial", "repr_class", "json_dumps",
    "json_dumps_dict", "json_loads", "pickle", "pickle_object", "pickle_getstate", "unpickle",
    "deepcopy", "deepcopy_method", "equal_lists", "getattr", "equal", "hash", "less", "getitem",
    "bool", "iter", "format", "isinstance", "isinstance_tuple", "property", "cached_property",
    "generator", "ast", "attribute_chain", "sum_chain", "dunder_call", "buffered_reader",
]  # fmt: skip


def outcome(function):
    """Return the name of what *function* raises; RecursionError for each kind of depth."""
    try:
        function()
    except (RecursionError, MemoryError):
        return "RecursionError"
    except BaseException as error:
        if "recursion" in str(error):
            return "RecursionError"
        return type(error).__name__
    return "nothing"


def main():
    """Print the outcome of every recursion that the arguments name, run in a thread."""
    import gc
    import sys
    import threading

    gc.disable()  # nobody wants to look at all that is deep
    kind, *names = sys.argv[1:]
    if kind == "native":
        threading.stack_size(64 * 2**20)
    else:
        import coev.monkey  # noqa: F401
    seen = []
    for name in names:
        function = deep(name)
        print(name, end=" ", flush=True)
        seen.clear()
        for job in [function, lambda: 1]:  # the second one gets the same slot
            thread = threading.Thread(target=lambda run=job: seen.append(outcome(run)))
            thread.start()
            thread.join()
        print(*seen, flush=True)
    import os

    os._exit(0)  # freeing what is deep is not what is tested


if __name__ == "__main__":
    main()
