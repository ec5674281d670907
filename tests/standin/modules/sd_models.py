"""Checkpoints and loaded models; a model is its parameters' device and nothing else."""

import collections
import threading
import types
from pathlib import Path

from modules import devices, lowvram, sd_models_config, shared

checkpoints_list = {}
checkpoint_aliases = {}


class CheckpointInfo:
    def __init__(self, filename):
        self.filename = filename
        self.title = Path(filename).name
        self.ids = [self.title, Path(filename).stem]

    def register(self):
        checkpoints_list[self.title] = self
        for one in self.ids:
            checkpoint_aliases[one] = self


class Model:
    def __init__(self, info):
        self.sd_checkpoint_info = info
        self.lowvram = False
        self.used_config = sd_models_config.find_checkpoint_config_near_filename(info)
        self.parameterization = "v" if self._says_velocity() else "eps"
        self.where = devices.device
        self.moves = []

    def _says_velocity(self):
        text = Path(self.used_config).read_text(encoding="utf-8") if self.used_config else ""
        return "VScaling" in text or "parameterization: v" in text

    def parameters(self):
        return iter([types.SimpleNamespace(device=self.where)])

    def to(self, device):
        self.where = device
        self.moves.append(str(device))


class SdModelData:
    def __init__(self):
        self.sd_model = None
        self.loaded_sd_models = []
        self.lock = threading.Lock()

    def set_sd_model(self, model):
        self.sd_model = model
        if model is not None:
            self.loaded_sd_models.insert(0, model)


model_data = SdModelData()
checkpoints_loaded = collections.OrderedDict()


def send_model_to_cpu(m):
    if m is not None and m.lowvram:
        lowvram.send_everything_to_cpu()
    elif m is not None:
        m.to(devices.cpu)


def send_model_to_device(m):
    if not m.lowvram:
        m.to(devices.device)


reloaded = []


def reload_model_weights(sd_model=None, info=None, forced_reload=False):
    """Notes that the checkpoint of the settings is loaded."""
    reloaded.append(getattr(shared.opts, "sd_model_checkpoint", None))
