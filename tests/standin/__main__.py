"""``python -m tests.standin --port 7870 --data /tmp/data --checkpoint model.safetensors`` serves the tab."""

from __future__ import annotations

import argparse
import sys
import time
import types
from pathlib import Path

from .environments import MODULES, ReadyEnvironment
from .webui import Options, StandinWebui


def write_power_to(log: Path, countdown: float) -> None:
    """Replace the system's commands, and do not look at other programs, which may well train on this machine.

    The countdown runs six times as fast from when there is a file beside ``log`` that ends in ``.hurry``.
    """
    from lib_lora_train.ui.runs.finished import choices, desk, rule

    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write(sys.argv[2] + chr(10))"
    choices.POWER_COMMANDS[sys.platform] = {
        choice: (sys.executable, "-c", write, str(log), choice) for choice in (choices.SLEEP, choices.SHUT_DOWN)}
    rule.COUNTDOWN_SECONDS = countdown
    hurry = log.with_suffix(".hurry")

    def clock() -> float:
        return time.monotonic() + (5 * max(0.0, time.time() - hurry.stat().st_mtime) if hurry.exists() else 0)

    desk.time = types.SimpleNamespace(time=time.time, sleep=time.sleep, monotonic=clock)
    desk.trainings_elsewhere = lambda known: []


def main(built: StandinWebui | None = None) -> None:
    """Serve what the command line says, with the page of ``built`` if there is one."""
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
    parser.add_argument("--power-log", type=Path, help="written to instead of sleeping or shutting down")
    parser.add_argument("--countdown", type=float, default=120.0, help="seconds before that")
    parser.add_argument("--finished-command", default="", help="the command in the settings for the end of the queue")
    given = parser.parse_args()
    if given.power_log is not None:
        write_power_to(given.power_log, given.countdown)
    user, _, password = (given.auth or "").partition(":")
    vaes = tuple(path.absolute() for path in given.vae)
    options = Options(
        data_dir=given.data.absolute(), port=given.port, device=given.device, listen=given.listen,
        checkpoints=tuple(path.absolute() for path in given.checkpoint), vaes=vaes, vae=vaes[0] if vaes else None,
        auth=(user, password) if given.auth else None, api_auth=given.api_auth,
        hide_ui_dir_config=given.hide_ui_dir_config,
        environment=None if given.worker == "installed" else ReadyEnvironment(given.worker, given.worker_python))
    if built is None:
        webui = StandinWebui(options)
        webui.build()
    else:
        webui = built
        webui.configure(options)
    if given.finished_command:
        from modules import shared

        from lib_lora_train.host.parts import FINISHED_COMMAND

        setattr(shared.opts, FINISHED_COMMAND, given.finished_command)
    webui.serve()
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
