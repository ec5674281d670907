"""The webui's scripts: what is registered, and those of txt2img with the built-in X/Y/Z plot among them."""

import importlib
import types

from modules import xyz_grid

scripts_data = []


class ScriptRunner:
    """Scripts share one list of arguments: the number of the chosen script, then each script's own."""

    def __init__(self):
        self.alwayson_scripts = []
        self.selectable_scripts = []
        self.inputs = [None]

    def initialize_scripts(self, is_img2img):
        plot = xyz_grid.Script()
        self.selectable_scripts[:] = [plot]
        self.inputs[:] = [None, *(types.SimpleNamespace(value=None) for _ in range(plot.ARGUMENTS))]
        plot.args_from, plot.args_to = 1, len(self.inputs)

    def run(self, p, *args):
        script = self.selectable_scripts[args[0] - 1]
        return script.run(p, *args[script.args_from:script.args_to])

    def postprocess(self, p, processed):
        pass


def load_scripts():
    """As at a start and at "Reload UI", for what is the webui's own."""
    global scripts_txt2img
    importlib.import_module("networks")  # the built-in Lora extension comes first
    xyz_grid.axis_options[:] = xyz_grid.own_axes()
    scripts_data[:] = [types.SimpleNamespace(script_class=xyz_grid.Script, module=xyz_grid)]
    scripts_txt2img = ScriptRunner()


scripts_txt2img = ScriptRunner()
