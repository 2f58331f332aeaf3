# SPDX-License-Identifier: Apache-2.0
"""What Core and Client have in common: each test runs in process, over the unix socket and over HTTPS."""
import asyncio
import datetime
import os
import pathlib
import signal
import threading
import time
import uuid

import pytest

import lxdcore

from conftest import Ticks


def test_a_command_gives_its_output_and_exit_code(container):
    result = container.exec(["sh", "-c", "cat; echo wrong >&2; exit 3"], input=b"bytes \x00\xff")
    assert result == (3, b"bytes \x00\xff", b"wrong\n")
    assert (result.exit_code, result.stderr) == (3, b"wrong\n")


def test_environment_and_directory_reach_the_command(container):
    assert container.exec(["sh", "-c", "echo $A; pwd"], environment={"A": "b c"}, cwd="/tmp").stdout == b"b c\n/tmp\n"


def test_a_command_that_fails_raises_when_it_was_to_succeed(container):
    with pytest.raises(lxdcore.Error, match="exit code 7: why"):
        container.exec(["sh", "-c", "echo why >&2; exit 7"], check=True)


def test_a_command_that_is_not_there_says_so(container):
    assert container.exec(["/absent"]).exit_code == 127


def test_a_megabyte_goes_through_a_command_and_back(container):
    data = os.urandom(1 << 20)
    assert container.exec(["cat"], input=data).stdout == data


def test_a_process_is_talked_to_through_pipes(container):
    with container.popen(["sh", "-c", "read a; echo got $a; cat >&2; exit 4"], stdin=lxdcore.PIPE) as process:
        process.stdin.write(b"one\n")
        assert process.stdout.readline() == b"got one\n"
        assert process.poll() is None
        process.stdin.write(b"two")
        process.stdin.close()
        assert process.stderr.read() == b"two"
        assert process.wait(30) == 4
    assert process.returncode == 4


def test_a_process_writes_to_a_file_of_ours(container, tmp_path):
    with open(tmp_path / "out", "wb") as out:
        with container.popen(["echo", "hello"], stdout=out, stderr=None) as process:
            assert process.wait(30) == 0
    assert (tmp_path / "out").read_bytes() == b"hello\n"


def test_the_container_is_unprivileged(container):
    inside, outside, _ = container.exec(["cat", "/proc/self/uid_map"]).stdout.split()
    assert inside == b"0" and int(outside) > 0


def test_state_tells_a_running_container(container):
    state = container.state()
    assert state["status"] == "Running" and state["pid"] > 0


def test_an_instance_goes_through_its_life(connection):
    name = "py-" + uuid.uuid4().hex[:8]
    instance = connection.instances.create(name, image="bb", config={"user.a": 1, "security.nesting": True},
                                           description="first")
    assert (instance.status, instance.config["user.a"], instance.config["security.nesting"]) == ("Stopped", "1", "true")
    assert instance.description == "first" and instance.profiles == ["default"]
    assert "root" in instance.expanded_devices and name in connection.instances
    age = datetime.datetime.now(datetime.timezone.utc) - instance.created_at
    assert abs(age) < datetime.timedelta(hours=1)
    assert instance.last_used_at is None or instance.last_used_at.year < 2000
    assert instance.start().status == "Running"
    assert instance.freeze().status == "Frozen"
    assert instance.unfreeze().status == "Running"
    assert instance.stop(force=True).status == "Stopped"
    assert instance.update(config={"user.a": "", "user.b": "2"}).config.get("user.b") == "2"
    assert "user.a" not in instance.config
    assert instance.rename(name + "x").result().name == name + "x"
    assert connection.instances.get(name + "x") == instance
    instance.delete().result()
    assert name + "x" not in connection.instances


def test_an_ephemeral_instance_is_gone_when_it_stops(connection):
    instance = connection.instances.create(image="bb", ephemeral=True, start=True)
    assert instance.name and instance.stop(force=True) is None
    assert instance.name not in connection.instances


def test_files_go_in_and_out(container, tmp_path):
    files = container.files
    files.write("/root/a", b"one\n", mode=0o640, uid=3, gid=4)
    files.write(pathlib.PurePosixPath("/root/a"), b"two\n", append=True)
    assert files.read("/root/a") == b"one\ntwo\n"
    info = files.info("/root/a")
    assert (info.type, info.mode, info.uid, info.gid) == ("file", 0o640, 3, 4)
    assert info.modified.year > 2000
    files.mkdir("/root/d")
    files.symlink("/root/d/link", "../a")
    assert files.list("/root/d") == ["link"]
    assert files.read("/root/d/link") == b"../a"
    data = os.urandom(3_000_000)  # more than a pipe holds
    (tmp_path / "in").write_bytes(data)
    files.push(tmp_path / "in", "/root/big")
    assert files.pull("/root/big", tmp_path / "out").read_bytes() == data
    files.delete("/root/d/link")
    files.delete("/root/d")
    with pytest.raises(lxdcore.NotFoundError):
        files.read("/root/d")
    with pytest.raises(IsADirectoryError):
        files.read("/root")
    with pytest.raises(NotADirectoryError):
        files.list("/root/a")


def test_images_have_names_and_can_be_read_back(connection, image, tmp_path):
    bb = connection.images.get("bb")
    assert bb.aliases == ["bb"] and bb.size == image.stat().st_size
    assert connection.images.get(bb.fingerprint[:12]) == bb
    alias = bb.add_alias("other/name", "of tests")
    assert connection.images.get("other/name") == bb and alias.target == bb.fingerprint
    alias.delete()
    [path] = bb.export(tmp_path)
    assert path.read_bytes() == image.read_bytes()
    assert bb.update(properties={"os": "test"}).properties["os"] == "test"


def test_profiles_are_made_changed_and_removed(connection):
    profile = connection.profiles.create("py-p", config={"user.x": "1"}, devices={"n": {"type": "none"}})
    assert profile.update(config={"user.y": True}).config == {"user.x": "1", "user.y": "true"}
    assert profile.devices == {"n": {"type": "none"}}
    assert profile.replace(config={}, devices={}, description="empty").description == "empty"
    profile.rename("py-q")
    assert "py-q" in [entry.name for entry in connection.profiles]
    profile.delete()
    with pytest.raises(lxdcore.NotFoundError):
        connection.profiles.get("py-q")


def test_pools_and_volumes_are_listed(connection, container):
    pool = connection.storage_pools.get("default")
    assert pool.driver == "dir" and pool.resources()["space"]["total"] > 0
    assert container.name in [volume.name for volume in pool.volumes.list("container")]
    assert pool.volumes.get(container.name, "container").content_type == "filesystem"


def test_networks_of_the_host_are_listed(connection):
    lo = connection.networks.get("lo")
    assert lo.type == "loopback" and not lo.managed and lo in list(connection.networks)


def test_projects_and_settings_are_told(connection):
    assert connection.projects.get("default").name == "default"
    assert connection.server.info()["environment"]["kernel"] == "Linux"
    assert connection.server.resources()["cpu"]["total"] > 0


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.instances.get("absent"), lxdcore.NotFoundError),
        (lambda c: c.images.get("0" * 64), lxdcore.NotFoundError),
        (lambda c: c.images.get("absent"), lxdcore.NotFoundError),
        (lambda c: c.networks.get("absent"), lxdcore.NotFoundError),
        (lambda c: c.storage_pools.get("absent"), lxdcore.NotFoundError),
        (lambda c: c.operations.get(str(uuid.uuid4())), lxdcore.NotFoundError),
        (lambda c: c.instances.create("bad name", image="bb"), lxdcore.InvalidArgumentError),
        (lambda c: c.profiles.create("default"), lxdcore.Error),
        (lambda c: c.instances.create("a", image="bb", copy_of="b"), ValueError),
        (lambda c: c.instances.get("absent").exec("ls"), lxdcore.NotFoundError),
    ],
)
def test_errors_have_their_class(connection, call, error):
    with pytest.raises(error):
        call(connection)


def test_a_command_is_a_list(container):
    with pytest.raises(TypeError):
        container.exec("ls")


def test_a_failed_operation_raises_and_can_be_looked_at(connection, container):
    operation = container.begin("start")
    with pytest.raises(lxdcore.Error, match="already running"):
        operation.result()
    assert operation.done() and operation.status == "Failure" and "already running" in operation.error


def test_events_tell_what_happens(connection, container):
    with connection.events(types=["lifecycle"]) as events:
        container.update(config={"user.seen": "1"})
        event = events.get(timeout=20)
        assert event.action == "instance-updated" and event.source.endswith("/" + container.name)
        assert event.project == "default" and event.timestamp.year > 2000
        assert events.get(timeout=0.05) is None


def test_events_end_when_they_are_closed(connection):
    events = connection.events()
    timer = threading.Timer(0.3, events.close)
    timer.start()
    assert list(events) == []
    timer.join()


def in_threads_of_the_loop(*waiting):
    """Their results, and how often something else had its turn meanwhile."""
    async def main():
        async with Ticks() as ticks:
            results = await asyncio.gather(*(begin() for begin in waiting))
        return results, ticks.count

    return asyncio.run(main())


def test_what_an_operation_promises_is_asked_for_without_blocking_the_loop(connection, container):
    def slow(metadata):
        time.sleep(1)
        return "asked"

    async def wait():
        return await lxdcore.Operation(connection, container.begin("restart", force=True)._raw, slow)

    results, ticks = in_threads_of_the_loop(wait)
    assert results == ["asked"] and ticks > 20


def test_waiting_has_a_limit(container):
    with container.popen(["sleep", "30"], stdout=None, stderr=None) as process:
        assert process.operation.wait(0.1) is False
        with pytest.raises(TimeoutError):
            process.wait(0.1)
        container.stop(force=True)


def test_threads_use_one_connection(container):
    codes = []
    threads = [threading.Thread(target=lambda n=n: codes.append(container.exec(["sh", "-c", f"exit {n}"]).exit_code))
               for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == list(range(8))


def test_other_threads_run_while_one_waits(container):
    ticks = []
    with container.popen(["sleep", "1"], stdout=None, stderr=None) as process:
        waiter = threading.Thread(target=process.wait)
        waiter.start()
        while waiter.is_alive():
            ticks.append(1)
            time.sleep(0.01)
    assert len(ticks) > 10


def test_asyncio_awaits_operations_and_events_without_blocking_the_loop(connection, container):
    async def main():
        async def first_event(events):
            async for event in events:
                return event

        async with Ticks() as ticks:
            with connection.events(types=["lifecycle"]) as events:
                waiting = asyncio.create_task(first_event(events))
                results = await asyncio.gather(container.exec_async(["sh", "-c", "sleep 1; echo a"]),
                                               container.exec_async(["sh", "-c", "sleep 1; echo b"]))
                await container.begin("restart", force=True)
                event = await asyncio.wait_for(waiting, 20)
            with pytest.raises(lxdcore.Error):
                await container.begin("start")
        return ticks.count, [result.stdout for result in results], event.action

    ticks, outputs, action = asyncio.run(main())
    assert ticks > 20 and outputs == [b"a\n", b"b\n"] and action.startswith("instance-")


@pytest.fixture
def interruptible():
    """What runs in the background of a shell has been told to ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_wait(container, interruptible):
    with container.popen(["sleep", "30"], stdout=None, stderr=None) as process:
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            process.wait()
        container.stop(force=True)


def test_a_child_process_is_told_to_open_its_own(connection):
    assert connection.instances.names() is not None
    child = os.fork()
    if child == 0:
        try:
            connection.instances.names()
        except lxdcore.BadStateError:
            connection.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert connection.instances.names() is not None
