# SPDX-License-Identifier: Apache-2.0
"""What is kept of instances and beside them: snapshots, backups, images made of them, custom volumes; the console and
SFTP. In process, over the unix socket and over HTTPS."""
import datetime
import signal
import struct
import time
import uuid

import pytest

import lxdcore


@pytest.fixture
def instance(connection):
    """One that does not run."""
    instance = connection.instances.create("py-" + uuid.uuid4().hex[:8], image="bb")
    yield instance
    instance.refresh()
    if instance.status != "Stopped":
        instance.stop(force=True)
    instance.delete().result()


@pytest.fixture
def pool(connection):
    return connection.storage_pools.get("default")


@pytest.fixture
def volume(pool):
    name = "v-" + uuid.uuid4().hex[:8]
    pool.volumes.create(name, config={"user.a": 1}, description="of tests")
    yield pool.volumes.get(name)
    for volume in pool.volumes.list("custom"):
        if volume.name.startswith(name):
            volume.delete()


def test_a_snapshot_is_made_listed_renamed_and_removed(instance):
    snapshot = instance.snapshots.create("one")
    assert (snapshot.name, snapshot.stateful, snapshot.expires_at) == ("one", False, None)
    age = datetime.datetime.now(datetime.timezone.utc) - snapshot.created_at
    assert abs(age) < datetime.timedelta(hours=1)
    assert snapshot.instance == instance and "one" in instance.snapshots and instance.snapshots.names() == ["one"]
    assert snapshot.rename("two").result() == instance.snapshots.get("two")
    assert [entry.name for entry in instance.snapshots] == ["two"]
    snapshot.delete().result()
    assert instance.snapshots.list() == []
    with pytest.raises(lxdcore.NotFoundError):
        instance.snapshots.get("two")


def test_a_snapshot_without_a_name_gets_one(instance):
    first, second = instance.snapshots.create(), instance.snapshots.create()
    assert (first.name, second.name) == ("snap0", "snap1")


def test_a_snapshot_has_an_end(instance):
    end = datetime.datetime(2100, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    snapshot = instance.snapshots.create("s", expires_at=end)
    assert snapshot.expires_at == end
    later = end + datetime.timedelta(days=1)
    assert snapshot.update(expires_at=later).expires_at == later


def test_restoring_brings_files_and_configuration_back(instance):
    instance.files.write("/root/a", b"before")
    instance.update(config={"user.a": "before"})
    snapshot = instance.snapshots.create("s")
    instance.files.write("/root/a", b"after")
    instance.update(config={"user.a": "after"})
    assert snapshot.restore() is instance
    assert instance.files.read("/root/a") == b"before" and instance.config["user.a"] == "before"


def test_an_instance_is_made_of_a_snapshot(connection, instance):
    instance.files.write("/root/a", b"then")
    instance.snapshots.create("s")
    instance.files.write("/root/a", b"now")
    copy = connection.instances.create(instance.name + "-copy", copy_of=instance.name + "/s")
    assert copy.files.read("/root/a") == b"then" and copy.snapshots.names() == []
    copy.delete().result()


def test_an_instance_and_a_snapshot_become_images(connection, instance):
    instance.files.write("/root/a", b"then")
    snapshot = instance.snapshots.create("s")
    instance.files.write("/root/a", b"now")
    for made, content in ((instance.publish(aliases=["py-now"], properties={"os": "x"}), b"now"),
                          (snapshot.publish(aliases=["py-then"], compression="none"), b"then")):
        image = made.result()
        assert isinstance(image, lxdcore.Image) and len(image.fingerprint) == 64
        image = connection.images.get(image.aliases[0])
        other = connection.instances.create(instance.name + "-i", image=image.aliases[0])
        assert other.files.read("/root/a") == content
        other.delete().result()
        image.delete().result()


def test_a_backup_leaves_as_a_file_and_comes_back_as_an_instance(connection, instance, tmp_path):
    instance.files.write("/root/a", b"kept")
    instance.snapshots.create("s")
    backup = instance.backups.create("b", compression="none")
    assert (backup.name, backup.instance_only, backup.optimized) == ("b", False, False)
    path = backup.export(tmp_path / "b.tar")
    assert path.stat().st_size > 100_000
    assert backup.rename("c").result().name == "c"
    assert [entry.name for entry in instance.backups] == ["c"]
    backup.delete().result()
    assert instance.backups.list() == []
    copy = connection.instances.import_backup(path, name=instance.name + "-b").result()
    assert copy.name == instance.name + "-b" and copy.snapshots.names() == ["s"]
    assert copy.files.read("/root/a") == b"kept"
    copy.delete().result()


def test_a_backup_without_a_name_gets_one(instance):
    assert instance.backups.create(instance_only=True, compression="none").instance_only
    assert [backup.name for backup in instance.backups] == ["backup0"]
    instance.backups.get("backup0").delete().result()


def test_what_is_no_backup_is_refused(connection, tmp_path):
    (tmp_path / "x").write_bytes(b"nothing")
    with pytest.raises(lxdcore.Error):
        connection.instances.import_backup(tmp_path / "x").result()


def test_a_volume_goes_through_its_life(connection, pool, volume):
    assert (volume.type, volume.content_type, volume.pool) == ("custom", "filesystem", "default")
    assert volume.description == "of tests" and volume.config["user.a"] == "1"
    assert volume in list(pool.volumes)
    assert volume.update(config={"user.b": True}).config["user.b"] == "true"
    assert volume.update(config={"user.a": ""}, description="x").description == "x"
    assert "user.a" not in volume.config and volume.config["user.b"] == "true"
    copy = pool.volumes.create(volume.name + "-copy", copy_of=volume)
    assert copy.config["user.b"] == "true" and copy != volume
    assert volume.rename(volume.name + "-x") == pool.volumes.get(volume.name)
    copy.delete()
    with pytest.raises(lxdcore.NotFoundError):
        pool.volumes.get(copy.name)
    with pytest.raises(lxdcore.Error):
        pool.volumes.create(volume.name)


def test_a_volume_is_used_and_brought_back_from_a_snapshot(connection, pool, volume):
    device = {"v": {"type": "disk", "pool": "default", "source": volume.name, "path": "/data"}}
    instance = connection.instances.create("py-" + uuid.uuid4().hex[:8], image="bb", devices=device, start=True)
    try:
        instance.exec(["sh", "-c", "echo one > /data/f"], check=True)
        assert volume.refresh().used_by == [f"/1.0/instances/{instance.name}"]
        snapshot = volume.snapshots.create("s")
        instance.exec(["sh", "-c", "echo two > /data/f"], check=True)
        instance.stop(force=True)
        snapshot.restore()
        instance.start()
        assert instance.exec(["cat", "/data/f"]).stdout == b"one\n"
    finally:
        if instance.refresh().status == "Running":
            instance.stop(force=True)
        instance.delete().result()


def test_snapshots_of_a_volume_are_listed_changed_and_copied(pool, volume):
    end = datetime.datetime(2100, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    snapshot = volume.snapshots.create("s", expires_at=end)
    assert snapshot.name == "s" and snapshot.expires_at == end and snapshot.volume == volume
    assert snapshot.update(description="why").description == "why" and snapshot.expires_at == end
    assert snapshot.rename("t").name == "t" and [entry.name for entry in volume.snapshots] == ["t"]
    copy = pool.volumes.create(volume.name + "-copy", copy_of=snapshot)
    assert copy.snapshots.list() == []
    snapshot.delete().result()
    assert volume.snapshots.list() == []


def test_a_backup_of_a_volume_leaves_as_a_file_and_comes_back(pool, volume, tmp_path):
    volume.snapshots.create("s")
    end = datetime.datetime(2100, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    backup = volume.backups.create("b", compression="none", expires_at=end)
    assert (backup.name, backup.volume_only, backup.optimized, backup.volume) == ("b", False, False, volume)
    assert backup.expires_at == end and backup.created_at is not None
    path = backup.export(tmp_path / "b.tar")
    assert backup.rename("c").result().name == "c"
    assert [entry.name for entry in volume.backups] == ["c"]
    backup.delete().result()
    assert volume.backups.list() == []
    copy = pool.volumes.import_backup(path, name=volume.name + "-b").result()
    try:
        assert copy.name == volume.name + "-b" and copy.config["user.a"] == "1"
        assert [entry.name for entry in copy.snapshots] == ["s"]
    finally:
        copy.delete()


def test_a_volume_is_called_as_its_backup_says(pool, volume, tmp_path):
    backup = volume.backups.create(volume_only=True, compression="gzip")
    assert backup.volume_only and backup.name == "backup0"
    path = backup.export(tmp_path / "b.tar.gz")
    backup.delete().result()
    name = volume.name
    volume.rename(name + "-x")
    other = pool.volumes.import_backup(path).result()
    assert other.name == name
    other.delete()


def test_a_volume_moves_to_another_pool(connection, volume):
    other = connection.storage_pools.create("py-" + uuid.uuid4().hex[:8], driver="dir")
    try:
        volume.move(other.name)
        assert volume.pool == other.name and other.volumes.get(volume.name) == volume
        volume.move("default")
    finally:
        other.delete()


def read_until(console, wanted, seconds=30):
    shown, end = b"", time.monotonic() + seconds
    while wanted not in shown and time.monotonic() < end:
        piece = console.read(timeout=1)
        if piece == b"":
            break
        shown += piece or b""
    return shown


def test_the_console_is_read_and_typed_on(container):
    container.exec(["sh", "-c", "setsid sh -c 'exec <> /dev/console >&0 2>&0; while read l; do echo got $l; done' &"],
                   check=True)
    with container.console(100, 30) as console:
        console.resize(120, 40)
        console.write(b"hello\n")
        assert b"got hello" in read_until(console, b"got hello")
    assert b"got hello" in container.console_log()


def test_the_console_ends_with_the_instance(container):
    with container.console() as console:
        container.stop(force=True)
        while console.read(timeout=30):
            pass


def test_a_command_has_a_terminal(container):
    with container.terminal(["sh", "-c", "stty size; read a; echo got $a; exit 3"], width=100, height=30) as terminal:
        assert b"30 100" in read_until(terminal, b"30 100")
        terminal.write(b"hello\n")
        assert b"got hello" in read_until(terminal, b"got hello")
        read_until(terminal, b"never shown")
        assert terminal.wait(30) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_on_a_terminal_gets_signals(container, number):
    with container.terminal(["sh", "-c", "echo begun; exec sleep 60"]) as terminal:
        assert b"begun" in read_until(terminal, b"begun")
        send = {signal.SIGTERM: terminal.terminate, signal.SIGKILL: terminal.kill}
        send.get(number, lambda: terminal.signal(number))()
        read_until(terminal, b"never shown")
        assert terminal.wait(30) == 128 + number


def test_sftp_answers_with_its_version(container):
    with container.sftp() as session:
        session.sendall(struct.pack(">IBI", 5, 1, 3))
        size, kind, version = struct.unpack(">IBI", session.recv(9, 0x100))  # MSG_WAITALL
        assert (kind, version) == (2, 3)
        assert len(session.recv(size - 5, 0x100)) == size - 5 if size > 5 else True


def test_a_session_that_is_closed_has_ended(container):
    sessions = [container.sftp() for _ in range(5)]
    for session in sessions:
        session.close()
    assert container.exec(["true"]).exit_code == 0


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda i: i.snapshots.get("absent"), lxdcore.NotFoundError),
        (lambda i: i.backups.get("absent"), lxdcore.NotFoundError),
        (lambda i: i.snapshots.create("a/b"), lxdcore.Error),
        (lambda i: i.console(), lxdcore.Error),
        (lambda i: i._connection.storage_pools.get("default").volumes.get("absent"), lxdcore.NotFoundError),
        (lambda i: i._connection.storage_pools.get("default").volumes.create("a b/c"), lxdcore.Error),
        (lambda i: i._connection.storage_pools.get("default").volumes.import_backup("/etc/passwd").result(), lxdcore.Error),
    ],
)
def test_errors_have_their_class(instance, call, error):
    with pytest.raises(error):
        call(instance)
