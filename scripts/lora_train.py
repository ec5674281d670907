"""Registers the Train LoRA tab with the webui; everything else is in lib_lora_train."""

import html
import sys
import traceback

import gradio as gr
from fastapi import FastAPI
from modules import script_callbacks

try:
    from lib_lora_train.host.choose import host_of_this_process
    from lib_lora_train.host.generation_hooks import connect_generation
    from lib_lora_train.ui.routes import register_routes
    from lib_lora_train.ui.services import build_services
    from lib_lora_train.ui.tab import ELEMENT, TITLE, build_tab
    from lib_lora_train.ui.worker_environment import InstalledEnvironment

    PROBLEM = ""
except Exception:  # noqa: BLE001  # whatever it is, the webui has to start, and the tab says what it was
    PROBLEM = traceback.format_exc()


def on_ui_tabs() -> list[tuple[gr.Blocks, str, str]]:
    """The tab, or one that says why there is none."""
    if not PROBLEM:
        return [(build_tab(txt2img=host_of_this_process().txt2img_form()), TITLE, ELEMENT)]
    sys.stderr.write(f"Train LoRA could not be loaded:\n{PROBLEM}\n")
    with gr.Blocks(analytics_enabled=False) as tab:
        gr.HTML(f"<h3>Train LoRA could not be loaded</h3><pre>{html.escape(PROBLEM)}</pre>")
    return [(tab, "Train LoRA", "train_lora")]


def on_app_started(demo: gr.Blocks | None, app: FastAPI) -> None:
    """Serve the tab; without a page (``--nowebui``) nothing would call the routes."""
    if not PROBLEM and demo is not None:
        register_routes(app, build_services(host_of_this_process(), InstalledEnvironment()))


script_callbacks.on_ui_tabs(on_ui_tabs)
script_callbacks.on_app_started(on_app_started)
if not PROBLEM:
    connect_generation()
