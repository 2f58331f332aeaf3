# SPDX-License-Identifier: Apache-2.0
"""Runs the steps of the script on one daemon and records normalised replies."""
import dataclasses
import hashlib
import json
import time
import urllib.parse

from daemons import make_certificate
from normalise import Normaliser, at, shape
from tarballs import tiny_image


@dataclasses.dataclass
class Step:
    """One call. Texts may use {br} {net} {dir} {fp} {fp2} {address} {etag} {op} {cert} and what `save` stored."""
    method: str
    path: str
    body: object = None
    headers: dict = dataclasses.field(default_factory=dict)
    data: object = None  # bytes, or a function of the context
    via: str = "unix"  # unix, tls (no certificate), trusted, stranger (a certificate that is not trusted)
    follow: bool = True  # wait for the operation of a 202
    save: str = ""  # keep metadata (or the operation path) under this name
    shape: tuple = ()  # paths of which only names and types are compared
    ignore: tuple = ()  # paths that are not compared
    etag: bool = False  # compare the ETag exactly; else only whether there is one
    deviation: str = ""  # D1..D14: intended to differ, not compared
    until: object = None  # repeat until this function of the reply is true (10 s): what takes time to appear
    note: str = ""

    @property
    def endpoint(self):
        parts = urllib.parse.urlsplit(self.path).path.strip("/").split("/")
        for i in range(2, len(parts)):
            collection = parts[1]
            if i % 2 == 0 and not (collection == "images" and i == 2 and parts[2] == "aliases") \
                    and collection not in ("events", "resources"):
                parts[i] = "{}"
            elif collection == "images" and len(parts) > 3 and parts[2] == "aliases" and i == 3:
                parts[i] = "{}"
        return f"{self.method} /{'/'.join(parts)}"


class Context:
    """What the steps refer to on one daemon."""

    def __init__(self, daemon):
        self.daemon = daemon
        address = daemon.enable_https()
        self.image, self.image2 = tiny_image("first"), tiny_image("second", split=True)
        self.certificates = {who: make_certificate(daemon.base, who) for who in ("trusted", "stranger", "other")}
        self.apis = {"unix": daemon.api, "tls": daemon.https(),
                     "trusted": daemon.https(self.certificates["trusted"]),
                     "stranger": daemon.https(self.certificates["stranger"])}
        bb = next(i["fingerprint"] for i in daemon.api.get("/1.0/images?recursion=1").metadata)
        self.words = {
            "br": daemon.bridge, "net": daemon.subnet, "dir": str(daemon.dir), "address": address, "bb": bb,
            "fp": hashlib.sha256(self.image).hexdigest(), "fp2": hashlib.sha256(b"".join(self.image2)).hexdigest(),
            "cert": self.certificate("trusted"), "cert_other": self.certificate("other"), "etag": "", "op": "",
        }
        for who in self.certificates:
            self.words["cert_" + who + "_fp"] = self.fingerprint(who)

    def certificate(self, who):
        lines = open(self.certificates[who][0], encoding="ascii").read().split("\n")
        return "".join(line for line in lines if line and not line.startswith("---"))

    def fingerprint(self, who):
        import base64
        return hashlib.sha256(base64.b64decode(self.certificate(who))).hexdigest()

    def normaliser(self):
        words = self.words
        names = {words["dir"]: "<dir>", words["br"]: "<br>", words["net"] + ".": "<net>.", words["address"]: "<address>",
                 words["fp"]: "<fp>", words["fp2"]: "<fp2>", words["bb"]: "<bb>", words["cert"]: "<cert>",
                 words["fp"][:12]: "<fp12>", words["bb"][:12]: "<bb12>"}
        return Normaliser(names)

    def fill(self, value):
        if isinstance(value, str):
            for word, text in self.words.items():
                value = value.replace("{" + word + "}", text)
            return value
        if isinstance(value, dict):
            return {self.fill(k): self.fill(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        return value


def decode(reply):
    try:
        return json.loads(reply.body)
    except ValueError:
        return {"<body>": reply.body.decode(errors="replace")[:4000]}


def call(context, step):
    data = step.data(context) if callable(step.data) else step.data
    return context.apis[step.via].request(step.method, context.fill(step.path), context.fill(step.body),
                                          headers=context.fill(step.headers), data=data)


def run_step(context, step):
    """The normalised record of one step."""
    reply = call(context, step)
    end = time.monotonic() + 10
    while step.until and not step.until(reply) and time.monotonic() < end:
        time.sleep(0.2)
        reply = call(context, step)
    headers = {k.lower(): v for k, v in reply.headers.items()}
    body = decode(reply)
    if headers.get("etag"):
        context.words["etag"] = headers["etag"].strip('"')
    normaliser = context.normaliser()
    record = {"status": reply.status, "type": headers.get("content-type", ""),
              "location": normaliser.text(headers.get("location", ""))}
    if "etag" in headers:
        record["etag"] = headers["etag"] if step.etag else "<etag>"
    for name in ("x-lxd-uid", "x-lxd-gid", "x-lxd-mode", "x-lxd-type"):
        if name in headers:
            record[name] = headers[name]
    if reply.status == 202 and isinstance(body, dict):
        context.words["op"] = body.get("operation", "").split("?")[0]
        if step.save:
            context.words[step.save] = context.words["op"]
        if step.follow:
            body["final"] = context.daemon.api.wait(body["operation"])
        # How far it has come when the reply is written is a race.
        for key in ("status", "status_code", "updated_at", "metadata", "err", "may_cancel"):
            body.get("metadata", {}).pop(key, None)
    elif step.save:
        context.words[step.save] = body["metadata"]
    body = normaliser.value(body)
    for path in step.ignore:
        body = at(body, path, lambda _: None)
    for path in step.shape:
        where, _, depth = path.partition(":")
        body = at(body, where, lambda value, depth=depth: shape(value, int(depth or 99)))
    if "filter=" in step.path and isinstance(body, dict) and isinstance(body.get("metadata"), list):
        body["metadata"].sort(key=repr)  # LXD gives filtered lists in no order
    if record.get("x-lxd-type") == "directory" and isinstance(body.get("metadata"), list):
        body["metadata"].sort()  # LXD gives names as the file system does
    record["body"] = body
    return record


def run_script(daemon, groups):
    """{group: [{step, endpoint, record}]} for every step."""
    context = Context(daemon)
    results = {}
    for group, steps in groups.items():
        results[group] = []
        for number, step in enumerate(steps):
            row = {"step": f"{group}/{number:03} {step.method} {step.path}"
                           + (f" [{step.via}]" if step.via != "unix" else "") + (f" ({step.note})" if step.note else ""),
                   "endpoint": step.endpoint}
            if step.deviation:
                row["deviation"] = step.deviation
            try:
                row["record"] = run_step(context, step)
            except Exception as error:  # a broken daemon must not hide the other steps
                row["record"] = {"exception": f"{type(error).__name__}: {error}"[:300]}
            results[group].append(row)
    return results


def differences(expected, actual, path=""):
    """Lines `path: expected ... got ...`."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        lines = []
        for key in sorted(set(expected) | set(actual)):
            where = f"{path}.{key}" if path else key
            if key not in actual:
                lines.append(f"{where}: missing, expected {json.dumps(expected[key])[:300]}")
            elif key not in expected:
                lines.append(f"{where}: unexpected {json.dumps(actual[key])[:300]}")
            else:
                lines += differences(expected[key], actual[key], where)
        return lines
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [line for i, (a, b) in enumerate(zip(expected, actual)) for line in differences(a, b, f"{path}[{i}]")]
    if expected != actual or type(expected) is not type(actual):
        return [f"{path}: expected {json.dumps(expected)[:300]} got {json.dumps(actual)[:300]}"]
    return []
