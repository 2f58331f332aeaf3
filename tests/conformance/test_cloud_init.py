# SPDX-License-Identifier: Apache-2.0
"""The NoCloud seed of an image with templates for cloud-init: the files that a real LXD 5.0.2 makes, byte by byte.

tests/data/cloud_init.json holds them. LXDCORE_TEST_DAEMON=lxd LXDCORE_TEST_ACCEPT=1 records it again.
"""
import json
import os
import tarfile

import pytest

from daemons import SOURCE, cached_busybox
from tarballs import entry, make_tar

RECORDED = SOURCE / "tests/data/cloud_init.json"
SEED = "/var/lib/cloud/seed/nocloud-net"
METADATA = f"""architecture: x86_64
creation_date: 1700000000
properties:
  description: image with a seed
  os: Busybox
templates:
""" + "".join(f"""  {SEED}/{name}:
    when: [create, copy]
    template: {name}.tpl
    properties:
      default: |
        #cloud-config
        {{}}
""" for name in ("meta-data", "user-data", "vendor-data", "network-config"))
TEMPLATES = {
    "meta-data": """#cloud-config
instance-id: {{ container.name }}
local-hostname: {{ instance.name }}
{{ config_get("user.meta-data", "") }}
""",
    "user-data": """{% if config_get("cloud-init.user-data", "") == "" %}{{ config_get("user.user-data", properties.default) }}\
{% else %}{{- config_get("cloud-init.user-data", properties.default) }}{% endif %}
""",
    "vendor-data": """{{ config_get("cloud-init.vendor-data", config_get("user.vendor-data", properties.default)) }}""",
    "network-config": """{% if config_get("cloud-init.network-config", config_get("user.network-config", "")) == "" %}version: 1
config:
{%- if instance.type == "virtual-machine" %}
  - {type: physical, name: enp5s0, subnets: [{type: dhcp, control: auto}]}
{%- else %}
  - {type: physical, name: eth0, subnets: [{type: {% if privileged == "true" %}dhcp4{% else %}dhcp{% endif %}}]}
{%- endif %}
# made at {{ trigger }} for {{ path }}
{% else %}{{ config_get("cloud-init.network-config", config_get("user.network-config", "")) }}{% endif %}""",
}
DATA = "#cloud-config\npackages: [a, b]\nruncmd:\n - [sh, -c, \"echo 'x' > /t && <y>\"]\n"
CASES = {
    "seed-plain": {},
    "seed-user": {"user.user-data": DATA, "user.meta-data": "key: \"v\"\nlist: [1, 2]", "user.vendor-data": "#cloud-config\n",
                  "user.network-config": "version: 2\nethernets: {eth0: {dhcp4: true}}\n"},
    "seed-cloud": {"cloud-init.user-data": DATA, "cloud-init.vendor-data": "#!/bin/sh\necho \"$HOME\" & \\\n",
                   "cloud-init.network-config": "version: 1\nconfig: []"},
    "seed-both": {"cloud-init.user-data": "new", "user.user-data": "old", "cloud-init.network-config": "version: 1",
                  "user.network-config": "version: 2", "cloud-init.vendor-data": "#!new", "user.vendor-data": "#!old"},
    "seed-odd": {"user.user-data": "Grüße ☃ {{ container.name }} {% if x %} {# no #} é\ttab  \n\n",
                 "user.meta-data": "  leading and trailing  ", "security.privileged": "true"},
}


def image_with_seed():
    members = []
    with tarfile.open(cached_busybox()) as source:
        for info in source:
            if not info.name.startswith(("metadata.yaml", "./metadata.yaml", "templates", "./templates")):
                members.append((info, source.extractfile(info).read() if info.isreg() else b""))
    members[:0] = [entry("metadata.yaml", METADATA.encode()), entry("templates", kind=tarfile.DIRTYPE)]
    members += [entry(f"templates/{name}.tpl", text.encode()) for name, text in TEMPLATES.items()]
    return make_tar(members)


def rendered(api, name):
    files = {}
    for file in TEMPLATES:
        reply = api.get(f"/1.0/instances/{name}/files?path={SEED}/{file}")
        assert reply.status == 200, (name, file, reply.body)
        files[file] = {"text": reply.body.decode()}
        # names of headers are spelled differently
        headers = {key.lower(): value for key, value in reply.headers.items()}
        files[file].update({key: headers[f"x-lxd-{key}"] for key in ("mode", "uid", "gid")})
    return files


@pytest.fixture(scope="module")
def seeds(shared_daemon):
    """Name of each case -> file -> what it became; "<case>-copy" are those of a copy."""
    api, names = shared_daemon.api, []
    operation = api.wait(api.post("/1.0/images", data=image_with_seed(),
                                  headers={"Content-Type": "application/octet-stream"}).operation())
    image = operation["metadata"]["fingerprint"]
    found = {}

    def life(name, body):
        names.append(name)
        api.run("POST", "/1.0/instances", {"name": name, **body})
        api.run("PUT", f"/1.0/instances/{name}/state", {"action": "start"})
        api.run("PUT", f"/1.0/instances/{name}/state", {"action": "stop", "force": True})
        found[name] = rendered(api, name)

    try:
        for name, config in CASES.items():
            life(name, {"source": {"type": "image", "fingerprint": image}, "config": config})
        life("seed-copy", {"profiles": ["default"], "source": {"type": "copy", "source": "seed-user"}})
        yield found
    finally:
        for name in names:
            api.run("DELETE", f"/1.0/instances/{name}", ok=False)
        api.run("DELETE", f"/1.0/images/{image}")


@pytest.mark.parametrize("name", [*CASES, "seed-copy"])
def test_the_seed_is_what_lxd_makes(seeds, name):
    if os.environ.get("LXDCORE_TEST_ACCEPT"):
        RECORDED.write_text(json.dumps(seeds, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    assert seeds[name] == json.loads(RECORDED.read_text())[name]


def test_the_recording_has_what_was_asked_for():
    recorded = json.loads(RECORDED.read_text())
    assert DATA.strip() in recorded["seed-user"]["user-data"]["text"]
    assert DATA.strip() in recorded["seed-cloud"]["user-data"]["text"]
    assert recorded["seed-both"]["user-data"]["text"].strip() == "new"
    assert "name: eth0" in recorded["seed-plain"]["network-config"]["text"]
    assert "local-hostname: seed-copy" in recorded["seed-copy"]["meta-data"]["text"]
