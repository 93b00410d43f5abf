"""Whose hands a plugin has gone through: code is loaded only where no other user can have changed it.

What counts is everything on the way from the root of the file system to the file, links included: whoever may write to
one of these folders may put another file in its place. Owners that are trusted are root and the user who runs this.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

MOST_LINKS = 40  # as many as Linux follows


def why_refused(path: Path) -> str | None:
    """What lets other users change the file or folder at `path`, as a sentence; None where nothing does. Raises
    `OSError` where it cannot be read."""
    if not hasattr(os, "getuid"):  # Windows has no owner and mode to go by
        return None
    steps = list(_way_to(path))
    for step in steps:
        if (reason := _why(step, is_last=step == steps[-1])) is not None:
            return reason
    return None


def why_tree_refused(folder: Path) -> str | None:
    """As `why_refused`, for a folder and everything in it."""
    if (reason := why_refused(folder)) is not None:
        return reason
    for place, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            if (reason := why_refused(Path(place, name))) is not None:
                return reason
    return None


def _way_to(path: Path) -> Iterator[Path]:
    """Every folder, link and file that has a say in what is read at `path`, from the root down."""
    todo = list(reversed(path.absolute().parts))
    here = Path(todo.pop())
    links = 0
    yield here
    while todo:
        name = todo.pop()
        if name == "..":
            here = here.parent
            continue
        step = here / name
        yield step
        if not step.is_symlink():
            here = step
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(f"{path} is a loop of symbolic links")
        target = Path(os.readlink(step))
        if target.is_absolute():
            here = Path(target.anchor)
        todo += reversed([part for part in target.parts if part != target.anchor])


def _why(path: Path, is_last: bool) -> str | None:
    found = path.lstat()
    if found.st_uid not in (0, os.geteuid()):
        owner = _user_name(found.st_uid)
        return f"{path} belongs to another user, {owner}: make it your own (chown), or use a copy in a folder of yours"
    if stat.S_ISLNK(found.st_mode):  # a link has no mode of its own; the folder that it stands in was looked at
        return None
    # In a sticky folder such as /tmp others cannot replace what is ours. They can add to it, though.
    if found.st_mode & stat.S_ISVTX and stat.S_ISDIR(found.st_mode) and not is_last:
        return None
    if found.st_mode & stat.S_IWOTH:
        return f"every user may write to {path}: take that right away (chmod o-w {path})"
    if found.st_mode & stat.S_IWGRP and not _is_own_group(found.st_gid):
        return f"its group may write to {path}: take that right away (chmod g-w {path})"
    return None


def _is_own_group(gid: int) -> bool:
    """Whether nobody but us is in the group: many systems give each user one, and let it write by default."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"
