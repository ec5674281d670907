"""Brings the webui's lists of LoRAs and checkpoints up to date, at any moment.

The webui's own functions empty a list before they fill it. An image that starts meanwhile is generated without its LoRA
or with another checkpoint, and ``--ckpt`` selects its checkpoint again. Here entries come and go one by one.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Collection, Iterable, MutableMapping
from pathlib import Path
from typing import Any

from ..files.walk import files_below
from ..runs.names import lora_stems

_CHECKPOINT_ENDINGS, _NO_CHECKPOINTS = (".safetensors", ".ckpt"), (".vae.safetensors", ".vae.ckpt")
_OWN_ALIASES = frozenset({"none", "Addams"})
"""Names that the webui itself keeps from being used as an alias."""
_UPDATING = threading.Lock()


def update_loras(networks: Any, folder: Path, changed: Path | None = None) -> None:
    """Remove deleted files from the list of ``networks``, the built-in Lora extension's module, and add those new in
    ``folder``; the metadata of the file ``changed`` is read again.
    """
    if not all(hasattr(networks, name) for name in ("update_available_networks_by_names", "available_network_aliases")):
        if hasattr(networks, "list_available_networks"):  # before 1.10
            networks.list_available_networks()
        return
    known = networks.available_networks
    read_again = None if changed is None else _plain(str(changed))
    with _UPDATING:
        gone = [entry for entry in list(known.values())
                if not Path(entry.filename).is_file() or _plain(entry.filename) == read_again]
        for entries in (known, networks.available_network_aliases, networks.available_network_hash_lookup):
            _remove(entries, gone)
        new = sorted(lora_stems(folder) - known.keys())
        if new:
            networks.update_available_networks_by_names(new)
        if new or gone:
            _settle_aliases(networks)


def update_checkpoints(sd_models: Any, folders: Iterable[Path], saved: Iterable[Path] = ()) -> None:
    """Remove deleted files from the list of ``sd_models``, the webui's module, and add those new in ``folders``.

    The files ``saved`` are added wherever they are: beside a checkpoint from ``--ckpt``, for example.
    """
    if not all(hasattr(sd_models, name) for name in ("CheckpointInfo", "checkpoints_list", "checkpoint_aliases")):
        if hasattr(sd_models, "list_models"):
            sd_models.list_models()
        return
    known, aliases = sd_models.checkpoints_list, sd_models.checkpoint_aliases
    with _UPDATING:
        gone = [info for info in list(known.values()) if not Path(info.filename).is_file()]
        for entries in (known, aliases):
            _remove(entries, gone)
        for info in list(known.values()) if gone else ():
            for alias in info.ids:
                aliases.setdefault(alias, info)
        listed = {_plain(info.filename) for info in list(known.values())}
        there = {*(entry.path for folder in folders for entry in files_below(folder.absolute())),
                 *(str(path.absolute()) for path in saved if path.is_file())}
        found = {os.path.normpath(path) for path in there
                 if path.lower().endswith(_CHECKPOINT_ENDINGS) and not path.endswith(_NO_CHECKPOINTS)}
        for path in sorted(found, key=str.lower):
            if _plain(path) not in listed:
                sd_models.CheckpointInfo(path).register()


def _settle_aliases(networks: Any) -> None:
    """Forbid the aliases that several files have, and no others, as if the list had been read at once."""
    entries, aliases = list(networks.available_networks.values()), networks.available_network_aliases
    holders = Counter(name for entry in entries for name in {entry.name, entry.alias})
    shared = {name.lower() for name, count in holders.items() if count > 1}
    for entry in entries:
        aliases.setdefault(entry.name, entry)
        aliases.setdefault(entry.alias, entry)
    for alias in list(networks.forbidden_network_aliases):
        if alias not in shared | _OWN_ALIASES:
            networks.forbidden_network_aliases.pop(alias, None)


def _remove(entries: MutableMapping[str, Any], gone: Collection[Any]) -> None:
    for key, entry in list(entries.items()):
        if any(entry is one for one in gone):
            entries.pop(key, None)


def _plain(path: str) -> str:
    return os.path.normcase(os.path.normpath(Path(path).absolute()))
