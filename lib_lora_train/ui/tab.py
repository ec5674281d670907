"""The tab: one empty element that javascript/ fills from the routes."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from .page_modules import main_module
from .send_buttons import add_send_buttons

TITLE = "Train LoRA"
ELEMENT = "train_lora"
READER = "train_lora_txt2img"
_HAND_OVER = """(...values) => {{
    document.dispatchEvent(new CustomEvent("train-lora-txt2img", {{detail: {{names: {names}, values}}}}));
    return [];
}}"""


def build_tab(problem: str = "", txt2img: Mapping[str, Any] | None = None, limits: Sequence[str] = (),
              images: Mapping[str, Any] | None = None) -> gr.Blocks:
    """Return the tab, or a tab that shows ``problem``. Works with gradio 3.41 and 4.40.

    ``limits`` are sentences about what does not work in this webui; empty ones are ignored. ``txt2img`` are the
    controls of txt2img by name. A hidden button passes their values to the page, since only gradio knows them all; the
    server sees none of them until the page sends them. ``images`` are the webui's image components by tab.
    """
    if problem:
        content = f"<h3>The Train LoRA tab could not be loaded</h3><pre>{html.escape(problem)}</pre>"
    else:
        content = _limits(limits) + f'<div id="train_lora_root" data-modules="{main_module()}">Loading …</div>'
    with gr.Blocks(analytics_enabled=False) as tab:
        gr.HTML(content, elem_id="train_lora_frame")
        if txt2img:
            reader = gr.Button("txt2img", elem_id=READER)
            reader.click(None, _js=_HAND_OVER.format(names=json.dumps(list(txt2img))),
                         inputs=list(txt2img.values()), outputs=None, show_progress=False)
        add_send_buttons(images or {})
    return tab


def _limits(limits: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(limit)}</li>" for limit in limits if limit)
    heading = "<summary>What is off in this webui</summary>"
    return items and f'<details id="train_lora_limits">{heading}<ul>{items}</ul></details>'
