# SPDX-License-Identifier: Apache-2.0
"""All collections are alike; in process, over the unix socket and over HTTPS."""
import uuid

import pytest


@pytest.fixture
def things(connection):
    """Of each kind one, by the name of its collection."""
    name = "py-" + uuid.uuid4().hex[:8]
    pool = connection.storage_pools.get("default")
    instance = connection.instances.create(name, image="bb")
    volume = pool.volumes.create(name)
    yield {
        "instances": (connection.instances, instance),
        "snapshots": (instance.snapshots, instance.snapshots.create("s")),
        "backups": (instance.backups, instance.backups.create("b", compression="none")),
        "images": (connection.images, connection.images.get("bb")),
        "profiles": (connection.profiles, connection.profiles.get("default")),
        "networks": (connection.networks, connection.networks.get("lo")),
        "storage_pools": (connection.storage_pools, pool),
        "volumes": (pool.volumes, volume),
        "volume snapshots": (volume.snapshots, volume.snapshots.create("s")),
        "volume backups": (volume.backups, volume.backups.create("b", compression="none")),
        "projects": (connection.projects, connection.projects.get("default")),
    }
    instance.delete().result()
    volume.delete()


def test_each_collection_knows_its_own_by_name_and_as_they_are(things):
    for kind, (collection, thing) in things.items():
        assert thing.name in collection, kind
        assert thing in collection and thing in list(collection), kind
        assert thing.name in collection.names(), kind
        assert collection.get(thing.name) == thing, kind
        for absent in ("absent", "", "a/b", "é ?", None, 5):
            assert absent not in collection, (kind, absent)


def test_an_image_is_known_by_its_fingerprint_too(connection):
    image = connection.images.get("bb")
    assert image.fingerprint in connection.images and image.fingerprint[:12] in connection.images
    assert image.fingerprint[:5] not in connection.images and "0" * 64 not in connection.images


def test_operations_are_known_by_their_id(connection, container):
    with container.popen(["sleep", "1"], stdout=None, stderr=None) as process:
        assert process.operation.id in connection.operations and process.operation in connection.operations
    assert str(uuid.uuid4()) not in connection.operations and "" not in connection.operations
