#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write what berth must not take, and some odd things that it must.

    odd_archives.py FOLDER LAYOUT

LAYOUT is a good OCI layout with one image. FOLDER gets docker-*.tar and oci-*.tar (archives of images,
cases 79 and 80 of docs/images.md) and layer-* (layers for a registry, cases 66 to 70), beside each of
those a file .diff with the digest of the tar in it.
"""
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

out, layout = sys.argv[1:3]


def blob(digest):
    with open(os.path.join(layout, "blobs", *digest.split(":")), "rb") as file:
        return file.read()


index = json.load(open(os.path.join(layout, "index.json")))
manifest_digest = index["manifests"][0]["digest"]
manifest = json.loads(blob(manifest_digest))
config = blob(manifest["config"]["digest"])
layers = [blob(entry["digest"]) for entry in manifest["layers"]]


def archive(name, members):
    """members: (name, bytes), or (name, a link's target as text)."""
    with tarfile.open(os.path.join(out, name), "w") as tar:
        for path, content in members:
            entry = tarfile.TarInfo(path)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))


def docker(name, said, more=()):
    archive("docker-%s.tar" % name, [("manifest.json", json.dumps(said).encode()),
            ("config.json", config)] + [("%d.tar" % i, data) for i, data in enumerate(layers)] + list(more))


def docker_archives():
    paths = ["%d.tar" % i for i in range(len(layers))]
    good = {"Config": "config.json", "RepoTags": ["case/web:1"], "Layers": paths}
    docker("good", [good])
    docker("null", None)
    docker("empty", [])
    docker("null-entry", [None])
    docker("missing", [dict(good, Layers=paths[:-1] + ["none.tar"])])
    docker("fewer", [dict(good, Layers=paths[:-1])])
    docker("dots", [dict(good, Layers=paths[:-1] + ["../../../../etc/passwd"])])
    docker("absolute", [dict(good, Config="/etc/passwd")])
    docker("symlink", [dict(good, Layers=paths[:-1] + ["link.tar"])], [("link.tar", "/etc/passwd")])
    # as skopeo writes it: a link to another member, beside the same by its name
    docker("inner-link", [good], [("a/layer.tar", "../0.tar")])
    docker("tag", [dict(good, RepoTags=["Not A Name"])])
    with open(os.path.join(out, "docker-huge.tar"), "wb") as file:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = 2 << 30
        file.write(entry.tobuf(tarfile.GNU_FORMAT))
        file.write(b" " * (16 << 20))


def oci(name, edit=lambda members: members):
    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode(),
               "blobs/sha256/" + manifest_digest[7:]: blob(manifest_digest),
               "blobs/sha256/" + manifest["config"]["digest"][7:]: config}
    for entry, data in zip(manifest["layers"], layers):
        members["blobs/sha256/" + entry["digest"][7:]] = data
    edit(members)
    archive("oci-%s.tar" % name, members.items())


def oci_archives():
    last = "blobs/sha256/" + manifest["layers"][-1]["digest"][7:]
    oci("good")
    oci("no-layout", lambda m: m.pop("oci-layout"))
    oci("symlink", lambda m: m.update({last: "/etc/passwd"}))
    oci("larger", lambda m: m.update({last: m[last] + b"more"}))
    oci("smaller", lambda m: m.update({last: m[last][:-1]}))
    oci("missing", lambda m: m.pop(last))
    oci("no-index", lambda m: m.pop("index.json"))
    oci("unknown-file", lambda m: m.update({"something/else": b"is ignored"}))


def layer(name, data, plain):
    with open(os.path.join(out, "layer-" + name), "wb") as file:
        file.write(data)
    with open(os.path.join(out, "layer-%s.diff" % name), "w") as file:
        file.write("sha256:" + hashlib.sha256(plain).hexdigest())


def run(*argv, **more):
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True, **more).stdout


def layers_of_all_kinds():
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as tar:
        entry = tarfile.TarInfo("case")
        entry.size = 70000
        tar.addfile(entry, io.BytesIO(os.urandom(70000)))
    plain = memory.getvalue()
    zipped = gzip.compress(plain)
    layer("trailing-zeros", zipped + bytes(5000), plain)
    layer("trailing-garbage", zipped + b"garbage" * 100, plain)
    layer("members", gzip.compress(plain[:30000]) + gzip.compress(b"") + gzip.compress(plain[30000:]), plain)
    layer("empty-gzip", gzip.compress(b""), b"")
    layer("no-crc", zipped[:-8], plain)
    layer("wrong-crc", zipped[:-8] + b"\0\0\0\0" + zipped[-4:], plain)
    layer("cut", zipped[:30000], plain)
    layer("zstd", run("zstd", "-q", "-c", input=plain), plain)
    layer("zstd-frames", run("zstd", "-q", "-c", input=plain[:30000]) + b"\x50\x2a\x4d\x18\x04\0\0\0skip" +
          run("zstd", "-q", "-c", input=plain[30000:]), plain)
    layer("plain", plain, plain)
    layer("bzip2", run("bzip2", "-c", input=plain), plain)
    layer("other", zipped, plain + b"x")
    layer("window", run("zstd", "-q", "-c", "--ultra", "-1", "--long=31", input=plain), plain)
    entry = tarfile.TarInfo("huge")
    entry.size = 1 << 40
    head = entry.tobuf(tarfile.GNU_FORMAT)
    zeros = subprocess.Popen(["sh", "-c", "head -c 3221225472 /dev/zero"], stdout=subprocess.PIPE)
    frame = run("zstd", "-q", "-c", stdin=zeros.stdout)
    zeros.wait()
    layer("bomb", run("zstd", "-q", "-c", input=head) + frame, b"")
    sparse = tarfile.TarInfo("sparse")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
                          "GNU.sparse.realsize": str(2 << 40)}
    sparse.size = 512
    data = sparse.tobuf(tarfile.PAX_FORMAT) + b"0\n".ljust(512, b"\0") + bytes(1024)
    layer("sparse", data, data)


docker_archives()
oci_archives()
layers_of_all_kinds()
