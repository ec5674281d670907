"""Planted faults, before a run on the mini checkpoint or in a short one; ``benchmarks/diagnosis.py`` does the same for
many seeds."""

from __future__ import annotations

import pytest
from accelerate.state import AcceleratorState

from benchmarks.diagnosis import judge, measure
from benchmarks.planted import CAPTION, DUPLICATE, FISH, OTHER, TAG
from tests.figures import FULL


@pytest.mark.parametrize("fault", [OTHER, CAPTION, TAG, DUPLICATE])
def test_a_planted_fault_is_among_the_first_findings(fault, tmp_path):
    measure(FISH, fault, 0, tmp_path / fault, steps=3, side=64, per_image=10, train=FULL or fault == CAPTION)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert judge(tmp_path / fault, fault).rank <= 3
