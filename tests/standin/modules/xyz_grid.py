"""The built-in X/Y/Z plot in small: cells row by row, a picture that cannot be made is skipped."""

import copy
import csv

from modules import processing, sd_models, shared
from PIL import Image


class AxisOption:
    def __init__(self, label, type, apply, format_value=None, confirm=None, cost=0.0, choices=None, prepare=None):
        self.label, self.type, self.apply, self.choices, self.confirm = label, type, apply, choices, confirm


def _apply_prompt(p, x, xs):
    if xs[0] not in p.prompt:
        raise RuntimeError(f"Prompt S/R did not find {xs[0]} in prompt or negative prompt.")
    p.prompt = p.prompt.replace(xs[0], x)


def _apply_seed(p, x, xs):
    p.seed = x


def _apply_checkpoint(p, x, xs):
    p.override_settings = {**p.override_settings, "sd_model_checkpoint": x}


def own_axes():
    return [AxisOption("Nothing", str, lambda p, x, xs: None), AxisOption("Seed", int, _apply_seed),
            AxisOption("Prompt S/R", str, _apply_prompt),
            AxisOption("Checkpoint name", str, _apply_checkpoint, choices=lambda: list(sd_models.checkpoints_list))]


axis_options = own_axes()


class Script:
    __module__ = "xyz_grid.py"
    ARGUMENTS = 18

    def __init__(self):
        self.current_axis_options = list(axis_options)

    def title(self):
        return "X/Y/Z plot"

    def _values(self, p, number, text, listed):
        option = self.current_axis_options[number]
        if option.label == "Nothing":
            return option, [0]
        values = listed if option.choices else next(csv.reader([text], skipinitialspace=True))
        values = [option.type(value) for value in values]
        if option.confirm:
            option.confirm(p, values)
        return option, values

    def run(self, p, x_type, x_values, x_list, y_type, y_values, y_list, z_type, z_values, z_list, *options):
        assert len(options) == 9
        (x_option, xs), (y_option, ys) = (self._values(p, *axis) for axis in (
            (x_type, x_values, x_list), (y_type, y_values, y_list)))
        cells = []
        for row, y in enumerate(ys):
            for column, x in enumerate(xs):
                if shared.state.interrupted:
                    continue
                shared.state.job = f"{column + row * len(xs) + 1} out of {len(xs) * len(ys)}"
                cell = copy.copy(p)
                x_option.apply(cell, x, xs)
                y_option.apply(cell, y, ys)
                try:
                    cells += processing.process_images(cell).images
                except RuntimeError as problem:
                    print(problem)
        grid = Image.new("RGB", (p.width * len(xs), p.height * len(ys)), "white")
        return processing.Processed([grid, *cells] if cells else [])
