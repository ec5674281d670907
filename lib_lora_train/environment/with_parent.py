"""Runs a Python module (pip, venv) that ends with the process that started it, however that one ends.

    python with_parent.py MODULE ARGUMENT…

The parent holds the other end of this process's standard input. The system closes that end with the parent, even
after a kill, and reading then returns; this works on every system. Only the standard library is used, since this file
also runs in Pythons other than the webui's.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from pathlib import Path


def end_with_parent() -> None:
    """Wait until the parent's end of standard input is closed, then end this process and its children."""
    while os.read(0, 1024):
        pass
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Run the module named in the arguments, as ``python -m`` would."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    here = str(Path(__file__).resolve().parent)  # holds files named like modules of others
    sys.path[:] = [entry for entry in sys.path if entry != here]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
