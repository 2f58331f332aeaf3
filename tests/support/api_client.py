# SPDX-License-Identifier: Apache-2.0
"""A small client of the REST API: over the unix socket or TLS, one request per connection unless told otherwise."""
import dataclasses
import http.client
import json
import socket
import ssl
import urllib.parse

import websocket

import answers
from tested_build import PATIENCE


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("lxd", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclasses.dataclass
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def metadata(self):
        return self.json["metadata"]

    @property
    def error(self):
        return self.json.get("error", "")

    def operation(self):
        """The path of the operation of a 202 reply."""
        assert self.status == 202, (self.status, self.body[:500])
        return self.json["operation"]


class Api:
    """`Api(socket=path)`, or `Api(address="127.0.0.1:8443", cert=(crt, key))`. What `ours` is told is remembered, see
    answers.py."""

    def __init__(self, socket=None, address=None, cert=None, timeout=90, ours=False):
        self.socket, self.address, self.cert, self.timeout, self.ours = socket, address, cert, timeout, ours

    def tls_context(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if self.cert:
            context.load_cert_chain(*self.cert)
        return context

    def connection(self, timeout=None):
        timeout = (timeout or self.timeout) * PATIENCE
        if self.socket:
            return UnixConnection(self.socket, timeout)
        host, _, port = self.address.rpartition(":")
        return http.client.HTTPSConnection(host, int(port), timeout=timeout, context=self.tls_context())

    def raw_socket(self, timeout=10):
        connection = self.connection(timeout)
        connection.connect()
        return connection.sock

    def request(self, method, path, body=None, headers=None, data=None, timeout=None):
        """`body` is sent as JSON, `data` as it is. No redirects, no checks."""
        headers = dict(headers or {})
        if body is not None:
            data = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = self.connection(timeout)
        try:
            connection.request(method, path, body=data, headers=headers)
            reply = connection.getresponse()
            reply = Reply(reply.status, dict(reply.getheaders()), reply.read())
        finally:
            connection.close()
        if self.ours:
            self._remember(answers.Asked(method, path, body), reply)
        return reply

    def _remember(self, asked, reply):
        if reply.status == 202:
            answers.ROUTES.add((asked.method, asked.path))
            answers.STARTED[reply.json["operation"]] = asked
        elif reply.status < 400:
            asked.answered()
        elif reply.body and reply.headers.get("Content-Type") == "application/json":
            asked.answered(reply.error)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body, **options)

    def put(self, path, body=None, **options):
        return self.request("PUT", path, body, **options)

    def patch(self, path, body=None, **options):
        return self.request("PATCH", path, body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def wait(self, operation, timeout=60):
        """The operation when it has ended."""
        path = urllib.parse.urlsplit(operation)
        query = urllib.parse.parse_qsl(path.query) + [("timeout", str(timeout * PATIENCE))]
        reply = self.get(f"{path.path}/wait?{urllib.parse.urlencode(query)}", timeout=timeout + 10)
        assert reply.status == 200, (reply.status, reply.body[:500])
        assert reply.metadata["status_code"] >= 200, f"{operation} has not ended in {timeout} s"
        if path.path in answers.STARTED:
            answers.STARTED.pop(path.path).answered(reply.metadata["err"] or None)
        return reply.metadata

    def run(self, method, path, body=None, ok=True, timeout=60, **options):
        """A request and, when it is asynchronous, its operation to the end. Gives the operation or the reply."""
        reply = self.request(method, path, body, **options)
        if reply.status != 202:
            assert not ok or reply.status in (200, 201), f"{method} {path}: {reply.status} {reply.body[:500]!r}"
            return reply
        operation = self.wait(reply.operation(), timeout)
        assert not ok or operation["status_code"] == 200, f"{method} {path}: {operation['err']}"
        return operation

    def websocket(self, path, timeout=20, **options):
        """A websocket; the path as in "/1.0/events?type=operation"."""
        if self.socket:
            opened = websocket.create_connection("ws://lxd" + path, socket=self.raw_socket(timeout), timeout=timeout,
                                                 suppress_origin=True, **options)
        else:
            sslopt = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
            if self.cert:
                sslopt.update(certfile=self.cert[0], keyfile=self.cert[1])
            opened = websocket.create_connection(f"wss://{self.address}{path}", sslopt=sslopt, timeout=timeout,
                                                 suppress_origin=True, **options)
        if self.ours:
            answers.Asked("GET", path, None).answered()
        return opened

    def exec(self, name, command, timeout=60, **fields):
        """Runs a command with recorded output: (exit code, stdout, stderr)."""
        body = {"command": command, "wait-for-websocket": False, "record-output": True, "interactive": False, **fields}
        operation = self.run("POST", f"/1.0/instances/{name}/exec", body, timeout=timeout)
        output = operation["metadata"].get("output", {})
        texts = [self.get(output[key]).body.decode(errors="replace") if key in output else "" for key in ("1", "2")]
        return operation["metadata"]["return"], *texts
