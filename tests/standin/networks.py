"""The built-in Lora extension: its list of files, and how it puts LoRAs into layers, in place.

A LoRA here is a name: what it adds to a layer follows from the name and the layer's. The arithmetic and the
bookkeeping on the layers (backup, names, restoring when other LoRAs are wanted) are the webui's. torch is imported only
where it is used, since the tab's tests have none.
"""

import json
from pathlib import Path
from types import SimpleNamespace

from modules import shared

available_networks = {}
available_network_aliases = {}
available_network_hash_lookup = {}
forbidden_network_aliases = {}
loaded_networks = []


def list_available_networks():
    """Empties the lists before it fills them, as the webui's does."""
    for known in (available_networks, available_network_aliases, available_network_hash_lookup,
                  forbidden_network_aliases):
        known.clear()
    forbidden_network_aliases.update({"none": 1, "Addams": 1})
    update_available_networks_by_names(None)


def update_available_networks_by_names(names):
    for path in sorted(Path(shared.cmd_opts.lora_dir).rglob("*")):
        if path.suffix not in (".safetensors", ".pt", ".ckpt") or (names and path.stem not in names):
            continue
        entry = SimpleNamespace(name=path.stem, filename=str(path), alias=_output_name(path) or path.stem)
        available_networks[entry.name] = entry
        if entry.alias in available_network_aliases:
            forbidden_network_aliases[entry.alias.lower()] = 1
        available_network_aliases[entry.name] = available_network_aliases[entry.alias] = entry


def _output_name(path):
    """ss_output_name of the metadata; most files of the tests are empty."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length)) if 0 < length < 1_000_000 else {}
    return header.get("__metadata__", {}).get("ss_output_name")


def load_networks(names, te_multipliers=None, unet_multipliers=None, dyn_dims=None):
    loaded_networks.clear()
    for index, name in enumerate(names):
        loaded_networks.append(SimpleNamespace(
            name=name, te_multiplier=te_multipliers[index] if te_multipliers else 1.0,
            unet_multiplier=unet_multipliers[index] if unet_multipliers else 1.0, dyn_dim=None))


def network_restore_weights_from_backup(self):
    import torch

    with torch.no_grad():
        for field, backup in (("weight", getattr(self, "network_weights_backup", None)),
                              ("bias", getattr(self, "network_bias_backup", None))):
            if backup is not None:
                getattr(self, field).copy_(backup)


def network_reset_cached_weight(self):
    self.network_current_names = ()
    self.network_weights_backup = None
    self.network_bias_backup = None


def network_apply_weights(self):
    import torch

    name = getattr(self, "network_layer_name", None)
    if name is None:
        return
    current = getattr(self, "network_current_names", ())
    wanted = tuple((net.name, net.te_multiplier, net.unet_multiplier, net.dyn_dim) for net in loaded_networks)
    if getattr(self, "network_weights_backup", None) is None and wanted != ():
        if current != ():
            raise RuntimeError(f"{name}: no backup")
        self.network_weights_backup = self.weight.detach().to("cpu", copy=True)
    if getattr(self, "network_bias_backup", None) is None and wanted != () and self.bias is not None:
        self.network_bias_backup = self.bias.detach().to("cpu", copy=True)
    if current == wanted:
        return
    network_restore_weights_from_backup(self)
    for net in loaded_networks:
        with torch.no_grad():
            updown = calc_updown(net, name, self.weight)
            self.weight.copy_((self.weight.to(dtype=updown.dtype) + updown).to(dtype=self.weight.dtype))
    self.network_current_names = wanted


def calc_updown(net, layer_name, weight):
    """A low-rank change of ``weight`` that follows from the names."""
    import torch

    random = torch.Generator().manual_seed(sum(map(ord, net.name + layer_name)))
    rows, columns = weight.shape[0], weight[0].numel()
    up, down = torch.randn(rows, 2, generator=random), torch.randn(2, columns, generator=random)
    strength = getattr(net.unet_multiplier, "of", lambda _: net.unet_multiplier)(layer_name)  # as multiplier() gives it
    return (up @ down * 0.05 * strength).reshape(weight.shape).to(torch.float32)
