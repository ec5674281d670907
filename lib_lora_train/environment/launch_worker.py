"""Starts the worker from any working folder and with any path settings; run as a file, never imported."""

import runpy
import sys
from pathlib import Path

here = Path(__file__).resolve().parent
# Python put this folder first, but its modules must not be importable at the top level.
sys.path[:] = [str(here.parents[1]), *(entry for entry in sys.path if Path(entry).resolve() != here)]
runpy.run_module("lib_lora_train", run_name="__main__", alter_sys=True)
