# SPDX-License-Identifier: Apache-2.0
"""What our daemon has answered in this run: routes that gave what was asked for, configuration keys that were taken or
refused. tests/lint/check_compatibility.py holds the page of compatibility against it."""
import json
import re
import urllib.parse

ROUTES = set()  # (method, path)
TAKEN = {}  # kind: {key}
REFUSED = {}
STARTED = {}  # operations, and what was asked for

KINDS = [(r"/1\.0", "server"), (r"/1\.0/(instances|containers|profiles)(/.*)?", "instance"),
         (r"/1\.0/networks(/.*)?", "network"), (r"/1\.0/storage-pools/[^/]+/volumes(/.*)?", "volume"),
         (r"/1\.0/storage-pools(/[^/]+)?", "pool")]


def _keys(path, body):
    """(kind, key) of all that a request configures."""
    if not isinstance(body, dict):
        return
    kind = next((kind for pattern, kind in KINDS if re.fullmatch(pattern, path)), None)
    if kind and isinstance(body.get("config"), dict):
        yield from ((kind, key) for key, value in body["config"].items() if value)
    for device in (body.get("devices") or {}).values() if isinstance(body.get("devices"), dict) else ():
        if isinstance(device, dict):
            yield from ((device.get("type"), key) for key, value in device.items() if value and key != "type")


class Asked:
    """One request, until it is known how it went."""

    def __init__(self, method, path, body):
        self.method, self.path = method, urllib.parse.urlsplit(path).path
        self.keys = list(_keys(self.path, body))

    def answered(self, error=None):
        if error is None:
            ROUTES.add((self.method, self.path))
        for kind, key in self.keys:
            if error is None:
                TAKEN.setdefault(kind, set()).add(key)
            elif key in error:
                REFUSED.setdefault(kind, set()).add(key)


def write(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    kinds = [{kind: sorted(keys) for kind, keys in sorted(found.items()) if kind} for found in (TAKEN, REFUSED)]
    file.write_text(json.dumps({"routes": sorted(ROUTES), "taken": kinds[0], "refused": kinds[1]}, indent=1))
