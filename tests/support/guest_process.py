# SPDX-License-Identifier: Apache-2.0
"""Programs of the host as processes of a container: in its pid and user namespaces, with the host's files."""
import subprocess


class GuestProcess:
    def __init__(self, api, instance):
        self.pid = api.get(f"/1.0/instances/{instance}/state").metadata["pid"]

    def command(self, *args, uid=0):
        return ["nsenter", "-t", str(self.pid), "-p", "-U", "-S", str(uid), "-G", str(uid), "--", *map(str, args)]

    def curl(self, socket, path, *options, uid=0):
        """(status, body) of a request to a unix socket."""
        shown = subprocess.run(self.command("curl", "-s", "-w", "\n%{http_code}", "--unix-socket", socket, *options, f"l{path}", uid=uid),
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        assert shown.returncode == 0, shown.stderr
        body, _, status = shown.stdout.rpartition("\n")
        return int(status), body
