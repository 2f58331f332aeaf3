# SPDX-License-Identifier: Apache-2.0
"""Makes replies of two daemons comparable: what may differ between two hosts or two runs is replaced by a word."""
import json
import re

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"(?!0001-01-01T00:00:00Z|1970-01-01T00:00:00Z|20[23]\d-01-01T00:00:00Z)"
                  r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
MAC = re.compile(r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b")
HASH = re.compile(r"\b[0-9a-f]{64}\b")
PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----\n?", re.S)
VETH = re.compile(r"\bveth[0-9a-f]+\b")
FE80 = re.compile(r"\bfe80::[0-9a-f:]+\b")
LIVE_NUMBERS = {"pid", "processes", "usage", "usage_peak", "swap_usage", "swap_usage_peak", "size", "created_at_unix",
                "bytes_received", "bytes_sent", "packets_received", "packets_sent", "errors_received", "errors_sent",
                "packets_dropped_inbound", "packets_dropped_outbound", "total", "used", "Hostid", "Maprange"}
LISTS_WITHOUT_ORDER = {"used_by", "addresses"}


class Normaliser:
    """`names` maps text of this daemon (directory, bridge, subnet, fingerprints) to common words."""

    def __init__(self, names):
        self.names = sorted(names.items(), key=lambda item: -len(item[0]))

    def text(self, text):
        for value, word in self.names:
            text = text.replace(value, word)
        text = PEM.sub("<pem>", text)
        text = UUID.sub("<uuid>", text)
        text = TIME.sub("<time>", text)
        text = MAC.sub("<mac>", text)
        text = HASH.sub("<hash>", text)
        text = re.sub(r"\b8000\.[0-9a-f]{12}\b", "<bridge-id>", text)
        text = VETH.sub("<veth>", text)
        text = FE80.sub("<link-local>", text)
        text = re.sub(r"<net>\.(?!1\b|0\b)\d+\b", "<net>.<n>", text)
        text = re.sub(r'\\?"(Hostid|Nsid|Maprange)\\?":\d+', r"\1:<n>", text)
        text = re.sub(r"/tmp/lxd_config_\d+|/proc/self/fd/\d+", "<file>", text)
        return re.sub(r"/proc/\d+/fd/\d+", "/proc/<pid>/fd/<n>", text)

    def value(self, value, key=""):
        if isinstance(value, str):
            # of an isolated map: where it begins is up to the host's /etc/subuid
            return "<id>" if key == "volatile.idmap.base" and value != "0" else self.text(value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, (int, float)):
            return "<n>" if key in LIVE_NUMBERS and value > 0 else value
        if isinstance(value, list):
            items = [self.value(v, key) for v in value]
            return sorted(items, key=lambda v: json.dumps(v, sort_keys=True)) if key in LISTS_WITHOUT_ORDER else items
        kept = {self.text(k): self.value(v, k) for k, v in value.items()
                if not k.endswith("_progress") and k != "progress"}
        return kept or (None if value else {})  # metadata of an operation that was nothing but progress


def shape(value, depth=99):
    """Only names and types, `depth` levels down."""
    if isinstance(value, dict) and depth > 0:
        return {k: shape(v, depth - 1) for k, v in value.items()}
    if isinstance(value, list) and depth > 0:
        kinds = []
        for item in (shape(v, depth - 1) for v in value):
            if item not in kinds:
                kinds.append(item)
        return kinds
    return type(value).__name__


def at(value, path, change):
    """Replaces what `path` ("metadata.environment", "metadata.*.state") names by change(it); None removes it."""
    head, _, rest = path.partition(".")
    if isinstance(value, list) and head == "*":
        return [at(item, rest, change) if rest else change(item) for item in value]
    if not isinstance(value, dict):
        return value
    keys = list(value) if head == "*" else [head] if head in value else []
    for key in keys:
        new = at(value[key], rest, change) if rest else change(value[key])
        if new is None and not rest:
            del value[key]
        else:
            value[key] = new
    return value
