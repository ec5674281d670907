"""Threads of the worker, and of the benchmarks, that wait give their core to others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
PRINT = f"import os; print(*map(os.environ.get, {NAMES}))"


@pytest.mark.parametrize(("given", "printed"), [({}, "PASSIVE 0"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE 0"),
                                                ({"GOMP_SPINCOUNT": "5"}, "PASSIVE 5")])
def test_threads_that_wait_do_not_spin_unless_the_user_chose_so(given, printed):
    code = "import sys; from lib_lora_train.environment import ensure_worker_interpreter\n" \
           f"ensure_worker_interpreter(); assert 'torch' not in sys.modules; {PRINT}"
    environ = {name: value for name, value in os.environ.items() if name not in NAMES} | given
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, text=True, capture_output=True,
                          check=True)
    assert done.stdout.strip() == printed
