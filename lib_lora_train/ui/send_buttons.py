"""Hidden buttons that put an image of the dataset into the webui's img2img, inpaint and Extras.

The page hands over the image; gradio puts it into the component, as the webui's own "Send to" buttons do, so that it
works whatever the component looks like on the page.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..errors import DatasetError
from ..pictures.images import open_picture

BEGIN = "data:image/png;base64,"
BUTTON = "train_lora_send_"
_TAKE = """() => {
    const detail = {};
    document.dispatchEvent(new CustomEvent("train-lora-send", {detail}));
    return [detail.image || ""];
}"""


def add_send_buttons(images: Mapping[str, Any]) -> None:
    """Add a hidden button for each of ``images``, the webui's image components by the name of their tab.

    Must be called within ``gr.Blocks``. The page answers the event ``train-lora-send`` with the image as a data URL.
    """
    if not images:
        return
    given = gr.Textbox(visible=False, elem_id="train_lora_sent")
    given.do_not_save_to_config = True
    for name, component in images.items():
        button = gr.Button(name, elem_id=f"{BUTTON}{name}", elem_classes="train-lora-hidden")
        button.click(image_of, _js=_TAKE, inputs=[given], outputs=[component], show_progress=False, queue=False)


def image_of(text: str) -> Image.Image:
    """The image in the data URL ``text``. Raises ``gr.Error`` with a sentence if there is none."""
    try:
        content = base64.b64decode(text.removeprefix(BEGIN), validate=True)
        return open_picture(Path("The image"), content)
    except (binascii.Error, ValueError, DatasetError) as problem:
        raise gr.Error(f"The image could not be sent: {problem}") from problem
