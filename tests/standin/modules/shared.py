import types
import typing

from modules import interrogate

cmd_opts = types.SimpleNamespace(
    lora_dir=None, api_auth=None, hide_ui_dir_config=False, disable_extension_access=False)
sd_model = None
sd_upscalers = []


class OptionInfo:
    def __init__(self, default=None, label="", section=None, restrict_api=False):
        self.default, self.label, self.section, self.restrict_api = default, label, section, restrict_api


class Options:
    data_labels: typing.ClassVar = {}
    sd_model_checkpoint = None
    CLIP_stop_at_last_layers = 1
    hide_samplers = ()
    outdir_samples = outdir_grids = ""
    outdir_txt2img_samples = outdir_txt2img_grids = "outputs"

    def set(self, key, value, is_api=False, run_callbacks=True):
        if is_api and key in self.data_labels and self.data_labels[key].restrict_api:
            return False
        setattr(self, key, value)
        return True

    def add_option(self, key, info):
        self.data_labels[key] = info
        if not hasattr(self, key):
            setattr(self, key, info.default)


opts = Options()


class State:
    interrupted = skipped = False
    job = ""
    sampling_step = sampling_steps = 0

    def begin(self, job="(unknown)"):
        self.interrupted = self.skipped = False
        self.job = job

    def end(self):
        self.job = ""

    def interrupt(self):
        self.interrupted = True


state = State()


interrogator = interrogate.InterrogateModels()
