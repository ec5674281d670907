"""The interface to the webui that the tab needs. Implemented for A1111, Forge and the tests' stand-in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from ..runs.folder import RunFolder
from ..runs.hold import DESCRIBE, PLOT, REGULARIZATION, UPSCALING, Reason
from ..runs.supervisor import Lease, Loan

DATA_FOLDER = "lora_train"
"""Our folder in the webui's data folder."""

AXIS_PREFIX = "[Train LoRA] "
EPOCH, STRENGTH, UNET, TEXT, PRESET, BLOCK = (AXIS_PREFIX + name for name in (
    "Epoch", "Strength", "UNet strength", "Text encoder strength", "Block preset", "Block: value"))
"""The axes that are added to the webui's X/Y/Z plot."""
WITHOUT = "None"
"""The value of an axis that omits the LoRA, or its block weights."""
REMOTE_REFUSED = (
    "The webui can be reached from other machines (--listen, --share, --ngrok or --server-name), and training reads "
    "and writes files, so it is switched off. Start the webui with --enable-insecure-extension-access to allow it, "
    "best together with --gradio-auth.")
"""Shown if the webui's options allow nobody to use the tab."""
NOT_DRAWN_HERE = "Only AUTOMATIC1111's webui can generate images from this tab."
"""Shown if a host has no ``plot_drawer``."""
V_PREDICTION_SOURCES = tuple[Literal["yaml", "mark"], ...]
"""``yaml`` is the model's YAML beside the checkpoint, ``mark`` a tensor ``v_pred`` in an SDXL checkpoint."""
FOR_A_PLOT = Reason(PLOT, "a plot")
FOR_REGULARIZATION = Reason(REGULARIZATION, "regularization images")
FOR_UPSCALING = Reason(UPSCALING, "upscaling images of a dataset")
"""The reason for the webui's lock when the tab generates."""
IMAGE_INPUTS = ("img2img", "inpaint", "extras")
"""The webui's tabs that take an image, by its names."""
FOR_DESCRIPTIONS = Reason(DESCRIBE, "the description of an image")
"""The reason for the webui's lock when its interrogator describes an image."""
NOT_DESCRIBED_HERE = ("This webui has no interrogator (BLIP) that the tab can use. Choose Florence-2, which runs "
                      "beside the tagger.")
"""Shown if a host has no ``describer``."""
NO_BLOCK_WEIGHTS = ("Block weights in the prompt (lbw=) and their two axes of the X/Y/Z plot work in AUTOMATIC1111's "
                    "webui only. The axes for epoch, strength, UNet and text encoder are there.")
"""Shown if the host does not support block weights."""


@dataclass(frozen=True)
class ModelFile:
    """A checkpoint or VAE: its title in the webui, and its file."""

    title: str
    path: Path


@dataclass(frozen=True)
class AccessRules:
    """Who may use the tab, from the webui's own options.

    ``refused`` is a sentence that says why nobody may, or ``None``. ``folders`` are the only folders allowed for
    datasets, or ``None`` for any. ``api_passwords`` maps user to password if the webui requires them. ``hosts`` are
    the host names of the webui besides localhost and IP addresses, ``host_endings`` allowed suffixes
    (``.gradio.live``), ``trusted_origins`` a regular expression of the user for further ones.
    """

    refused: str | None = None
    folders: tuple[Path, ...] | None = None
    api_passwords: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    host_endings: tuple[str, ...] = ()
    trusted_origins: str = ""


@dataclass(frozen=True)
class PlotAxis:
    """One axis of an X/Y/Z plot: its name in the webui, and its values as typed."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Hires:
    """A second pass at a larger size, as txt2img's "Hires. fix".

    The size is ``scale`` times that of the image unless ``resize_x`` or ``resize_y`` is set, in pixels. Empty values,
    or 0 for ``steps``, are those of the first pass.
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

    An empty ``sampler`` is the webui's first one, an empty ``scheduler`` the sampler's default. ``styles`` are names
    from the webui's list.
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
    """Images in rows and columns. ``x`` and ``y`` change the first LoRA in ``prompt``, or any other parameter."""

    prompt: str
    picture: PictureSettings
    x: PlotAxis
    y: PlotAxis
    reason: Reason = FOR_A_PLOT


@dataclass(frozen=True)
class SeriesPlan:
    """Images to generate one after the other, identical except for their prompts.

    The webui's scripts apply only ``with_scripts``, each with its form's initial values. ``reason`` is the reason for
    the lock. ``checkpoint`` is the title of another checkpoint to generate on, empty for the webui's current one; the
    webui loads it for the images, and its own again for the next image of somebody else or with ``own_checkpoint``.
    """

    prompts: tuple[str, ...]
    picture: PictureSettings
    with_scripts: bool = False
    reason: Reason = FOR_REGULARIZATION
    checkpoint: str = ""


class PlotDrawer(Protocol):
    """The webui's own generation and X/Y/Z plot, driven from the tab; each is used for one plot or series."""

    def draw(self, plan: PlotPlan, cell: Callable[[int, int, Image.Image], None]) -> Image.Image | None:
        """Generate ``plan``; waits until the webui is free, and saves the grid in the webui's usual folder.

        ``cell`` is called with each image, its column and row, as soon as it is generated. Returns the whole grid with
        its headings, ``None`` if the webui generated no image. Raises ``RunError`` if it cannot be generated here.
        """
        ...

    def draw_series(self, plan: SeriesPlan, done: Callable[[int, Image.Image], None]) -> None:
        """Generate ``plan``, letting other jobs run between its images; ``done`` is called with each image and its
        number.

        Raises ``RunError`` if a LoRA in a prompt could not be used.
        """
        ...

    def own_checkpoint(self) -> None:
        """Load the checkpoint that the webui's settings name, after images on another; waits until the webui is free.
        """
        ...

    def upscalers(self) -> list[str]:
        """The names of the upscalers that change an image."""
        ...

    def upscale(self, picture: Image.Image, upscaler: str, factor: float) -> Image.Image | None:
        """``picture`` enlarged by ``factor``, its sides rounded down to multiples of 8; waits until the webui is free.

        ``None`` if it was stopped. Raises ``RunError`` if there is no such upscaler.
        """
        ...

    def stop(self) -> None:
        """Skip what has not been generated yet; does nothing if nothing is being generated."""
        ...

    def share_of_picture(self) -> float | None:
        """The progress of the current image, 0 to 1; ``None`` while the webui is busy with something else."""
        ...

    def samplers(self) -> list[str]:
        """The available samplers."""
        ...


class Describer(Protocol):
    """The webui's own interrogator: one sentence for an image."""

    def missing(self) -> str:
        """What would be downloaded before the first description, as a sentence; empty if everything is there."""
        ...

    def describe(self, picture: Image.Image) -> str:
        """The description of an RGB image; waits until the webui is free, and leaves the GPU to it afterwards.

        Loads the interrogator if needed, which downloads what is missing, as the webui itself does. Raises ``RunError``
        if that fails.
        """
        ...


class Host(Protocol):
    """The webui. Every method is quick and may be called from any thread."""

    name: str
    puts_block_weights: bool
    """Whether block weights in a prompt work."""
    reads_v_prediction: V_PREDICTION_SOURCES
    """From what it detects that a checkpoint is a v-prediction model; empty if unknown."""

    def limits(self) -> tuple[str, ...]:
        """What does not work in this webui, one sentence each; empty if everything does."""
        ...

    @property
    def data_dir(self) -> Path:
        """The webui's folder for user data."""
        ...

    @property
    def lora_dir(self) -> Path:
        """The webui's folder for LoRA files."""
        ...

    @property
    def models_dir(self) -> Path:
        """The webui's folder for models, with a subfolder for each kind."""
        ...

    def access(self) -> AccessRules:
        """Who may use the tab."""
        ...

    def reached_from_elsewhere(self) -> bool:
        """Whether the webui can be reached from other machines; also if that is unknown."""
        ...

    def finished_command(self) -> str:
        """The command in the webui's settings to run when the queue is finished; empty for none."""
        ...

    def checkpoint(self) -> ModelFile | None:
        """The checkpoint in use, or the one about to be loaded; never loads it."""
        ...

    def vae(self) -> ModelFile | None:
        """The VAE in use, or ``None`` if it is the checkpoint's own."""
        ...

    def checkpoints(self) -> list[ModelFile]:
        """Every available checkpoint."""
        ...

    def vaes(self) -> list[ModelFile]:
        """Every available VAE."""
        ...

    def model_config(self, family: str) -> Path | None:
        """The webui's default YAML for a checkpoint of ``family`` without its own.

        ``family`` is a name of ``models.family``. ``None`` if the webui reads none.
        """
        ...

    def prediction_of(self, checkpoint: Path) -> str:
        """The prediction type the loaded model is run with: ``eps`` or ``v``; empty if ``checkpoint`` is not loaded."""
        ...

    def clip_skip(self) -> int:
        """The current CLIP skip of generation."""
        ...

    def use_clip_skip(self, layers: int) -> None:
        """Set the CLIP skip of generation."""
        ...

    def device(self) -> str:
        """The device of the webui's models during generation: ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
        ...

    def gpu_bytes(self) -> int | None:
        """The memory of the GPU that the webui uses; ``None`` without one, or if it is unknown."""
        ...

    def gpus(self) -> list[str]:
        """Every CUDA device as ``cuda:0`` …, the webui's own last, so that others are preferred; empty if unknown."""
        ...

    def refresh_loras(self, changed: Path | None = None) -> None:
        """Update the webui's list of LoRAs from the files in ``lora_dir``.

        The metadata of the file ``changed`` is read again. Images that are being generated find their LoRAs throughout.
        """
        ...

    def refresh_checkpoints(self, saved: Collection[Path] = ()) -> None:
        """Update the webui's list of checkpoints from its folders, as ``refresh_loras`` does.

        The files ``saved`` are listed wherever they are.
        """
        ...

    def lend_gpu(self, device: str, changed: Callable[[], None] = lambda: None) -> Lease | None:
        """Begin to free ``device`` for a worker, whatever the webui is doing; ``None`` if nothing has to be freed.

        An empty ``device`` means the worker's default. ``changed`` is called when it is free, or could not be freed,
        and then whenever the webui begins to want it.
        """
        ...

    def txt2img_form(self) -> Mapping[str, Any]:
        """The txt2img controls for generation settings, by their names in the webui's API.

        Called while the webui's page is built; empty if the tab cannot generate images.
        """
        ...

    def image_inputs(self) -> Mapping[str, Any]:
        """The image components of ``img2img``, ``inpaint`` and ``extras``, as far as the webui exposes them.

        Called while the webui's page is built.
        """
        ...

    def gpu_is_wanted(self) -> Reason | None:
        """The reason for which the webui uses, or waits for, what ``lend_gpu`` holds; ``None`` if it does not."""
        ...

    def plot_drawer(self) -> PlotDrawer | None:
        """For one plot or series; ``None`` if the webui cannot be driven from the tab."""
        ...

    def describer(self) -> Describer | None:
        """The webui's interrogator; ``None`` if it has none that can be used."""
        ...

    def lend_model(self, run: RunFolder, changed: Callable[[], None]) -> Loan | None:
        """Begin to offer the loaded model to ``run``, which waits for the answer; ``None`` if it need not.

        ``changed`` is called when the answer is available, and when the run has made its choice.
        """
        ...
