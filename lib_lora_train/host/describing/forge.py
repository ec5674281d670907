"""The interrogator of Forge and reForge, which keep its models in patchers of their memory management."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image

from ..parts import part
from .interrogator import Interrogator


class ForgeInterrogator(Interrogator):
    """Forge's and reForge's ``shared.interrogator``."""

    def __init__(self, load_models_gpu: Callable[[list[Any]], object], in_main_thread: Callable[..., Any]) -> None:
        """``in_main_thread(function, *arguments)`` runs a function in the thread that moves models, and waits."""
        self._load_models_gpu = load_models_gpu
        self._in_main_thread = in_main_thread

    def _described(self, picture: Image.Image) -> str:
        found: list[Any] = []
        self._in_main_thread(self._describe_into, picture, found)
        if isinstance(found[0], Exception):
            raise found[0]
        return str(found[0])

    def _describe_into(self, picture: Image.Image, found: list[Any]) -> None:
        try:
            found.append(super()._described(picture))
        except Exception as problem:  # noqa: BLE001  # the thread would keep it to itself; the caller raises it
            found.append(problem)

    def _load(self, interrogator: Any) -> None:
        """As Forge's ``InterrogateModels.load`` does for BLIP."""
        if interrogator.blip_model is None:
            patcher = part("modules.interrogate.ModelPatcher")
            if patcher is None:
                raise RuntimeError("modules.interrogate has no ModelPatcher")
            interrogator.blip_model = interrogator.load_blip_model().to(device=interrogator.offload_device,
                                                                        dtype=interrogator.dtype)
            interrogator.blip_patcher = patcher(interrogator.blip_model, load_device=interrogator.load_device,
                                                offload_device=interrogator.offload_device)
        self._load_models_gpu([interrogator.blip_patcher])
