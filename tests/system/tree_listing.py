#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Print what a folder holds, a line a name, so that two unpackers can be compared with diff.

    tree_listing.py FOLDER      type, mode, owner, size, time, content, links, device, attributes

Names are printed as Python writes bytes: any name is one line of ASCII.
"""
import hashlib
import os
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
         stat.S_IFCHR: "char", stat.S_IFBLK: "block", stat.S_IFSOCK: "socket"}


def content(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def attributes(path):
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return " ".join("%s=%s" % (name, os.getxattr(path, name, follow_symlinks=False).hex())
                    for name in names)


def names_below(root):
    """Every name, as bytes relative to root, the root itself first. Mounts are not entered."""
    yield b"."
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        for entry in os.scandir(os.path.join(root, folder)):
            name = os.path.join(folder, entry.name)
            yield name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)


def main():
    root = os.fsencode(sys.argv[1])
    names = sorted(names_below(root))
    first = {}  # inode -> the first of its names
    for name in names:
        path = os.path.join(root, name)
        s = os.lstat(path)
        kind = KINDS[stat.S_IFMT(s.st_mode)]
        what = [kind, "%04o" % stat.S_IMODE(s.st_mode), "%d:%d" % (s.st_uid, s.st_gid)]
        if kind == "link":
            what[1] = "-"  # the mode of a symbolic link means nothing
            what.append(repr(os.readlink(path)))
        if kind == "file":
            what += [str(s.st_size), content(path)]
        if kind in ("char", "block"):
            what.append("%d,%d" % (os.major(s.st_rdev), os.minor(s.st_rdev)))
        if kind != "dir":
            what.append("same as %r x%d" % (first.setdefault(s.st_ino, name), s.st_nlink))
        # The root of an image without an entry for it has no time of its own.
        if name != b".":
            what.append("%d.%09d" % divmod(s.st_mtime_ns, 1000000000))
        print(repr(name)[1:], *what, attributes(path))


main()
