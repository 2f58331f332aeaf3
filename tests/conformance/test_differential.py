# SPDX-License-Identifier: Apache-2.0
"""The script of REST calls, compared with the replies that a real LXD 5.0.2 gave (tests/data/differential)."""
import importlib.machinery
import importlib.util
import io
import pathlib

import pytest

from conftest import HERE, KIND
from daemons import BUILD, Daemon
from engine import differences, run_script

_loader = importlib.machinery.SourceFileLoader("differential", str(HERE / "differential/differential"))
_spec = importlib.util.spec_from_loader("differential", _loader)
differential = importlib.util.module_from_spec(_spec)
_loader.exec_module(differential)


@pytest.fixture(scope="module")
def replies():
    daemon = Daemon(KIND, name="differential", bridge="lxcdiff0", subnet="10.72.8")
    try:
        daemon.start().setup()
        yield run_script(daemon, {name: make() for name, make in differential.GROUPS.items()})
        left = daemon.stop()
        assert not left, "left on the host:\n" + "\n".join(left)
    finally:
        daemon.stop(remove=False)
        daemon.destroy()


@pytest.mark.limit(300)
@pytest.mark.parametrize("group", differential.GROUPS)
def test_replies_equal_those_of_lxd(group, replies):
    expected = differential.load([group])
    text = io.StringIO()
    different = differential.compare(expected, {group: replies[group]}, out=text)
    report = pathlib.Path(BUILD) / "test-logs" / f"differential-{group}.txt"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(text.getvalue())
    assert different == 0, f"{different} of {len(expected[group])} replies differ, see {report}\n{text.getvalue()[:3000]}"


def test_a_difference_fails_unless_that_field_of_that_step_is_explained():
    def rows(**reply):
        return {"storage": [{"step": "storage/002 GET /1.0/storage-pools/default", "endpoint": "x", "record": reply}]}

    def different(expected, actual):
        text = io.StringIO()
        differential.compare(expected, actual, out=text)
        return "storage/002 GET /1.0/storage-pools/default\n" in text.getvalue()

    assert not different(rows(status=200), rows(status=200, etag="<etag>"))
    assert different(rows(status=200), rows(status=201, etag="<etag>"))
    assert different(rows(status=200), rows(status=200))
    assert different(rows(status=200, body={"a": [{"b": 1}]}), rows(status=200, etag="<etag>", body={"a": [{"b": 2}]}))
    assert differential.field_of("body.a[2].b c: expected 1 got 2") == "body.a[].b_c"


def test_differences_are_found():
    assert differences({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "x"}]}) == []
    assert differences({"a": 1}, {"a": True}) and differences({"a": 1}, {}) and differences({}, {"a": None})
    assert differences([1, 2], [2, 1]) and differences("1", 1)
