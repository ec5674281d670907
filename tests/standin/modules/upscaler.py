"""The webui's upscalers that need no model."""

from modules import shared
from PIL import Image


class Upscaler:
    def __init__(self, name, resample):
        self.name, self.resample = name, resample

    def upscale(self, img, scale, selected_model=None):
        if "broken" in self.name:
            raise RuntimeError("CUDA out of memory")
        if shared.state.interrupted or self.resample is None:
            return img
        return img.resize((int(img.width * scale) // 8 * 8, int(img.height * scale) // 8 * 8), self.resample)


class UpscalerData:
    def __init__(self, name, path, upscaler=None, scale=4, model=None):
        self.name, self.data_path, self.scaler, self.scale = name, path, upscaler, scale


shared.sd_upscalers[:] = [UpscalerData(name, None, Upscaler(name, resample)) for name, resample in (
    ("None", None), ("Lanczos", Image.Resampling.LANCZOS), ("Nearest", Image.Resampling.NEAREST), ("broken", None))]
