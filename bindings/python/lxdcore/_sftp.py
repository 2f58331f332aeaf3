# SPDX-License-Identifier: Apache-2.0
"""A session on the files of an instance."""
from __future__ import annotations

import socket
from typing import Any


class SftpSocket(socket.socket):
    """The client's end of a session of SFTP version 3. It ends when it is closed, and when the instance starts, stops or
    goes."""

    def __init__(self, fd: int, session: Any):
        super().__init__(fileno=fd)
        self._session = session

    def close(self) -> None:
        """Ends the session."""
        super().close()
        self._session = None
