# SPDX-License-Identifier: Apache-2.0
"""Small images made in memory, good ones and hostile ones."""
import gzip
import io
import tarfile

METADATA = """architecture: x86_64
creation_date: 1700000000
properties:
  description: {name} image
  os: Tiny
  release: "{name}"
"""


def entry(name, content=b"", kind=tarfile.REGTYPE, **fields):
    """A member for make_tar: (TarInfo, content)."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.mtime = 1700000000
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def make_tar(members, compress=True):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    data = buffer.getvalue()
    return gzip.compress(data, 6, mtime=0) if compress else data


def metadata(name="tiny"):
    return METADATA.format(name=name).encode()


def rootfs_members(prefix="rootfs"):
    return [entry(prefix, kind=tarfile.DIRTYPE), entry(f"{prefix}/etc", kind=tarfile.DIRTYPE),
            entry(f"{prefix}/etc/hostname", b"tiny\n"), entry(f"{prefix}/root", kind=tarfile.DIRTYPE),
            entry(f"{prefix}/etc/link", kind=tarfile.SYMTYPE, linkname="hostname")]


def tiny_image(name="tiny", split=False, extra=()):
    """Bytes of a unified image that unpacks but has nothing to run; split: (metadata, rootfs)."""
    if split:
        root = [(_strip(info), content) for info, content in rootfs_members()[1:]]
        return make_tar([entry("metadata.yaml", metadata(name))]), make_tar(root)
    return make_tar([entry("metadata.yaml", metadata(name)), *rootfs_members(), *extra])


def _strip(info):
    info.name = info.name.removeprefix("rootfs/")
    return info


def multipart(meta, rootfs, boundary="xXxBoundaryxXx"):
    """Body and content type of a split upload."""
    body = b""
    for field, filename, data in (("metadata", "metadata.tar.gz", meta), ("rootfs", "rootfs.tar.gz", rootfs)):
        body += (f"--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{filename}\"\r\n"
                 "Content-Type: application/octet-stream\r\n\r\n").encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
