"""The webui's own interrogator, which describes an image with BLIP: only its sentence, without CLIP's list of flavors.

Each image takes the webui's lock for itself, so that what the user generates comes in between.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modules import call_queue, devices, paths, shared
from PIL import Image

from ...errors import RunError
from ..asking import asking_for
from ..interface import FOR_DESCRIPTIONS
from ..parts import part

_JOB = "train-lora describe"
_TOKENIZER, _TOKENIZER_FILE = "bert-base-uncased", "vocab.txt"
_MODEL = "model_base_caption_capfilt_large.pth"
_MODEL_ENDINGS = (".pth", ".safetensors")


class Interrogator:
    """AUTOMATIC1111's ``shared.interrogator``."""

    def missing(self) -> str:
        """See ``Describer``: BLIP's weights in the models folder, and its tokenizer in the Hugging Face cache."""
        wanted = [] if self._has_model() else [f"its model (900 MB, into {self._folder()})"]
        cached = part("huggingface_hub.try_to_load_from_cache")
        if cached is None or not isinstance(cached(_TOKENIZER, _TOKENIZER_FILE), str):
            wanted.append(f"the tokenizer {_TOKENIZER} (0.7 MB, from huggingface.co)")
        return f"The webui's interrogator would download {' and '.join(wanted)}." if wanted else ""

    def describe(self, picture: Image.Image) -> str:
        """See ``Describer``."""
        with asking_for(FOR_DESCRIPTIONS), call_queue.queue_lock:
            shared.state.begin(job=_JOB)
            try:
                return self._described(picture)
            except Exception as problem:  # the webui's, torch's or the network's
                if not self._has_model():  # the webui keeps to itself why a download failed
                    raise RunError("The model of the webui's interrogator was not downloaded. Check the network, or "
                                   f"put {_MODEL} into {self._folder()}.") from problem
                raise RunError(f"The webui's interrogator could not describe an image: {type(problem).__name__}: "
                               f"{problem}. See the webui's console. Without a network, its files have to be "
                               "there already.") from problem
            finally:
                shared.state.end()

    @staticmethod
    def _folder() -> Path:
        return Path(paths.models_path).absolute() / "BLIP"

    def _has_model(self) -> bool:
        return any(path.suffix in _MODEL_ENDINGS for path in self._folder().rglob("*") if path.is_file())

    def _described(self, picture: Image.Image) -> str:
        interrogator = shared.interrogator
        try:
            self._load(interrogator)
            return str(interrogator.generate_caption(picture)).strip()
        finally:
            interrogator.send_blip_to_ram()
            devices.torch_gc()

    def _load(self, interrogator: Any) -> None:
        """As ``InterrogateModels.load`` does for BLIP; that one loads CLIP too."""
        make_room = part("modules.lowvram.send_everything_to_cpu")
        if make_room is not None:
            make_room()
        if interrogator.blip_model is None:
            model = interrogator.load_blip_model()
            half = not getattr(shared.cmd_opts, "no_half", False) and not interrogator.running_on_cpu
            interrogator.blip_model = model.half() if half else model
        interrogator.blip_model = interrogator.blip_model.to(devices.device_interrogate)
        interrogator.dtype = next(interrogator.blip_model.parameters()).dtype
