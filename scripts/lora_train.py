"""Registers the Train LoRA tab with the webui; everything else is in lib_lora_train."""

import html
import sys
import traceback

import gradio as gr
from fastapi import FastAPI
from modules import script_callbacks

PROBLEM, HOOKS, HOOKS_PROBLEM = "", None, ""
try:
    from lib_lora_train.host.choose import host_of_this_process
    from lib_lora_train.host.parts import add_settings
    from lib_lora_train.ui.routes import register_problem, register_routes
    from lib_lora_train.ui.services import build_services
    from lib_lora_train.ui.tab import ELEMENT, TITLE, build_tab
    from lib_lora_train.ui.worker_environment import InstalledEnvironment

    script_callbacks.on_ui_settings(add_settings)
except Exception:  # noqa: BLE001  # the webui has to start in any case, and the tab shows the error
    PROBLEM = traceback.format_exc()
try:
    from lib_lora_train.host.generation_hooks import connect_generation

    HOOKS = connect_generation()
except Exception as error:  # noqa: BLE001  # training works without them
    HOOKS_PROBLEM = f"Block weights and the axes of the X/Y/Z plot are off ({type(error).__name__}: {error})."
    traceback.print_exc()


def on_ui_tabs() -> list[tuple[gr.Blocks, str, str]]:
    """Return the tab, or one that shows why it is missing."""
    if not (problem := PROBLEM):
        try:
            host = host_of_this_process()
            limits = [*host.limits(), HOOKS.problem if HOOKS else HOOKS_PROBLEM]
            return [(build_tab(txt2img=host.txt2img_form(), limits=limits, images=host.image_inputs()), TITLE, ELEMENT)]
        except Exception:  # noqa: BLE001  # without a tab nobody would notice
            problem = traceback.format_exc()
    sys.stderr.write(f"Train LoRA could not be loaded:\n{problem}\n")
    with gr.Blocks(analytics_enabled=False) as tab:
        gr.HTML(f"<h3>Train LoRA could not be loaded</h3><pre>{html.escape(problem)}</pre>")
    return [(tab, "Train LoRA", "train_lora")]


def on_app_started(demo: gr.Blocks | None, app: FastAPI) -> None:
    """Add the routes; without a page (``--nowebui``) nothing would call them."""
    if PROBLEM or demo is None:
        return
    try:
        register_routes(app, build_services(host_of_this_process(), InstalledEnvironment()))
    except Exception as problem:  # noqa: BLE001  # the tab exists already and shows it
        traceback.print_exc()
        register_problem(app, problem)


script_callbacks.on_ui_tabs(on_ui_tabs)
script_callbacks.on_app_started(on_app_started)
