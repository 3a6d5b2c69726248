"""Where the C header is, for whoever builds against coev."""

import os


def get_include() -> str:
    """Return the folder that holds ``coev/coev.h``, for a compiler's ``-I``."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")
