"""The tab itself: one empty element that javascript/ fills from the routes."""

from __future__ import annotations

import html

import gradio as gr

TITLE = "Train LoRA"
ELEMENT = "train_lora"


def build_tab(problem: str = "") -> gr.Blocks:
    """The tab; with a ``problem``, a tab that shows it instead. Runs on gradio 3.41 and 4.40 alike."""
    if problem:
        content = f"<h3>The Train LoRA tab could not be loaded</h3><pre>{html.escape(problem)}</pre>"
    else:
        content = '<div id="train_lora_root">Loading …</div>'
    with gr.Blocks(analytics_enabled=False) as tab:
        gr.HTML(content, elem_id="train_lora_frame")
    return tab
