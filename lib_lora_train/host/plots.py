"""The webui's own X/Y/Z plot, driven from the tab: same images, same grid, same folder."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from modules import call_queue, processing, scripts, sd_models, sd_samplers, shared
from PIL import Image

from ..errors import RunError
from .asking import asking_for
from .interface import FOR_A_PLOT, FOR_UPSCALING, Hires, PictureSettings, PlotAxis, PlotPlan, SeriesPlan

_TITLE = "x/y/z plot"
_JOB = "train-lora plot"
_NO_UPSCALER = "None"
_LORA_PROBLEMS = ("Lora not found", "Networks with errors")
"""Beginnings of the webui's comments on an image where a LoRA was not applied, or only partly."""
# The script's arguments after its axes: legend, lone images, sub grids, keeping -1 for seeds, varying seeds along x, y
# and z, margin, and lists as text
_OPTIONS = (True, True, False, False, False, False, False, 2, False)


class Plots:
    """Generates one plot or series in the webui's queue; once stopped, it generates nothing more."""

    def __init__(self) -> None:
        self._drawing = threading.Event()
        self._stopped = threading.Event()

    def draw(self, plan: PlotPlan, cell: Callable[[int, int, Image.Image], None]) -> Image.Image | None:
        """See ``PlotDrawer``."""
        runner = scripts.scripts_txt2img
        with asking_for(plan.reason), call_queue.queue_lock:
            if self._stopped.is_set():
                return None
            arguments = script_arguments(runner, plan)
            with contextlib.closing(_processing(plan.prompt, plan.picture)) as p, self._at_work():
                p.scripts = _Watched(runner, len(plan.x.values), cell)
                p.script_args = arguments
                processed = runner.run(p, *arguments)
        return processed.images[0] if processed is not None and processed.images else None

    def draw_series(self, plan: SeriesPlan, done: Callable[[int, Image.Image], None]) -> None:
        """See ``PlotDrawer``."""
        for number, prompt in enumerate(plan.prompts):
            picture = self._draw_one(plan, prompt)
            if picture is None:
                return
            done(number, picture)

    def _draw_one(self, plan: SeriesPlan, prompt: str) -> Image.Image | None:
        """The image, ``None`` if it was stopped or interrupted."""
        with asking_for(plan.reason), call_queue.queue_lock:
            if self._stopped.is_set():
                return None
            with contextlib.closing(_processing(prompt, plan.picture)) as p, self._at_work():
                if plan.checkpoint:
                    _use_checkpoint(p, plan.checkpoint)
                if plan.with_scripts:
                    p.scripts = scripts.scripts_txt2img
                    p.script_args = (0, *_as_their_forms_begin(p.scripts))
                processed = processing.process_images(p)
                if self._stopped.is_set() or shared.state.interrupted or shared.state.skipped or not processed.images:
                    return None
        missed = [line for line in processed.comments.splitlines() if line.startswith(_LORA_PROBLEMS)]
        if missed:
            raise RunError(f"The webui could not use the LoRA: {'; '.join(missed)}. Its console says more.")
        return processed.images[0]

    def own_checkpoint(self) -> None:
        """See ``PlotDrawer``."""
        with asking_for(FOR_A_PLOT), call_queue.queue_lock, self._at_work():
            sd_models.reload_model_weights()  # as the X/Y/Z plot at its end

    def upscalers(self) -> list[str]:
        """See ``PlotDrawer``."""
        return [upscaler.name for upscaler in shared.sd_upscalers if upscaler.name != _NO_UPSCALER]

    def upscale(self, picture: Image.Image, upscaler: str, factor: float) -> Image.Image | None:
        """See ``PlotDrawer``."""
        with asking_for(FOR_UPSCALING), call_queue.queue_lock:
            if self._stopped.is_set():
                return None
            found = next((one for one in shared.sd_upscalers if one.name == upscaler), None)
            if found is None:
                raise RunError(f"The webui has no upscaler {upscaler!r} any more. Choose another one.")
            with self._at_work():
                enlarged: Image.Image = found.scaler.upscale(picture, factor, found.data_path)
                return None if self._stopped.is_set() or shared.state.interrupted else enlarged

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        shared.state.begin(job=_JOB)
        self._drawing.set()
        try:
            yield
        finally:
            self._drawing.clear()
            shared.state.end()

    def stop(self) -> None:
        """See ``PlotDrawer``."""
        self._stopped.set()
        if self._drawing.is_set():
            shared.state.interrupt()

    def share_of_picture(self) -> float | None:
        """See ``PlotDrawer``."""
        if not self._drawing.is_set():
            return None
        return shared.state.sampling_step / max(1, shared.state.sampling_steps)

    def samplers(self) -> list[str]:
        """See ``PlotDrawer``."""
        return [sampler.name for sampler in sd_samplers.samplers if sampler.name not in shared.opts.hide_samplers]


def _processing(prompt: str, picture: PictureSettings) -> Any:
    p = processing.StableDiffusionProcessingTxt2Img(
        sd_model=shared.sd_model, prompt=prompt, negative_prompt=picture.negative_prompt, styles=list(picture.styles),
        seed=picture.seed, steps=picture.steps, cfg_scale=picture.cfg_scale, width=picture.width,
        height=picture.height, sampler_name=picture.sampler or sd_samplers.samplers[0].name,
        scheduler=picture.scheduler or None, do_not_save_samples=True,
        outpath_samples=shared.opts.outdir_samples or shared.opts.outdir_txt2img_samples,
        outpath_grids=shared.opts.outdir_grids or shared.opts.outdir_txt2img_grids,
        override_settings={"CLIP_stop_at_last_layers": picture.clip_skip},
        **(_second_pass(picture.hires) if picture.hires else {}))
    p.is_api = True  # otherwise scripts of txt2img's form would fill in its values
    return p


def _use_checkpoint(p: Any, title: str) -> None:
    """Generate on another checkpoint, as the X/Y/Z plot does. Raises ``RunError`` if the webui has none of that name.

    Without this check the webui would silently use its own.
    """
    if sd_models.checkpoint_aliases.get(title) is None:
        raise RunError(f"The webui has no checkpoint {title!r} any more. Refresh its list of checkpoints.")
    p.override_settings["sd_model_checkpoint"] = title


def _second_pass(hires: Hires) -> dict[str, Any]:
    return {"enable_hr": True, "denoising_strength": hires.denoising_strength, "hr_scale": hires.scale,
            "hr_upscaler": hires.upscaler, "hr_second_pass_steps": hires.steps, "hr_resize_x": hires.resize_x,
            "hr_resize_y": hires.resize_y, "hr_checkpoint_name": hires.checkpoint or None,
            "hr_sampler_name": hires.sampler or None, "hr_scheduler": hires.scheduler or None,
            "hr_prompt": hires.prompt, "hr_negative_prompt": hires.negative_prompt}


def script_arguments(runner: Any, plan: PlotPlan) -> tuple[Any, ...]:
    """The arguments that the webui would send from txt2img: every script with its initial values, and the plot with
    the axes of ``plan``.
    """
    titles = [script.title().lower() for script in runner.selectable_scripts]
    if _TITLE not in titles:
        raise RunError("The webui has no script X/Y/Z plot. It is one of its own; put scripts/xyz_grid.py back.")
    plot = runner.selectable_scripts[titles.index(_TITLE)]
    arguments = [titles.index(_TITLE) + 1, *_as_their_forms_begin(runner)]
    labels = [option.label for option in plot.current_axis_options]
    axes = [part for axis in (plan.x, plan.y, PlotAxis("Nothing", ())) for part in _axis(labels, axis)]
    arguments[plot.args_from:plot.args_to] = [*axes, *_OPTIONS]
    return tuple(arguments)


def _as_their_forms_begin(runner: Any) -> list[Any]:
    """The initial values of every script's controls, preceded by the index of the selected script."""
    return [getattr(control, "value", None) for control in runner.inputs[1:]]


def _axis(labels: list[str], axis: PlotAxis) -> tuple[int, str, list[str]]:
    """Index of the axis, its values as text, and as the list for axes with choices."""
    if axis.label not in labels:
        raise RunError(f"The webui's X/Y/Z plot has no axis {axis.label!r}. Reload the UI, so that it is added again.")
    quoted = ", ".join(f'"{value.replace(chr(34), chr(34) * 2)}"' if set(value) & set(',"\n') else value
                       for value in axis.values)
    return labels.index(axis.label), quoted, list(axis.values)


class _Watched:
    """The webui's scripts, with a callback for each finished image."""

    def __init__(self, runner: Any, columns: int, cell: Callable[[int, int, Image.Image], None]) -> None:
        self._runner, self._columns, self._cell = runner, columns, cell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def postprocess(self, p: Any, processed: Any) -> None:
        """The plot writes the current cell to the state: "3 out of 12"."""
        self._runner.postprocess(p, processed)
        number = int(str(shared.state.job).split(" ")[0]) - 1
        if processed.images and not shared.state.interrupted:
            self._cell(number % self._columns, number // self._columns, processed.images[0])
