# SPDX-License-Identifier: Apache-2.0
"""Commands in instances."""
from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any, Callable, List, Optional, Tuple, Union

from ._lxdcore import Error

if TYPE_CHECKING:
    from ._operation import Operation

#: For Instance.popen(): make a pipe, as subprocess.PIPE.
PIPE = -1
#: A stream of a command: PIPE, a descriptor, something with fileno(), or None for /dev/null.
Stream = Union[None, int, IO[Any]]


class ExecError(Error):
    """A command that was to succeed did not. Has exit_code, stdout and stderr."""

    def __init__(self, command: List[str], result: ExecResult):
        super().__init__(f"{command[0]}: exit code {result.exit_code}: "
                         f"{result.stderr.decode(errors='replace').strip()[-500:]}")
        self.exit_code, self.stdout, self.stderr = result


class ExecResult(Tuple[int, bytes, bytes]):
    """How a command ended: (exit_code, stdout, stderr)."""

    __slots__ = ()

    def __new__(cls, exit_code: int, stdout: bytes, stderr: bytes) -> ExecResult:
        return tuple.__new__(cls, (exit_code, stdout, stderr))

    @property
    def exit_code(self) -> int:
        """127 when there is no such command, 126 when it cannot be executed, 128 + n after signal n."""
        return self[0]

    @property
    def stdout(self) -> bytes:
        """What it wrote."""
        return self[1]

    @property
    def stderr(self) -> bytes:
        """What it wrote about errors."""
        return self[2]

    def __repr__(self) -> str:
        return f"ExecResult(exit_code={self[0]}, stdout={self[1]!r}, stderr={self[2]!r})"


class Process:
    """A running command, like subprocess.Popen. `stdin`, `stdout` and `stderr` are binary files where PIPE was asked
    for. Use it with `with`, or close what you have opened."""

    def __init__(self, start: Callable[[int, int, int], Operation], stdin: Stream, stdout: Stream, stderr: Stream):
        theirs: List[int] = []
        ours: List[Optional[IO[bytes]]] = []
        passed: List[int] = []
        try:
            for stream, writing in ((stdin, True), (stdout, False), (stderr, False)):
                passed.append(self._open(stream, writing, theirs, ours))
            self._operation = start(*passed)
        except BaseException:
            for file in ours:
                if file is not None:
                    file.close()
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self.stdin, self.stdout, self.stderr = ours
        self._code: Optional[int] = None
        self._process = os.getpid()

    @staticmethod
    def _open(stream: Stream, writing: bool, theirs: List[int], ours: List[Optional[IO[bytes]]]) -> int:
        ours.append(None)
        if stream is None:
            return -1
        if stream != PIPE:
            return stream if isinstance(stream, int) else stream.fileno()
        reading_end, writing_end = os.pipe()
        mine, given = (writing_end, reading_end) if writing else (reading_end, writing_end)
        theirs.append(given)
        ours[-1] = open(mine, "wb" if writing else "rb", buffering=0 if writing else -1)
        return given

    @property
    def operation(self) -> Operation:
        """What runs it."""
        return self._operation

    @property
    def returncode(self) -> Optional[int]:
        """The exit code; None while it runs."""
        return self.poll()

    def poll(self) -> Optional[int]:
        """The exit code; None while it runs."""
        if self._code is None and self._operation.done():
            self._code = exit_code(self._operation)
        return self._code

    def wait(self, timeout: Optional[float] = None) -> int:
        """The exit code, once it has ended. Raises TimeoutError."""
        if self._code is None:
            self._code = exit_code(self._operation, timeout)
        return self._code

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                try:
                    file.close()
                except BrokenPipeError:
                    pass
        if os.getpid() == self._process:  # and not a child made by fork() that unwinds
            self._operation.wait()


def exit_code(operation: Operation, timeout: Optional[float] = None) -> int:
    """How the command of an operation ended. One that could not be begun fails the operation, and has a code too."""
    try:
        return int(operation.result(timeout)["return"])
    except Error:
        code = operation.metadata.get("return")
        if code not in (126, 127):
            raise
        return int(code)


class Capture:
    """Files in memory that a command reads from and writes to."""

    def __init__(self, data: bytes):
        self.fds = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdin", "stdout", "stderr")]
        view = memoryview(data)
        while view:
            view = view[os.write(self.fds[0], view):]
        os.lseek(self.fds[0], 0, os.SEEK_SET)

    def result(self, code: int) -> ExecResult:
        out, err = (self._read(fd) for fd in self.fds[1:])
        return ExecResult(code, out, err)

    @staticmethod
    def _read(fd: int) -> bytes:
        size, pieces, at = os.fstat(fd).st_size, [], 0
        while at < size:
            pieces.append(os.pread(fd, size - at, at))
            at += len(pieces[-1])
        return b"".join(pieces)

    def close(self) -> None:
        while self.fds:
            os.close(self.fds.pop())

    def __del__(self) -> None:
        self.close()
