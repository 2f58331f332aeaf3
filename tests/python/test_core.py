# SPDX-License-Identifier: Apache-2.0
"""What is particular to a Core: the state directory is its own."""
import logging
import subprocess
import sys
import uuid

import pytest

import lxdcore

from conftest import BUILD, HELPER, prepare


def test_a_second_core_on_the_directory_is_refused(state_dir):
    with lxdcore.Core(state_dir, helper=HELPER) as core:
        assert core.state_dir == state_dir
        with pytest.raises(lxdcore.BadStateError):
            lxdcore.Core(state_dir, helper=HELPER)


def test_a_closed_core_says_so_and_leaves_the_directory_to_others(state_dir):
    core = lxdcore.Core(state_dir, helper=HELPER)
    core.close()
    core.close()
    assert core.closed
    with pytest.raises(lxdcore.BadStateError):
        core.instances.list()
    lxdcore.Core(state_dir, helper=HELPER).close()


def test_containers_outlive_a_core(state_dir, image):
    with lxdcore.Core(state_dir, helper=HELPER) as core:
        prepare(core, image)
        pid = core.instances.create("c1", image="bb", start=True).state()["pid"]
    with lxdcore.Core(state_dir, helper=HELPER) as core:
        c1 = core.instances.get("c1")
        assert c1.status == "Running" and c1.state()["pid"] == pid
        c1.stop(force=True)
        c1.delete().result()


def run_python(text, *arguments):
    code = f"import sys; sys.path.insert(0, {str(BUILD / 'bindings/python')!r})\nimport lxdcore\n" + text
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def test_the_interpreter_can_end_while_operations_run(state_dir, image):
    result = run_python("""
import threading
core = lxdcore.Core(sys.argv[1], helper=sys.argv[2])
core.storage_pools.create("default")
core.profiles.get("default").update(devices={"root": {"type": "disk", "path": "/", "pool": "default"}})
core.images.import_file(sys.argv[3], aliases=["bb"]).result()
c1 = core.instances.create("c1", image="bb", start=True)
process = c1.popen(["sleep", "2"], stdout=None, stderr=None)
waiter = threading.Thread(target=process.wait, daemon=True)
waiter.start()
events = core.events()
core.instances.begin_create("c2", image="bb")
print("left")
""", state_dir, HELPER, image)
    assert (result.returncode, result.stdout) == (0, "left\n"), result.stderr
    with lxdcore.Core(state_dir, helper=HELPER) as core:
        for instance in core.instances:
            if instance.status == "Running":
                instance.stop(force=True)
            instance.delete().result()


CLIENT_WITH_ALL = """
import os, threading, time
client = lxdcore.Client(sys.argv[1])
c = client.instances.get(sys.argv[2])
process = c.popen(["sleep", "5"], stdout=None, stderr=None)
events = client.events()
threading.Thread(target=lambda: list(events), daemon=True).start()
threading.Thread(target=process.wait, daemon=True).start()
"""


@pytest.fixture
def running(shared_client):
    instance = shared_client.instances.create("py-end-" + uuid.uuid4().hex[:8], image="bb", start=True)
    yield instance
    instance.stop(force=True)
    instance.delete().result()


def test_the_interpreter_can_end_while_a_client_waits_for_all_sorts(daemon, running):
    result = run_python(CLIENT_WITH_ALL + "print('left')", daemon.socket, running.name)
    assert (result.returncode, result.stdout, result.stderr) == (0, "left\n", "")


def test_the_interpreter_can_end_with_an_exception(daemon, running):
    result = run_python(CLIENT_WITH_ALL + "raise SystemExit(7)", daemon.socket, running.name)
    assert (result.returncode, result.stderr) == (7, "")


FORK = """
with client.events() as mine, c.popen(["sleep", "1"], stdout=None, stderr=None) as other, c.console() as console:
    child = os.fork()
    if child == 0:
        try:
            client.instances.names()
        except lxdcore.BadStateError:
            sys.exit(3)  # and through all that was opened with `with`, and through atexit
    end = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
        time.sleep(0.01)
    print(os.waitstatus_to_exitcode(ended[1]) if ended[0] else "it hangs")
    c.update(config={"user.after": "1"})
    assert any(event.action == "instance-updated" for event in iter(lambda: mine.get(timeout=30), None))
    assert other.wait(30) == 0
print(c.exec(["echo", "works"]).stdout)
"""


def test_a_child_ends_normally_and_leaves_the_parent_alone(daemon, running):
    result = run_python(CLIENT_WITH_ALL + FORK, daemon.socket, running.name)
    assert (result.returncode, result.stdout, result.stderr) == (0, "3\nb'works\\n'\n", "")


def test_a_child_of_a_core_ends_normally_and_leaves_the_parent_alone(state_dir, image):
    result = run_python("""
import os, time
core = lxdcore.Core(sys.argv[1], helper=sys.argv[2])
core.storage_pools.create("default")
core.images.import_file(sys.argv[3], aliases=["bb"]).result()
client = core
c = core.instances.create("c1", image="bb", devices={"root": {"type": "disk", "path": "/", "pool": "default"}},
                          ephemeral=True, start=True)
""" + FORK + "c.stop(force=True)", state_dir, HELPER, image)
    assert (result.returncode, result.stdout, result.stderr) == (0, "3\nb'works\\n'\n", "")


def test_a_view_of_a_project_is_closed_at_the_end_too(daemon):
    result = run_python("""
import atexit
view = lxdcore.Client(sys.argv[1]).in_project("default")
view.instances.names()
atexit.unregister(lxdcore._connection._close_all)
atexit.register(lambda: print(view.closed))
atexit.register(lxdcore._connection._close_all)
print(view.closed)
""", daemon.socket)
    assert (result.stdout, result.stderr) == ("False\nTrue\n", "")


def test_what_a_core_has_to_tell_goes_to_a_logger(state_dir, image, caplog):
    log = logging.getLogger("of-tests")
    with caplog.at_level(logging.DEBUG, "of-tests"):
        with lxdcore.Core(state_dir, helper=HELPER, log=log) as core:
            prepare(core, image)
            c1 = core.instances.create("c1", image="bb", ephemeral=True, start=True)
            with c1.console() as console:
                console._control.send({"command": "window-resize"})  # without a size
            c1.stop(force=True)
            del c1, console
    [record] = [record for record in caplog.records if "control message" in record.getMessage()]
    assert (record.name, record.levelno, record.lxdcore["level"]) == ("of-tests", logging.DEBUG, "DEBUG")
    assert "err=" in record.getMessage() and record.lxdcore["message"] == "Bad control message"


def test_a_core_without_privileged_containers_refuses_them(state_dir):
    with lxdcore.Core(state_dir, helper=HELPER, unprivileged_only=True) as core:
        core.storage_pools.create("default")
        with pytest.raises(lxdcore.Error, match="(?i)privileged"):
            core.instances.create("c", config={"security.privileged": True},
                                  devices={"root": {"type": "disk", "path": "/", "pool": "default"}})


def test_importing_needs_nothing_that_takes_long():
    assert run_python("assert not {'asyncio', 'socket', 'logging'} & set(sys.modules); print('ok')").stdout == "ok\n"
