# SPDX-License-Identifier: Apache-2.0
"""Each fault point of the sources belongs to a scenario of some test_faults_*.py."""
import importlib
import pathlib

import pytest

import faults


@pytest.mark.ours
def test_no_fault_point_is_without_a_scenario():
    scenarios = []
    for path in sorted(pathlib.Path(__file__).parent.glob("test_faults_*.py")):
        if path.stem != pathlib.Path(__file__).stem:
            scenarios += importlib.import_module(path.stem).SCENARIOS
    assert faults.unclaimed(scenarios) == []
    for scenario in scenarios:
        assert any(scenario.claims(point) for point in faults.points()), f"no point for {scenario.points}"
