"""Choice of onnxruntime's execution provider for a tagger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CPU = "CPUExecutionProvider"
_BY_CHOICE = {
    "cuda": ("CUDAExecutionProvider",),
    "rocm": ("ROCMExecutionProvider", "MIGraphXExecutionProvider"),
    "directml": ("DmlExecutionProvider",),
    "cpu": (CPU,),
}
_WORDS = {"CUDAExecutionProvider": "the GPU (CUDA)", "ROCMExecutionProvider": "the GPU (ROCm)",
          "MIGraphXExecutionProvider": "the GPU (ROCm, MIGraphX)", "DmlExecutionProvider": "the GPU (DirectML)",
          CPU: "the CPU"}
_HOW_TO_GET = {
    "cuda": "It needs an NVIDIA card and the package onnxruntime-gpu, which is installed when CUDA is first chosen.",
    "rocm": "It needs an AMD card on Linux and AMD's own build of onnxruntime, which has to be installed by hand.",
    "directml": "It needs Windows and the package onnxruntime-directml, which is installed when it is first chosen.",
}


@dataclass(frozen=True)
class ProviderChoice:
    """The providers to try in order, the CPU last; ``fallback`` is a message if the requested one is unavailable."""

    providers: tuple[str, ...]
    fallback: str | None = None


def choose_providers(wanted: str, available: Sequence[str]) -> ProviderChoice:
    """The providers for the setting ``wanted`` among those that this onnxruntime has, ``available``."""
    if wanted == "auto":
        found = [name for names in _BY_CHOICE.values() for name in names if name in available]
        return ProviderChoice(tuple(found) or (CPU,))
    names = [name for name in _BY_CHOICE[wanted] if name in available]
    if not names:
        return ProviderChoice((CPU,), f"tagger.provider is {wanted}, but this onnxruntime has only "
                                      f"{', '.join(available)}. {_HOW_TO_GET.get(wanted, '')} The run continues with "
                                      "the CPU.")
    return ProviderChoice((*names, CPU) if wanted != "cpu" else tuple(names))


def in_words(provider: str) -> str:
    """The provider's name for messages: ``the GPU (CUDA)`` for ``CUDAExecutionProvider``."""
    return _WORDS.get(provider, provider)
