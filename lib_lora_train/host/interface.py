"""What the tab needs from its webui. A1111, Forge and the tests' stand-in implement it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from ..runs.folder import RunFolder
from ..runs.hold import PLOT, REGULARIZATION, Reason
from ..runs.supervisor import Lease, Loan

DATA_FOLDER = "lora_train"
"""Our folder in the webui's data folder."""

AXIS_PREFIX = "[Train LoRA] "
EPOCH, STRENGTH, UNET, TEXT, PRESET, BLOCK = (AXIS_PREFIX + name for name in (
    "Epoch", "Strength", "UNet strength", "Text encoder strength", "Block preset", "Block: value"))
"""The axes that are added to the webui's X/Y/Z plot."""
WITHOUT = "None"
"""The value of an axis that leaves the LoRA, or its block weights, out."""
REMOTE_REFUSED = (
    "The webui can be reached from other machines (--listen, --share, --ngrok or --server-name), and training reads "
    "and writes files, so it is switched off. Start the webui with --enable-insecure-extension-access to allow it, "
    "best together with --gradio-auth.")
"""Shown where the webui's options let nobody use the tab."""
NOT_DRAWN_HERE = "Only AUTOMATIC1111's webui can generate images from this tab."
"""Shown where a host has no ``plot_drawer``."""
V_PREDICTION_SOURCES = tuple[Literal["yaml", "mark"], ...]
"""``yaml`` is the model's YAML beside the checkpoint, ``mark`` a tensor ``v_pred`` in an SDXL checkpoint."""
FOR_A_PLOT = Reason(PLOT, "a plot")
FOR_REGULARIZATION = Reason(REGULARIZATION, "regularization images")
"""The reason for the webui's lock when the tab generates."""
NO_BLOCK_WEIGHTS = ("Block weights in the prompt (lbw=) and their two axes of the X/Y/Z plot work in AUTOMATIC1111's "
                    "webui only. The axes for epoch, strength, UNet and text encoder are there.")
"""Shown where the host does not support block weights."""


@dataclass(frozen=True)
class ModelFile:
    """A checkpoint or VAE: the title that the webui shows for it, and its file."""

    title: str
    path: Path


@dataclass(frozen=True)
class AccessRules:
    """Who may use the tab, as the webui's own options say.

    ``refused`` is a sentence that says why nobody may, or ``None``. ``folders`` are the only folders that a dataset
    may lie in, or ``None`` for anywhere. ``api_passwords`` maps user to password where the webui asks for them.
    ``hosts`` are the names that the webui is reached by, beside localhost and IP addresses, ``host_endings`` those that
    begin with anything (``.gradio.live``), ``trusted_origins`` a regular expression of the user for more of them.
    """

    refused: str | None = None
    folders: tuple[Path, ...] | None = None
    api_passwords: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    host_endings: tuple[str, ...] = ()
    trusted_origins: str = ""


@dataclass(frozen=True)
class PlotAxis:
    """One axis of an X/Y/Z plot: what the webui calls it, and its values as they would be typed."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Hires:
    """A second pass at a larger size, as txt2img's "Hires. fix" makes it.

    The size is ``scale`` times that of the picture unless ``resize_x`` or ``resize_y`` is set, in pixels. Whatever is
    empty, or 0 for ``steps``, is as in the first pass.
    """

    upscaler: str
    scale: float = 2.0
    resize_x: int = 0
    resize_y: int = 0
    steps: int = 0
    denoising_strength: float = 0.7
    checkpoint: str = ""
    sampler: str = ""
    scheduler: str = ""
    prompt: str = ""
    negative_prompt: str = ""


@dataclass(frozen=True)
class PictureSettings:
    """How an image is generated, apart from its prompt.

    An empty ``sampler`` is the webui's first one, an empty ``scheduler`` the one that belongs to the sampler.
    ``styles`` are names of the webui's list.
    """

    width: int
    height: int
    steps: int
    cfg_scale: float
    seed: int
    clip_skip: int
    sampler: str = ""
    scheduler: str = ""
    negative_prompt: str = ""
    styles: tuple[str, ...] = ()
    hires: Hires | None = None


@dataclass(frozen=True)
class PlotPlan:
    """Pictures in rows and columns. ``x`` and ``y`` change the first LoRA in ``prompt``, or whatever else."""

    prompt: str
    picture: PictureSettings
    x: PlotAxis
    y: PlotAxis
    reason: Reason = FOR_A_PLOT


@dataclass(frozen=True)
class SeriesPlan:
    """Pictures to be made one after the other, alike but for their prompts.

    The webui's scripts have a part in them only ``with_scripts``, each as its form begins. ``reason`` is why.
    """

    prompts: tuple[str, ...]
    picture: PictureSettings
    with_scripts: bool = False
    reason: Reason = FOR_REGULARIZATION


class PlotDrawer(Protocol):
    """The webui's own generation and X/Y/Z plot, driven from the tab: one plot or series, then it is done with."""

    def draw(self, plan: PlotPlan, cell: Callable[[int, int, Image.Image], None]) -> Image.Image | None:
        """Draw ``plan``; waits until the webui is free, and saves the grid where the webui saves its own.

        ``cell`` is given each picture, with its column and row, as soon as it is made. Returns the whole grid with its
        headings, ``None`` if the webui made no picture. Raises ``RunError`` if it cannot be drawn here.
        """
        ...

    def draw_series(self, plan: SeriesPlan, done: Callable[[int, Image.Image], None]) -> None:
        """Draw ``plan``, and let others draw between its pictures; ``done`` is given each with its number.

        Raises ``RunError`` if a LoRA that a prompt calls could not be used.
        """
        ...

    def stop(self) -> None:
        """Skip what has not been generated yet; does nothing if nothing is being generated."""
        ...

    def share_of_picture(self) -> float | None:
        """How much of the present picture is done, 0 to 1; ``None`` while the webui is busy with something else."""
        ...

    def samplers(self) -> list[str]:
        """The samplers that can be chosen."""
        ...


class Host(Protocol):
    """The webui. Every method is quick and may be called from any thread."""

    name: str
    puts_block_weights: bool
    """Whether block weights in a prompt work."""
    reads_v_prediction: V_PREDICTION_SOURCES
    """Where it reads from that a checkpoint predicts velocity; nothing where that is not known."""

    def limits(self) -> tuple[str, ...]:
        """What does not work in this webui, a sentence each; empty where everything does."""
        ...

    @property
    def data_dir(self) -> Path:
        """The folder that the webui keeps the user's data in."""
        ...

    @property
    def lora_dir(self) -> Path:
        """The folder that the webui reads LoRA files from."""
        ...

    @property
    def models_dir(self) -> Path:
        """The folder that the webui keeps models of every kind in, each kind in a folder of its own."""
        ...

    def access(self) -> AccessRules:
        """Who may use the tab."""
        ...

    def checkpoint(self) -> ModelFile | None:
        """The checkpoint in use, or the one that is about to be loaded; never loads it."""
        ...

    def vae(self) -> ModelFile | None:
        """The VAE in use, or ``None`` if it is the checkpoint's own."""
        ...

    def checkpoints(self) -> list[ModelFile]:
        """Every checkpoint that can be chosen."""
        ...

    def vaes(self) -> list[ModelFile]:
        """Every VAE that can be chosen."""
        ...

    def model_config(self, family: str) -> Path | None:
        """The model's YAML that the webui reads for a checkpoint of ``family`` that has none beside it.

        ``family`` is a name of ``models.family``. ``None`` where the webui reads none.
        """
        ...

    def drawn_prediction(self, checkpoint: Path) -> str:
        """What the loaded model is drawn as: ``eps`` or ``v``; empty if ``checkpoint`` is not loaded."""
        ...

    def clip_skip(self) -> int:
        """The CLIP skip that pictures are made with now."""
        ...

    def use_clip_skip(self, layers: int) -> None:
        """Make pictures with this CLIP skip from now on."""
        ...

    def device(self) -> str:
        """Where the webui's models live while pictures are made: ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
        ...

    def refresh_loras(self) -> None:
        """Let the webui's list of LoRAs hold the files that are in ``lora_dir`` now."""
        ...

    def refresh_checkpoints(self) -> None:
        """Let the webui's list of checkpoints hold the files that are in its folders now."""
        ...

    def lend_gpu(self, device: str) -> Lease | None:
        """Begin to free ``device`` for a worker, whatever the webui is doing; ``None`` if nothing has to be freed.

        An empty ``device`` means the one that the worker would choose by itself.
        """
        ...

    def txt2img_form(self) -> Mapping[str, Any]:
        """The controls of txt2img that say how a picture is drawn, by the names that the webui's API has for them.

        Called while the webui's page is built; empty where pictures cannot be drawn from the tab.
        """
        ...

    def gpu_is_wanted(self) -> Reason | None:
        """What in the webui is using what ``lend_gpu`` holds, or waits for it; ``None`` for nothing."""
        ...

    def plot_drawer(self) -> PlotDrawer | None:
        """For one plot or series; ``None`` where the webui cannot be driven from the tab."""
        ...

    def lend_model(self, run: RunFolder, changed: Callable[[], None]) -> Loan | None:
        """Begin to offer the loaded model to ``run``, which waits for the answer; ``None`` if it need not.

        ``changed`` is called when the answer is there, and when the run has made its choice.
        """
        ...
