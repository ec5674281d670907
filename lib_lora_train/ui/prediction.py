"""v-prediction checkpoints that the webui samples as epsilon prediction: the warning and the YAML that fixes it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from omegaconf import OmegaConf
from pydantic import BaseModel

from ..advice.size import read_header
from ..advice.surroundings import Surroundings
from ..advice.webui_prediction import doubtful_yaml, is_read, prediction_problem, way_out, zero_snr_advice
from ..config.change import changed
from ..config.job import Job
from ..errors import RunError
from ..files.writing import writing
from ..host.interface import Host
from ..models.prediction import VELOCITY, detect_base
from .services import Services
from .train.checkpoint_family import surroundings
from .train.job_request import listed

_SCALING = "model.params.denoiser_config.params.scaling_config.target"
_WEIGHTING = "model.params.denoiser_config.params.weighting_config.target"
_OF_VELOCITY = {_SCALING: "sgm.modules.diffusionmodules.denoiser_scaling.VScaling",
                _WEIGHTING: "sgm.modules.diffusionmodules.denoiser_weighting.VWeighting"}
"""Replaces EpsScaling and EpsWeighting in the YAML of an SDXL v-prediction model."""


class YamlRequest(BaseModel):
    """A checkpoint of the webui's list; ``v_prediction`` if the user, not the file, says v-prediction."""

    checkpoint: str
    v_prediction: bool = False


def register(router: APIRouter, services: Services) -> None:
    """Add ``/prediction-yaml``."""

    def write(request: YamlRequest) -> dict[str, Any]:
        checkpoint = Path(listed(request.checkpoint, services.host.checkpoints(), "checkpoint", "checkpoint"))
        return write_yaml_beside(services.host, checkpoint, said=request.v_prediction)

    router.add_api_route("/prediction-yaml", write, methods=["POST"])


def prediction_notice(host: Host, checkpoint: Path | None, *, said: bool) -> dict[str, Any] | None:
    """Return the warning for images that ``host`` generates with ``checkpoint``, or for a YAML that contradicts it.

    ``None`` if the settings match.

    ``said``: the user has set v-prediction. ``{"text", "yaml", "checkpoint", "said"}``, where ``yaml`` is the name of
    the file that one click writes, empty if there is none.
    """
    if checkpoint is None:
        return None
    around = _around(host, checkpoint, said=said)
    if not around.velocity and not said:
        text = doubtful_yaml(checkpoint.name, around)
        return {"text": text, "yaml": "", "checkpoint": str(checkpoint), "said": False} if text else None
    problem = prediction_problem(checkpoint.name, around)
    if not problem:
        return None
    yaml = checkpoint.with_suffix(".yaml")
    can_write = not is_read(around) and not _stands(yaml) and host.model_config(around.family) is not None
    out = f"Write {yaml.name}, then load the checkpoint again." if can_write else way_out(checkpoint.name, around)
    text = " ".join(part for part in (problem, "The LoRA is trained correctly.", out, zero_snr_advice(around)) if part)
    return {"text": text, "yaml": yaml.name if can_write else "", "checkpoint": str(checkpoint), "said": said}


def write_yaml_beside(host: Host, checkpoint: Path, *, said: bool) -> dict[str, Any]:
    """Write the model's YAML, set to v-prediction, beside ``checkpoint``; returns ``{"text", "yaml"}``.

    Raises ``RunError`` if that would overwrite a file or be wrong, ``CheckpointError`` if it is not a base model,
    ``WriteError`` if the folder is not writable.
    """
    path = checkpoint.with_suffix(".yaml")
    if _stands(path):
        raise RunError(f"{path} is there already, and it is not overwritten. If it is wrong, correct it, or remove it "
                       "and press the button again.")
    header = read_header(checkpoint)
    if header is None:
        raise RunError(f"{checkpoint.name} is no .safetensors file that can be read, so its family is not known, and "
                       "no YAML can be written for it. Take the YAML from where the model came from.")
    family, declared = detect_base(checkpoint, *header)
    if declared is None and not said:
        raise RunError(f"{checkpoint.name} does not say that it predicts velocity. Switch base.v_parameterization on "
                       "if it is a v-prediction model.")
    if declared is not None and declared.kind != VELOCITY:
        raise RunError(f"{checkpoint.name} predicts noise, as {declared.source} says, so it needs no YAML for "
                       "v-prediction.")
    template = host.model_config(family.name)
    if template is None:
        raise RunError(f"{host.name} has no YAML for {family.name} to copy, so none is written. Take it from where the "
                       "model came from.")
    _write_new(path, velocity_yaml(template))
    return {"yaml": path.name, "text": f"{path.name} is written beside {checkpoint.name}. Now load the checkpoint "
            "again: choose another one at the top of the page, then this one."}


def velocity_yaml(template: Path) -> str:
    """Return the webui's YAML ``template`` set to v-prediction, whatever it was."""
    config: Any = OmegaConf.create(template.read_text(encoding="utf-8"))
    if OmegaConf.select(config, _SCALING) is not None:
        for key, target in _OF_VELOCITY.items():
            OmegaConf.update(config, key, target)
    else:
        OmegaConf.update(config, "model.params.parameterization", "v")
    return (f"# Written by Train LoRA: the webui's own {template.name}, set to v-prediction.\n"
            f"{OmegaConf.to_yaml(config)}")


def _around(host: Host, checkpoint: Path, *, said: bool) -> Surroundings:
    job = changed(Job(), {"base.checkpoint": str(checkpoint), "base.v_parameterization": said})
    header = read_header(checkpoint)
    return surroundings(job, host, header[0] if header else {}, None)


def _stands(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _write_new(path: Path, text: str) -> None:
    """Write ``text`` to a new file; a partial file is removed on failure."""
    try:
        with writing(path), path.open("x", encoding="utf-8", newline="\n") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                with contextlib.suppress(OSError):  # the original error says more
                    path.unlink()
                raise
    except FileExistsError:
        raise RunError(f"{path} is there already, and it is not overwritten.") from None
