# SPDX-License-Identifier: Apache-2.0
"""The log of a Core as one of Python's."""
from __future__ import annotations

import json
import logging
import os
import threading
from typing import Tuple

_LEVELS = {"TRACE": logging.DEBUG, "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING,
           "ERROR": logging.ERROR}


def pipe_to(logger: logging.Logger) -> Tuple[int, threading.Thread]:
    """A descriptor that takes records, and the thread that gives them to the logger until it is closed."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def give() -> None:
        with open(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    record = json.loads(line)
                except ValueError:  # half a line: the pipe was full
                    continue
                context = "".join(f" {key}={value}" for key, value in record["context"].items())
                logger.log(_LEVELS[record["level"]], "%s%s", record["message"], context, extra={"lxdcore": record})

    thread = threading.Thread(target=give, name="lxdcore-log", daemon=True)
    thread.start()
    return writing, thread
