# SPDX-License-Identifier: Apache-2.0
"""The console of an instance, and commands on terminals."""
from __future__ import annotations

import os
import select
import signal as signals
from typing import Any, Optional

from ._exec import exit_code
from ._operation import Operation


class Console:
    """A terminal on an instance's console, as bytes. Use it with `with`, or close() it: there is one at a time."""

    def __init__(self, operation: Operation):
        self._operation = operation
        self._process = os.getpid()
        self._data = operation._raw.connect("0")
        self._control = operation._raw.connect("control")

    def fileno(self) -> int:
        """Its descriptor, for select() and the like."""
        return self._data.fileno()

    def read(self, size: int = 65536, timeout: Optional[float] = None) -> Optional[bytes]:
        """What it shows next: some bytes, b"" at the end, None when `timeout` seconds have passed."""
        fd = self.fileno()
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        while waiting.poll(None if timeout is None else timeout * 1000):
            try:
                return os.read(fd, size)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return b""
        return None

    def write(self, data: bytes) -> None:
        """Types. Raises BrokenPipeError when the instance has stopped."""
        fd, view = self.fileno(), memoryview(data)
        waiting = select.poll()
        waiting.register(fd, select.POLLOUT)
        while view:
            waiting.poll()
            try:
                view = view[os.write(fd, view):]
            except BlockingIOError:
                continue

    def resize(self, width: int, height: int) -> None:
        """Tells how large the terminal is."""
        self._control.send({"command": "window-resize", "args": {"width": str(width), "height": str(height)}})

    def close(self) -> None:
        """Detaches. A second time does nothing, nor does a child made by fork()."""
        if os.getpid() != self._process:
            return
        self._data.close()
        self._control.close()

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Terminal(Console):
    """A command on a terminal of its own, as bytes. Use it with `with`, or close() it, which kills the command."""

    @property
    def operation(self) -> Operation:
        """What runs it."""
        return self._operation

    def signal(self, number: int) -> None:
        """Sends the command a signal, such as signal.SIGINT."""
        self._control.send({"command": "signal", "signal": int(number)})

    def terminate(self) -> None:
        """Asks the command to end."""
        self.signal(signals.SIGTERM)

    def kill(self) -> None:
        """Ends the command."""
        self.signal(signals.SIGKILL)

    def wait(self, timeout: Optional[float] = None) -> int:
        """The exit code, once it has ended; read() must have seen the end of what it shows. Raises TimeoutError."""
        return exit_code(self._operation, timeout)

    def __enter__(self) -> Terminal:
        return self
