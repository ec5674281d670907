"""``python -m tests.standin --port 7870 --data /tmp/data --checkpoint model.safetensors`` serves the tab."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .environments import MODULES, ReadyEnvironment
from .webui import Options, StandinWebui


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=__doc__)
    parser.add_argument("--port", type=int, default=7870)
    parser.add_argument("--data", type=Path, required=True, help="stands for the webui's --data-dir")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="may be given several times")
    parser.add_argument("--vae", type=Path, action="append", default=[], help="the first is the one in use")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:0 to see the GPU being lent (nothing is moved)")
    parser.add_argument("--auth", help="user:password, as --gradio-auth")
    parser.add_argument("--api-auth", help="user:password")
    parser.add_argument("--listen", action="store_true", help="as if other machines could reach it")
    parser.add_argument("--hide-ui-dir-config", action="store_true")
    parser.add_argument("--worker", choices=("installed", *MODULES), default="installed",
                        help="installed: as in the webui; real: the worker on --worker-python; "
                             "scripted: one that only goes through the motions")
    parser.add_argument("--worker-python", default=sys.executable)
    given = parser.parse_args()
    user, _, password = (given.auth or "").partition(":")
    vaes = tuple(path.absolute() for path in given.vae)
    webui = StandinWebui(Options(
        data_dir=given.data.absolute(), port=given.port, device=given.device, listen=given.listen,
        checkpoints=tuple(path.absolute() for path in given.checkpoint), vaes=vaes, vae=vaes[0] if vaes else None,
        auth=(user, password) if given.auth else None, api_auth=given.api_auth,
        hide_ui_dir_config=given.hide_ui_dir_config,
        environment=None if given.worker == "installed" else ReadyEnvironment(given.worker, given.worker_python)))
    webui.start()
    sys.stdout.write(f"The stand-in webui is at {webui.url}\n")
    sys.stdout.flush()
    try:
        while True:
            webui.restart.wait()
            webui.restart.clear()
            webui.reload_ui()
    except KeyboardInterrupt:
        webui.close()


if __name__ == "__main__":
    main()
