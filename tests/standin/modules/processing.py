"""Pictures in one colour, which is that of their prompt, seed and checkpoint."""

import os
import re
import time
import zlib
from pathlib import Path

from modules import shared
from PIL import Image


class Processed:
    def __init__(self, images, comments=""):
        self.images, self.comments = images, comments


class StableDiffusionProcessingTxt2Img:
    def __init__(self, sd_model=None, prompt="", negative_prompt="", seed=-1, steps=20, cfg_scale=7.0, width=512,
                 height=512, sampler_name=None, do_not_save_samples=False, outpath_samples=None, outpath_grids=None,
                 override_settings=None, styles=None, scheduler=None, enable_hr=False, denoising_strength=0.75,
                 hr_scale=2.0, hr_upscaler=None, hr_second_pass_steps=0, hr_resize_x=0, hr_resize_y=0,
                 hr_checkpoint_name=None, hr_sampler_name=None, hr_scheduler=None, hr_prompt="", hr_negative_prompt=""):
        self.prompt, self.negative_prompt, self.seed, self.steps = prompt, negative_prompt, seed, steps
        self.width, self.height, self.override_settings = width, height, override_settings
        self.styles, self.scheduler, self.cfg_scale = styles, scheduler, cfg_scale
        self.enable_hr, self.hr_scale, self.hr_upscaler, self.hr_prompt = enable_hr, hr_scale, hr_upscaler, hr_prompt
        self.sampler_name = sampler_name
        self.scripts = None

    def comment(self, text):
        pass

    def close(self):
        pass


def _lora_comments(prompt):
    """What the built-in Lora extension says of files that it cannot find."""
    called = re.findall(r"<lora:([^:>]+)", prompt)
    missing = [name for name in called if not (Path(shared.cmd_opts.lora_dir) / f"{name}.safetensors").is_file()]
    return f"Lora not found: {', '.join(missing)}\n" if missing else ""


def process_images(p):
    if "broken" in p.prompt:
        raise RuntimeError("A tensor with all NaNs was produced in Unet.")
    shared.state.sampling_steps = p.steps
    for shared.state.sampling_step in range(p.steps):
        time.sleep(float(os.environ.get("STANDIN_PICTURE_STEP_SECONDS", "0")))
        if shared.state.interrupted:
            break
    checkpoint = p.override_settings.get("sd_model_checkpoint", "")
    digest = zlib.crc32(f"{p.prompt}|{p.seed}|{checkpoint}".encode())
    colour = tuple(digest >> shift & 255 for shift in (0, 8, 16))
    scale = p.hr_scale if p.enable_hr else 1
    picture = Image.new("RGB", (int(p.width * scale), int(p.height * scale)), colour)
    picture.info["parameters"] = f"{p.prompt}\nSteps: {p.steps}, Sampler: {p.sampler_name}, Seed: {p.seed}"
    processed = Processed([picture], _lora_comments(p.prompt))
    if p.scripts is not None:
        p.scripts.postprocess(p, processed)
    return processed
