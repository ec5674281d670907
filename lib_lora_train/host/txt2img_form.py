"""The values of the webui's txt2img form, for images that the tab generates as txt2img would."""

from __future__ import annotations

from typing import Any

from modules import infotext_utils

_NAMES = ("negative_prompt", "styles", "steps", "sampler_name", "scheduler", "cfg_scale", "width", "height", "seed",
          "enable_hr", "denoising_strength", "hr_scale", "hr_upscaler", "hr_second_pass_steps", "hr_resize_x",
          "hr_resize_y", "hr_checkpoint_name", "hr_sampler_name", "hr_scheduler", "hr_prompt", "hr_negative_prompt")


def txt2img_controls() -> dict[str, Any]:
    """The form's controls by their names in the webui's API, as far as the webui exposes them."""
    fields = infotext_utils.paste_fields.get("txt2img", {}).get("fields") or []
    known = {getattr(field, "api", None): field.component for field in fields}
    return {name: known[name] for name in _NAMES if name in known}
