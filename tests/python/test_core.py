# SPDX-License-Identifier: Apache-2.0
"""What is particular to a Core: the state directory is its own."""
import subprocess
import sys

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


def test_importing_needs_no_asyncio_and_no_socket():
    assert run_python("assert not {'asyncio', 'socket'} & set(sys.modules); print('ok')").stdout == "ok\n"
