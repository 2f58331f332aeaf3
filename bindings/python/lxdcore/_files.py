# SPDX-License-Identifier: Apache-2.0
"""Files of an instance, whether it runs or not."""
from __future__ import annotations

import datetime
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Union

from ._operation import parse_time

if TYPE_CHECKING:
    from ._instances import Instance

#: A path in the instance.
InstancePath = Union[str, PurePosixPath]
#: A path on this host.
LocalPath = Union[str, "os.PathLike[str]"]


def encoded(path: InstancePath) -> bytes:
    """A path as the instance has it, whatever the locale of this host."""
    return str(path).encode("utf-8", "surrogateescape")


def copy_out(fd: int, to: LocalPath) -> Path:
    """All of a descriptor, which is closed, into a file of this host."""
    with open(fd, "rb", buffering=0) as source, open(to, "wb", buffering=0) as target:
        while piece := source.read(1 << 20):
            view = memoryview(piece)
            while view:
                view = view[target.write(view):]
    return Path(to)


class FileInfo:
    """What a path of an instance is."""

    __slots__ = ("_data",)

    def __init__(self, data: Dict[str, Any]):
        self._data = data

    @property
    def type(self) -> str:
        """file, directory or symlink."""
        return str(self._data["type"])

    @property
    def uid(self) -> int:
        """Its owner, as the instance sees it."""
        return int(self._data["uid"])

    @property
    def gid(self) -> int:
        """Its group, as the instance sees it."""
        return int(self._data["gid"])

    @property
    def mode(self) -> int:
        """Permission bits."""
        return int(self._data["mode"])

    @property
    def modified(self) -> Optional[datetime.datetime]:
        """When it was changed last."""
        return parse_time(self._data["modified"])

    def __repr__(self) -> str:
        return f"<lxdcore.FileInfo {self.type} {self.mode:04o} {self.uid}:{self.gid}>"


class Files:
    """Reads and writes files of one instance."""

    def __init__(self, instance: Instance):
        self._instance = instance

    def _pull(self, path: InstancePath, head_only: bool = False) -> Dict[str, Any]:
        i = self._instance
        return i._service.pull_file(i.project, i.name, encoded(path), head_only)

    def _push(self, path: InstancePath, kind: str, *, uid: Optional[int] = None, gid: Optional[int] = None,
              mode: Optional[int] = None, append: bool = False, target: str = "", fd: int = -1) -> None:
        i = self._instance
        i._service.push_file(i.project, i.name, encoded(path), kind, uid, gid, mode, append, encoded(target), fd)

    def info(self, path: InstancePath) -> FileInfo:
        """What is there, without its content. Raises NotFoundError."""
        return FileInfo(self._pull(path, head_only=True))

    def read(self, path: InstancePath) -> bytes:
        """All of a file; the target of a symbolic link."""
        data = self._pull(path)
        if data["type"] == "symlink":
            return encoded(data["target"])
        if data["fd"] < 0:
            raise IsADirectoryError(str(path))
        with open(data["fd"], "rb") as file:
            return file.read()

    def list(self, path: InstancePath) -> List[str]:
        """The names in a directory, sorted. What is not UTF-8 in them is as os.fsdecode() gives it; a server
        can only say that there is something."""
        data = self._pull(path)
        if data["fd"] >= 0:
            os.close(data["fd"])
        if data["type"] != "directory":
            raise NotADirectoryError(str(path))
        return list(data["entries"])

    def write(self, path: InstancePath, content: bytes, *, uid: Optional[int] = None, gid: Optional[int] = None,
              mode: Optional[int] = None, append: bool = False) -> None:
        """Writes a file, or adds to one. An owner and mode that are not given stay, or are root's and 0644."""
        fd = os.memfd_create("content", os.MFD_CLOEXEC)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view):]
            os.lseek(fd, 0, os.SEEK_SET)
            self._push(path, "file", uid=uid, gid=gid, mode=mode, append=append, fd=fd)
        finally:
            os.close(fd)

    def pull(self, path: InstancePath, to: LocalPath) -> Path:
        """Copies a file of the instance to this host."""
        data = self._pull(path)
        if data["fd"] < 0:
            raise IsADirectoryError(str(path))
        return copy_out(data["fd"], to)

    def push(self, source: LocalPath, path: InstancePath, *, uid: Optional[int] = None, gid: Optional[int] = None,
             mode: Optional[int] = None) -> None:
        """Copies a file of this host into the instance."""
        with open(source, "rb", buffering=0) as file:
            self._push(path, "file", uid=uid, gid=gid, mode=mode, fd=file.fileno())

    def mkdir(self, path: InstancePath, *, uid: Optional[int] = None, gid: Optional[int] = None,
              mode: Optional[int] = None) -> None:
        """Makes a directory."""
        self._push(path, "directory", uid=uid, gid=gid, mode=mode)

    def symlink(self, path: InstancePath, target: InstancePath) -> None:
        """Makes a symbolic link at `path` to `target`."""
        self._push(path, "symlink", target=str(target))

    def delete(self, path: InstancePath) -> None:
        """Removes a file or an empty directory."""
        i = self._instance
        i._service.delete_file(i.project, i.name, encoded(path))
