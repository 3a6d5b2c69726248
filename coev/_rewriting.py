"""Other code for functions of the standard library, which stay the same objects."""

__all__ = ["rewrite"]


def rewrite(function, replacement, **constants):
    """Give *function* the code of *replacement*, which then runs among the globals of its module.

    The text ``"$name"`` there is the constant of that name: what runs when the interpreter
    ends cannot rely on globals.
    """
    named = {f"${name}": value for name, value in constants.items()}
    code = replacement.__code__
    function.__code__ = code.replace(
        co_consts=tuple(
            named.get(value, value) if isinstance(value, str) else value for value in code.co_consts
        )
    )
