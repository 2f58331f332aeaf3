# SPDX-License-Identifier: Apache-2.0
"""The examples do what they say."""
import os
import subprocess
import sys

from conftest import BUILD, HELPER, ROOT

EXAMPLES = ROOT / "examples" / "python"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(BUILD / "bindings" / "python"), "LXDCORE_HELPER": str(HELPER)}


def run(name, *arguments):
    return subprocess.run([sys.executable, EXAMPLES / name, *map(str, arguments)], capture_output=True, text=True,
                          timeout=300, env=ENVIRONMENT)


def test_a_container_is_launched_and_again_with_the_image_that_is_there(state_dir, image):
    for _ in range(2):
        result = run("launch.py", state_dir, image, "sh", "-c", "echo out; echo err >&2; exit 5")
        assert (result.returncode, result.stdout, result.stderr) == (5, "out\n", "err\n")


def test_ten_containers_run_at_once_and_show_how_far_they_are(state_dir, image):
    result = run("jobs.py", state_dir, image, "sh", "-c", "echo $(hostname) $JOB; test $JOB != 7")
    assert result.returncode == 1, result.stderr
    shown = sorted(result.stdout.splitlines())
    assert shown == [f"job {n}: exit code {int(n == 7)}: job-{n} {n}" for n in range(10)]
    # How much of it is to be seen depends on how soon the image has been unpacked.
    assert all(line.startswith("job ") and "/s)" in line for line in result.stderr.splitlines())


def test_events_are_shown(daemon, shared_client):
    watching = subprocess.Popen([sys.executable, EXAMPLES / "watch.py", daemon.socket, "1"], env=ENVIRONMENT, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert watching.stderr.readline() == "watching\n"
    shared_client.profiles.create("py-seen")
    out, _ = watching.communicate(timeout=60)
    assert out.endswith(" profile-created /1.0/profiles/py-seen\n") and watching.returncode == 0
    shared_client.profiles.get("py-seen").delete()


def test_without_arguments_they_say_how_they_are_used():
    for name in ("launch.py", "jobs.py"):
        result = run(name)
        assert result.returncode == 2 and f"{name} STATE_DIR IMAGE.tar.gz" in result.stderr
