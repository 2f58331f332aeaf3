# SPDX-License-Identifier: Apache-2.0
"""SFTP version 3 over the socket of /1.0/instances/<name>/sftp: enough to ask a server anything, also wrong things."""
import dataclasses
import socket
import struct

import answers

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = range(1, 11)
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK, SYMLINK = range(11, 21)
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED, EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, NO_CONNECTION, LOST, UNSUPPORTED = range(9)
F_READ, F_WRITE, F_APPEND, F_CREAT, F_TRUNC, F_EXCL = 1, 2, 4, 8, 16, 32
LARGEST = 256 * 1024


class SftpError(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)
        self.code, self.text = code, text


@dataclasses.dataclass
class Attributes:
    size: int = None
    uid: int = None
    gid: int = None
    mode: int = None
    atime: int = None
    mtime: int = None

    def encode(self):
        flags, out = 0, b""
        if self.size is not None:
            flags, out = flags | 1, out + struct.pack(">Q", self.size)
        if self.uid is not None:
            flags, out = flags | 2, out + struct.pack(">II", self.uid, self.gid)
        if self.mode is not None:
            flags, out = flags | 4, out + struct.pack(">I", self.mode)
        if self.mtime is not None:
            flags, out = flags | 8, out + struct.pack(">II", self.atime, self.mtime)
        return struct.pack(">I", flags) + out


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def u32(self):
        self.at += 4
        return struct.unpack_from(">I", self.data, self.at - 4)[0]

    def u64(self):
        self.at += 8
        return struct.unpack_from(">Q", self.data, self.at - 8)[0]

    def text(self):
        size = self.u32()
        self.at += size
        return self.data[self.at - size:self.at]

    def attributes(self):
        flags, out = self.u32(), Attributes()
        if flags & 1:
            out.size = self.u64()
        if flags & 2:
            out.uid, out.gid = self.u32(), self.u32()
        if flags & 4:
            out.mode = self.u32()
        if flags & 8:
            out.atime, out.mtime = self.u32(), self.u32()
        if flags & 0x80000000:
            for _ in range(self.u32()):
                self.text(), self.text()
        return out


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(value)) + value


class Sftp:
    """A connection; `hello` False leaves the greeting to the caller."""

    def __init__(self, api, instance, hello=True, timeout=30, project=None):
        self.sock = api.raw_socket(timeout)
        path = f"/1.0/instances/{instance}/sftp" + (f"?project={project}" if project else "")
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: lxd\r\nUpgrade: sftp\r\nConnection: Upgrade\r\n\r\n".encode())
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            piece = self.sock.recv(1)
            if not piece:
                break
            self.head += piece
        self.status = int(self.head.split()[1]) if self.head else 0
        self.number = 0
        self.extensions = {}
        if self.status == 101 and api.ours:
            answers.Asked("GET", path, None).answered()
        if self.status != 101:
            raise SftpError(-self.status, self.sock.recv(65536).decode(errors="replace"))
        if hello:
            self.send(INIT, struct.pack(">I", 3))
            kind, body = self.receive()
            assert kind == VERSION, kind
            reader = Reader(body)
            self.version = reader.u32()
            while reader.at < len(body):
                key = reader.text()
                self.extensions[key.decode()] = reader.text().decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def end_input(self):
        self.sock.shutdown(socket.SHUT_WR)

    def send(self, kind, body):
        self.sock.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def receive_exactly(self, size):
        out = bytearray()
        while len(out) < size:
            piece = self.sock.recv(min(size - len(out), 1 << 20))
            if not piece:
                raise EOFError
            out += piece
        return bytes(out)

    def receive(self):
        size, kind = struct.unpack(">IB", self.receive_exactly(5))
        return kind, self.receive_exactly(size - 1)

    def ask(self, kind, body):
        """The reply's kind and a reader behind its number."""
        self.number += 1
        self.send(kind, struct.pack(">I", self.number) + body)
        answer, data = self.receive()
        reader = Reader(data)
        assert reader.u32() == self.number
        return answer, reader

    def expect(self, wanted, kind, body):
        answer, reader = self.ask(kind, body)
        if answer == STATUS:
            code, words = reader.u32(), reader.text().decode(errors="replace")
            if code == OK and wanted == STATUS:
                return None
            raise SftpError(code, words)
        assert answer == wanted, (answer, wanted)
        return reader

    # -- requests ---------------------------------------------------------------------------------------------------
    def open(self, path, flags, attributes=Attributes()):
        return self.expect(HANDLE, OPEN, text(path) + struct.pack(">I", flags) + attributes.encode()).text()

    def close_handle(self, handle):
        self.expect(STATUS, CLOSE, text(handle))

    def read(self, handle, offset, size):
        return self.expect(DATA, READ, text(handle) + struct.pack(">QI", offset, size)).text()

    def write(self, handle, offset, data):
        self.expect(STATUS, WRITE, text(handle) + struct.pack(">Q", offset) + text(data))

    def stat(self, path):
        return self.expect(ATTRS, STAT, text(path)).attributes()

    def lstat(self, path):
        return self.expect(ATTRS, LSTAT, text(path)).attributes()

    def fstat(self, handle):
        return self.expect(ATTRS, FSTAT, text(handle)).attributes()

    def setstat(self, path, **fields):
        self.expect(STATUS, SETSTAT, text(path) + Attributes(**fields).encode())

    def fsetstat(self, handle, **fields):
        self.expect(STATUS, FSETSTAT, text(handle) + Attributes(**fields).encode())

    def opendir(self, path):
        return self.expect(HANDLE, OPENDIR, text(path)).text()

    def readdir(self, handle):
        """One piece: [(name, long name, attributes)]."""
        reader = self.expect(NAME, READDIR, text(handle))
        return [(reader.text(), reader.text(), reader.attributes()) for _ in range(reader.u32())]

    def list(self, path):
        handle, out = self.opendir(path), {}
        try:
            while True:
                out.update({name: (words, attributes) for name, words, attributes in self.readdir(handle)})
        except SftpError as error:
            if error.code != EOF:
                raise
        self.close_handle(handle)
        return out

    def remove(self, path):
        self.expect(STATUS, REMOVE, text(path))

    def mkdir(self, path, **fields):
        self.expect(STATUS, MKDIR, text(path) + Attributes(**fields).encode())

    def rmdir(self, path):
        self.expect(STATUS, RMDIR, text(path))

    def realpath(self, path):
        reader = self.expect(NAME, REALPATH, text(path))
        assert reader.u32() == 1
        return reader.text()

    def rename(self, old, new):
        self.expect(STATUS, RENAME, text(old) + text(new))

    def readlink(self, path):
        reader = self.expect(NAME, READLINK, text(path))
        assert reader.u32() == 1
        return reader.text()

    def symlink(self, target, link):
        self.expect(STATUS, SYMLINK, text(target) + text(link))  # in the order that all servers expect

    def extended(self, name, body, wanted=STATUS):
        return self.expect(wanted, EXTENDED, text(name) + body)

    def posix_rename(self, old, new):
        self.extended("posix-rename@openssh.com", text(old) + text(new))

    def hardlink(self, old, new):
        self.extended("hardlink@openssh.com", text(old) + text(new))

    def statvfs(self, path):
        reader = self.extended("statvfs@openssh.com", text(path), EXTENDED_REPLY)
        return [reader.u64() for _ in range(11)]

    # -- whole files ------------------------------------------------------------------------------------------------
    def get(self, path):
        handle, out = self.open(path, F_READ), bytearray()
        try:
            while True:
                out += self.read(handle, len(out), 32768)
        except SftpError as error:
            if error.code != EOF:
                raise
        self.close_handle(handle)
        return bytes(out)

    def put(self, path, data, flags=F_WRITE | F_CREAT | F_TRUNC, **fields):
        handle = self.open(path, flags, Attributes(**fields))
        for at in range(0, len(data), 32768):
            self.write(handle, at, data[at:at + 32768])
        self.close_handle(handle)
