"""Pictures in one colour, which is that of their prompt, seed and checkpoint."""

import os
import time
import zlib

from modules import shared
from PIL import Image


class Processed:
    def __init__(self, images):
        self.images = images


class StableDiffusionProcessingTxt2Img:
    def __init__(self, sd_model=None, prompt="", negative_prompt="", seed=-1, steps=20, cfg_scale=7.0, width=512,
                 height=512, sampler_name=None, do_not_save_samples=False, outpath_samples=None, outpath_grids=None,
                 override_settings=None):
        self.prompt, self.negative_prompt, self.seed, self.steps = prompt, negative_prompt, seed, steps
        self.width, self.height, self.override_settings = width, height, override_settings
        self.hr_prompt = ""
        self.sampler_name = sampler_name
        self.scripts = None

    def comment(self, text):
        pass

    def close(self):
        pass


def process_images(p):
    if "broken" in p.prompt:
        raise RuntimeError("A tensor with all NaNs was produced in Unet.")
    for shared.state.sampling_step in range(p.steps):
        time.sleep(float(os.environ.get("STANDIN_PICTURE_STEP_SECONDS", "0")))
        if shared.state.interrupted:
            break
    checkpoint = p.override_settings.get("sd_model_checkpoint", "")
    digest = zlib.crc32(f"{p.prompt}|{p.seed}|{checkpoint}".encode())
    colour = tuple(digest >> shift & 255 for shift in (0, 8, 16))
    processed = Processed([Image.new("RGB", (p.width, p.height), colour)])
    if p.scripts is not None:
        p.scripts.postprocess(p, processed)
    return processed
