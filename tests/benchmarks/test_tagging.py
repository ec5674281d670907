"""The benchmark of tagging runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_it_compares_the_run_with_a_plain_loop():
    done = subprocess.run([sys.executable, "benchmarks/tagging.py", "--count", "3", "--size", "64", "--rounds", "1"],
                          cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 pictures with tagger/model.onnx")
    assert "ratio" in done.stdout
