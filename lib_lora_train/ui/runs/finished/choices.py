"""The choices for when the queue is finished, and the system's commands for them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

NOTHING, NOTIFY, SOUND, COMMAND, SLEEP, SHUT_DOWN = "nothing", "notify", "sound", "command", "sleep", "shut_down"
LABELS: Mapping[str, str] = {
    NOTHING: "Do nothing", NOTIFY: "Show a notification", SOUND: "Play a sound", COMMAND: "Run my command",
    SLEEP: "Put the computer to sleep", SHUT_DOWN: "Shut down the computer"}
ON_PAGE = (NOTHING, NOTIFY, SOUND)
"""The choices that open pages carry out; the others act on the computer."""
WILL: Mapping[str, str] = {
    COMMAND: "Your command runs", SLEEP: "The computer goes to sleep", SHUT_DOWN: "The computer shuts down"}
"""What a countdown announces; "in 2 minutes" follows."""

_WINDOWS = "%SystemRoot%/System32"
POWER_COMMANDS: dict[str, dict[str, tuple[str, ...]]] = {
    "win32": {
        # SetSuspendState of rundll32 would hibernate where hibernation is on
        SLEEP: (f"{_WINDOWS}/WindowsPowerShell/v1.0/powershell.exe", "-NoProfile", "-NonInteractive", "-Command",
                "Add-Type -AssemblyName System.Windows.Forms; "
                "exit [int](-not [System.Windows.Forms.Application]::SetSuspendState('Suspend', $false, $false))"),
        SHUT_DOWN: (f"{_WINDOWS}/shutdown.exe", "/s", "/t", "0")},
    "linux": {SLEEP: ("systemctl", "suspend"), SHUT_DOWN: ("systemctl", "poweroff")},
    "darwin": {SLEEP: ("pmset", "sleepnow"),
               SHUT_DOWN: ("osascript", "-e", 'tell application "System Events" to shut down')}}
"""By ``sys.platform`` and choice: the program and its arguments. Windows would also search the working folder for a
program without a path."""

ONLY_HERE = ("Others can reach this webui from other machines (--listen, --share, --ngrok, --server-name or another "
             "tunnel), are expected to (--gradio-auth, --api-auth), or you use it from another machine. So only a "
             "notification or a sound can be chosen.")
NO_COMMAND = ("No command is set. Type it into the webui's Settings, under Train LoRA, and press Apply settings.")


def power_command(choice: str) -> tuple[str, ...]:
    """The command for ``choice`` (sleep or shut down) on this system; empty if there is none."""
    program, *arguments = POWER_COMMANDS.get(sys.platform, {}).get(choice) or ("",)
    root = os.environ.get("SYSTEMROOT") or "C:/Windows"
    found = shutil.which(str(Path(program.replace("%SystemRoot%", root)))) if program else None
    return (found, *arguments) if found else ()


def refusal(choice: str, *, local: bool, command: str) -> str:
    """Why ``choice`` is not possible now; empty if it is.

    ``local``: whether webui and caller are on this machine only; ``command`` is that of the webui's settings.
    """
    if choice in ON_PAGE:
        return ""
    if not local:
        return ONLY_HERE
    if choice == COMMAND:
        return "" if command.strip() else NO_COMMAND
    if power_command(choice):
        return ""
    wanted = POWER_COMMANDS.get(sys.platform, {}).get(choice)
    return f"{wanted[0]} was not found on this machine." if wanted else f"No command is known for {sys.platform}."
