# SPDX-License-Identifier: Apache-2.0
"""/1.0/metrics: LXD's names and labels, in OpenMetrics text."""
import pathlib
import re
import time

import pytest

from api_client import Api
from daemons import free_port, make_certificate

MEMORY = ["Active_anon", "Active_file", "Active", "Cached", "Dirty", "Inactive_anon", "Inactive_file", "Inactive", "Mapped",
          "MemAvailable", "MemFree", "MemTotal", "RSS", "Shmem", "Swap", "Unevictable", "Writeback"]
NETWORK = [f"{way}_{what}_total" for way in ("receive", "transmit") for what in ("bytes", "drop", "errs", "packets")]
SAMPLE = re.compile(r"(lxd_\w+)\{(.*)\} (\S+)")


def samples(text, instance):
    """{metric: [(labels, value)]} of one instance."""
    found = {}
    for line in text.splitlines():
        match = SAMPLE.fullmatch(line)
        if match and f'name="{instance}"' in match[2]:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2]))
            found.setdefault(match[1], []).append((labels, float(match[3])))
    return found


@pytest.fixture
def figures(api, running):
    """Of the running instance, once the cache has seen it."""
    end = time.monotonic() + 30
    while True:
        text = api.get("/1.0/metrics").body.decode()
        if running in text or time.monotonic() > end:
            return text
        time.sleep(0.5)


def test_metrics_have_the_names_and_labels_of_lxd(figures, running):
    found = samples(figures, running)
    common = {"name": running, "project": "default", "type": "container"}
    for name in MEMORY:
        (labels, value), = found[f"lxd_memory_{name}_bytes"]
        assert labels == common and value >= 0
    for name in NETWORK:
        assert {labels.pop("device") for labels, _ in found[f"lxd_network_{name}"]} == {"lo", "eth0"}
        assert all(labels == common for labels, _ in found[f"lxd_network_{name}"])
    for name in ("avail", "free", "size"):
        (labels, value), = found[f"lxd_filesystem_{name}_bytes"]
        assert labels.pop("fstype") and value > 0
        assert labels == {"device": "", "mountpoint": "/", "name": running, "project": "default"}
    assert {labels["mode"] for labels, _ in found["lxd_cpu_seconds_total"]} == {"system", "user"}
    assert found["lxd_procs_total"][0][1] >= 1


def test_metrics_are_openmetrics_text(api, figures):
    reply = api.get("/1.0/metrics")
    assert reply.headers["Content-Type"] == "text/plain" and figures.endswith("# EOF\n")
    known = set()
    for line in figures.splitlines()[:-1]:
        if line.startswith("# "):
            known.add(line.split()[2])
        else:
            assert SAMPLE.fullmatch(line) and line.split("{")[0] in known
    assert "# HELP lxd_procs_total The number of running processes.\n# TYPE lxd_procs_total gauge\n" in figures


def test_metrics_of_one_project(api, figures, running):
    assert running in api.get("/1.0/metrics?project=default").body.decode()
    assert api.get("/1.0/metrics?project=nobody").body == b"# EOF\n"


def test_an_address_of_their_own_has_the_metrics_and_nothing_else(daemon, api, figures, running, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    api.run("PATCH", "/1.0", {"config": {"core.metrics_address": address}})
    try:
        certificate = make_certificate(tmp_path, "scraper")
        client = Api(address=address, cert=certificate)
        assert client.get("/1.0/metrics").status == 403
        text = pathlib.Path(certificate[0]).read_text()
        body = "".join(line for line in text.splitlines() if "CERTIFICATE" not in line)
        api.run("POST", "/1.0/certificates", {"type": "metrics", "name": "scraper", "certificate": body})
        reply = client.get("/1.0/metrics")
        assert reply.status == 200 and running in reply.body.decode()
        for path in ("/1.0/instances", "/1.0/certificates"):
            assert client.get(path).status in (403, 404)
            assert daemon.https(certificate).get(path).status == 403
    finally:
        api.run("PATCH", "/1.0", {"config": {"core.metrics_address": ""}})
        for url in api.get("/1.0/certificates").metadata:
            if api.get(url).metadata["type"] == "metrics":
                api.delete(url)


def test_metrics_need_trust_unless_that_is_switched_off(api, untrusted, figures, running):
    assert untrusted.get("/1.0/metrics").status == 403
    api.run("PATCH", "/1.0", {"config": {"core.metrics_authentication": "false"}})
    try:
        reply = untrusted.get("/1.0/metrics")
        assert reply.status == 200 and running in reply.body.decode()
        assert untrusted.get("/1.0/instances").status == 403
    finally:
        api.run("PATCH", "/1.0", {"config": {"core.metrics_authentication": "true"}})
    assert untrusted.get("/1.0/metrics").status == 403
