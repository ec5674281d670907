"""Callbacks as scripts register them; ``clear_callbacks`` comes before scripts are loaded again."""

callback_map = {"ui_tabs": [], "app_started": [], "script_unloaded": [], "before_ui": [], "cfg_denoiser": [],
                "ui_settings": []}


def clear_callbacks():
    for callbacks in callback_map.values():
        callbacks.clear()


def on_ui_tabs(callback, *, name=None):
    callback_map["ui_tabs"].append(callback)


def on_app_started(callback, *, name=None):
    callback_map["app_started"].append(callback)


def on_script_unloaded(callback, *, name=None):
    callback_map["script_unloaded"].append(callback)


def on_before_ui(callback, *, name=None):
    callback_map["before_ui"].append(callback)


def on_cfg_denoiser(callback, *, name=None):
    callback_map["cfg_denoiser"].append(callback)


def on_ui_settings(callback, *, name=None):
    callback_map["ui_settings"].append(callback)
