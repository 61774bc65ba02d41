#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write layers of an image with everything that tar can say and that people's images hold.

    odd_layers.py FOLDER        writes FOLDER/names.tar, gnu.tar, links.tar, changes.tar, whites.tar,
                                which are stacked in this order, twice.tar, and debian.tar, for the
                                top of some of Debian's packages

Each brings all the folders it writes into.
"""
import io
import struct
import sys
import tarfile
import unicodedata

TIME = 1_000_000_000
LONG = "n" * 255
# security.capability, revision 2: cap_net_raw permitted and effective
CAP = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


class Layer:
    known = {}  # the entry of each name: hard links say the same as what they are links to

    def __init__(self, path, form=tarfile.PAX_FORMAT):
        self.tar = tarfile.open(path, "w", format=form, encoding="utf-8", errors="surrogateescape")
        self.pax = form == tarfile.PAX_FORMAT
        self.now = TIME

    def add(self, name, kind=tarfile.REGTYPE, data=b"", mode=0o644, owner=(0, 0), link="",
            device=(0, 0), xattrs=None, mtime=None):
        if isinstance(name, bytes):
            name = name.decode("utf-8", "surrogateescape")
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.linkname = kind, mode, link
        entry.uid, entry.gid = owner
        entry.devmajor, entry.devminor = device
        entry.size = len(data)
        self.now += 1
        entry.mtime = self.now if mtime is None else mtime
        for key, value in (xattrs or {}).items():
            entry.pax_headers["SCHILY.xattr." + key] = value.decode("utf-8", "surrogateescape")
        if kind == tarfile.LNKTYPE:
            same = Layer.known[link.lstrip("/")]
            entry.mode, entry.uid, entry.gid, entry.mtime = same.mode, same.uid, same.gid, same.mtime
            entry.pax_headers = same.pax_headers
            Layer.known[name] = same
        else:
            Layer.known[name] = entry
        self.tar.addfile(entry, io.BytesIO(data))

    def folder(self, name, mode=0o755, **more):
        self.add(name, tarfile.DIRTYPE, mode=mode, **more)

    def white(self, folder, name):
        self.add(folder + "/.wh." + name)

    def close(self):
        self.tar.close()


def long_paths(layer, top):
    """Folders so deep that a path has 90, 110, 300, 1000 and 3000 bytes."""
    layer.folder(top)
    path = top
    for size in (90, 110, 300, 1000, 3000):
        while len(path) + 101 < size:
            path += "/" + "d" * 100
            layer.folder(path)
        name = path + "/" + "f" * max(1, min(255, size - len(path) - 1))
        layer.add(name, data=b"%d" % size)
        layer.add(name[:-1] + "h", tarfile.LNKTYPE, link=name)
        layer.add(name[:-1] + "s", tarfile.SYMTYPE, link="/" + name)


def names(path):
    layer = Layer(path)
    layer.folder("odd", owner=(7, 8))
    for name in (b"new\nline", b"tab\there", b"-rf", b"--", b"back\\slash", b"q'uo\"te", b" space ",
                 b"*", b"$(x)", b"\x01\x1b[31m", b"\xff\xfe not UTF-8", "grüße".encode(),
                 "u\u0308 and \u00fc".encode(), b"...", b"..a", b"a..", b".hidden", b"#", b"a:b",
                 b"%41", b".wh", b"wh.x", b"x.wh.y"):
        layer.add(b"odd/" + name, data=name)
    composed = "\u00fc \u00c5 \ud55c/" + "\u00e9" * 60
    for name in (composed, unicodedata.normalize("NFD", composed)):
        layer.folder("odd/" + name.split("/")[0])
        layer.add("odd/" + name, data=name.encode())
        layer.add("odd/" + name + " link", tarfile.LNKTYPE, link="odd/" + name)
        layer.add("odd/" + name + " symlink", tarfile.SYMTYPE, link=name)
    layer.add("odd/" + LONG, data=b"longest")
    layer.folder("odd/D" + LONG[1:])
    layer.add("odd/D" + LONG[1:] + "/" + LONG, data=b"below")
    layer.add("odd/far", tarfile.SYMTYPE, link="t" * 4000)
    layer.add("odd/sixty", tarfile.SYMTYPE, link="t" * 60)
    layer.add("odd/fifty-nine", tarfile.SYMTYPE, link="t" * 59)
    long_paths(layer, "deep-pax")
    layer.folder("kinds")
    layer.add("kinds/setuid", data=b"su", mode=0o4755)
    layer.add("kinds/setgid", data=b"sg", mode=0o2711, owner=(1000, 50))
    layer.folder("kinds/sticky", mode=0o1777)
    layer.folder("kinds/none", mode=0)
    layer.add("kinds/all", mode=0o7777)
    layer.add("kinds/large-ids", data=b"x", owner=(4294967294, 2147483648))
    layer.add("kinds/after-2038", mtime=4_000_000_000)
    layer.add("kinds/fraction", mtime=1_500_000_000.25)
    layer.add("kinds/epoch", mtime=0)
    layer.add("kinds/fifo", tarfile.FIFOTYPE, mode=0o620)
    layer.add("kinds/null", tarfile.CHRTYPE, device=(1, 3), mode=0o666)
    layer.add("kinds/disk", tarfile.BLKTYPE, device=(259, 1048575), mode=0o660, owner=(0, 6))
    layer.folder("attributes")
    layer.add("attributes/ping", data=b"ping", mode=0o755, xattrs={"security.capability": CAP})
    layer.add("attributes/user", xattrs={"user.text": b"value", "user.bytes": b"\x00\x01=\n\xff",
                                         "user.empty": b"x", "user." + "k" * 200: b"long key"})
    layer.add("attributes/large", xattrs={"user.large": b"v" * 3000})
    layer.folder("attributes/folder", xattrs={"user.of": b"a folder"})
    layer.close()


def gnu(path):
    """The same lengths in GNU's own headers, base-256 numbers, and a bare PAX-less file."""
    layer = Layer(path, tarfile.GNU_FORMAT)
    long_paths(layer, "deep-gnu")
    layer.add("deep-gnu/base-256", owner=(4_000_000_000, 3_000_000_000))
    layer.add("deep-gnu/bytes \udcff".encode("utf-8", "surrogateescape"), data=b"raw")
    layer.close()


def links(path):
    """Hard links to files of lower layers, and chains and groups of them."""
    layer = Layer(path)
    layer.folder("links")
    layer.add("links/ping-too", tarfile.LNKTYPE, link="attributes/ping")
    layer.add("links/ping-three", tarfile.LNKTYPE, link="links/ping-too")
    layer.add("links/setuid-too", tarfile.LNKTYPE, link="/kinds/setuid")
    layer.add("links/one", data=b"first")
    for i in range(200):
        layer.add("links/group-%d" % i, tarfile.LNKTYPE, link="links/one")
    layer.folder("removed")
    layer.folder("removed/deep")
    layer.add("removed/deep/file", data=b"gone")
    layer.add("removed/kept-elsewhere", data=b"still linked")
    layer.add("links/kept", tarfile.LNKTYPE, link="removed/kept-elsewhere")
    layer.folder("opaque")
    layer.folder("opaque/below", xattrs={"user.old": b"1"})
    layer.add("opaque/below/file", data=b"hidden")
    layer.add("opaque/file", data=b"hidden")
    layer.folder("turns")
    layer.folder("turns/folder")
    layer.add("turns/folder/inside", data=b"x")
    layer.add("turns/file", data=b"x")
    layer.add("turns/link", tarfile.SYMTYPE, link="folder")
    layer.folder("turns/keeps", mode=0o700)
    layer.add("turns/keeps/inside", data=b"kept")
    layer.close()


def changes(path):
    layer = Layer(path)
    layer.folder("turns")
    layer.add("turns/folder", data=b"a file now")
    layer.folder("turns/file")
    layer.add("turns/file/inside", data=b"a folder now")
    layer.add("turns/link", data=b"no link any more")
    layer.folder("turns/keeps", mode=0o751, owner=(3, 4))
    layer.folder("links")
    layer.add("links/group-7", data=b"leaves the group", mode=0o600)
    layer.folder("attributes")
    layer.add("attributes/user", data=b"without attributes now")
    layer.add("attributes/again", tarfile.LNKTYPE, link="attributes/ping")
    layer.close()


def whites(path):
    """Whiteouts before and after what their own layer brings."""
    layer = Layer(path)
    layer.folder("removed")
    layer.white("removed", "deep")
    layer.white("removed", "kept-elsewhere")
    layer.white("removed", "never-was")
    layer.folder("opaque")
    layer.add("opaque/new", data=b"came first")
    layer.white("opaque", ".wh..opq")
    layer.folder("opaque/below")
    layer.add("opaque/below/other", data=b"other")
    layer.folder("odd")
    layer.white("odd", "new\nline")
    layer.white("odd", "-rf")
    layer.white("odd", "back\\slash")
    layer.folder("links")
    layer.white("links", "one")
    layer.close()


def debian(path):
    layer = Layer(path)
    layer.folder("usr")
    layer.folder("usr/share")
    layer.folder("usr/share/doc")
    layer.white("usr/share/doc", ".wh..opq")
    layer.add("usr/share/doc/README", data=b"all removed")
    layer.folder("usr/share/man", mode=0o700)
    layer.white("usr/share/man", "man8")
    layer.folder("usr/bin")
    layer.white("usr/bin", "perl")
    layer.add("usr/bin/top-secret", data=b"s", mode=0o4750, owner=(0, 42))
    layer.add("usr/bin/top-secret-too", tarfile.LNKTYPE, link="usr/bin/top-secret")
    layer.close()


def twice(path):
    """The same name several times in one layer, where the last one counts, and other things that
    podman has a mind of its own about."""
    layer = Layer(path)
    layer.folder("twice")
    layer.add("twice/file", data=b"first, and longer")
    layer.add("twice/link", tarfile.LNKTYPE, link="twice/file")
    layer.add("twice/file", data=b"second", mode=0o600)
    layer.add("twice/turns", data=b"a file")
    layer.folder("twice/turns", mode=0o700)
    layer.add("twice/turns/inside", data=b"x")
    layer.folder("twice/turns", mode=0o750)
    layer.add("twice/before-1970", mtime=-86400)
    layer.add("twice/symlink", tarfile.SYMTYPE, link="file")
    layer.add("twice/symlink-too", tarfile.LNKTYPE, link="twice/symlink")
    layer.add("twice/fifo", tarfile.FIFOTYPE)
    layer.add("twice/fifo-too", tarfile.LNKTYPE, link="twice/fifo")
    layer.close()


def main():
    folder = sys.argv[1]
    for make in (names, gnu, links, changes, whites, debian, twice):
        make("%s/%s.tar" % (folder, make.__name__))


main()
