"""The models' YAMLs, cut down to what tells v-prediction from noise, and the one beside a checkpoint."""

from pathlib import Path

_CONFIGS = Path(__file__).resolve().parents[1] / "configs"

config_default = str(_CONFIGS / "v1-inference.yaml")
config_sd2 = str(_CONFIGS / "v2-inference.yaml")
config_sd2v = str(_CONFIGS / "v2-inference-v.yaml")
config_sdxl = str(_CONFIGS / "sd_xl_base.yaml")


def find_checkpoint_config_near_filename(info):
    config = Path(info.filename).with_suffix(".yaml")
    return str(config) if config.exists() else None
