"""Giving up root: groups first, then the group, then the user, and no way back."""

import grp
import os
import pwd

from coewsgi.options import OptionError


def find_user(name: str) -> tuple[int, int]:
    """User and primary group of a name or number.

    :raises OptionError: there is no such user.
    """
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        if name.isdigit():
            return int(name), os.getgid()
        raise OptionError(f"there is no user {name!r}") from None
    return entry.pw_uid, entry.pw_gid


def find_group(name: str) -> int:
    """:raises OptionError: there is no such group."""
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OptionError(f"there is no group {name!r}") from None


def drop(user: str | None, group: str | None) -> None:
    """Become *user* and *group*; without a group the user's own.

    :raises OptionError: no such user or group, or this process may not become it.
    """
    if user is None and group is None:
        return
    uid, gid = find_user(user) if user is not None else (os.getuid(), os.getgid())
    if group is not None:
        gid = find_group(group)
    if (os.getuid(), os.geteuid(), os.getgid(), os.getegid()) == (uid, uid, gid, gid):
        return
    try:
        # While still root, because afterwards nobody may change groups any more.
        if os.geteuid() == 0:
            if user is not None and not user.isdigit():
                os.initgroups(user, gid)
            else:
                os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except PermissionError as error:
        raise OptionError(f"may not become user {user!r}, group {group!r}: {error}") from None
