"""reForge's account of what is on the GPU: one model. ``unloaded_in`` names the threads that unloaded it."""

import threading

current_loaded_models = ["unet"]
unloaded_in = []


def unload_all_models():
    unloaded_in.append(threading.current_thread().name)
    current_loaded_models.clear()


def soft_empty_cache(force=False):
    pass


def load_models_gpu(models, memory_required=0):
    for patcher in models:
        patcher.model.to("cuda")
