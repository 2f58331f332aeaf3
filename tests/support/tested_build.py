# SPDX-License-Identifier: Apache-2.0
"""The build that is tested, and what one with a sanitizer cannot hold: it is slow, and most of its memory is bookkeeping."""
import json
import os
import pathlib
import re

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LXDCORE_BUILD", SOURCE / "build"))


def _sanitizer():
    options = BUILD / "meson-info/intro-buildoptions.json"
    if os.environ.get("LXDCORE_TEST_DAEMON") == "lxd" or not options.exists():
        return ""
    chosen = next((o["value"] for o in json.loads(options.read_text()) if o["name"] == "b_sanitize"), "none")
    return "" if chosen == "none" else chosen


SANITIZER = _sanitizer()
PATIENCE = int(os.environ.get("LXDCORE_TEST_PATIENCE", 4 if SANITIZER else 1))  # by which limits of time are multiplied


def resident(pid, field="VmRSS"):
    """MiB; 0 when the process is gone, and with a sanitizer, where sizes are not looked at but the rest of a test is."""
    if SANITIZER:
        return 0
    try:
        found = re.search(field + r":\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found.group(1)) / 1024 if found else 0
