"""The interrogator, of which BLIP describes the mean color of an image."""

import threading

from modules import devices


class Blip:
    """A model that remembers where it is."""

    def __init__(self):
        self.device, self.dtype = "cpu", "float32"

    def to(self, device=None, dtype=None):
        self.device, self.dtype = str(device or self.device), dtype or self.dtype
        return self

    def half(self):
        self.dtype = "float16"
        return self

    def parameters(self):
        return iter([self])


class ModelPatcher:
    """Forge's holder of a model."""

    def __init__(self, model, load_device, offload_device):
        self.model = model


class InterrogateModels:
    blip_model = None
    dtype = None
    running_on_cpu = True
    offload_device, load_device = "cpu", devices.device
    fails = ""
    threads = ()

    def __init__(self):
        self.said = []

    def load_blip_model(self):
        if self.fails:
            raise OSError(self.fails)
        return Blip()

    def generate_caption(self, pil_image):
        self.threads = (*self.threads, threading.current_thread().name)
        red, green, blue = pil_image.convert("RGB").resize((1, 1)).getpixel((0, 0))
        name = {0: "red", 1: "green", 2: "blue"}[max(range(3), key=[red, green, blue].__getitem__)]
        self.said.append((name, self.blip_model.device))
        return f"a {name} picture of {pil_image.width} by {pil_image.height} "

    def send_blip_to_ram(self):
        if self.blip_model is not None:
            self.blip_model = self.blip_model.to("cpu")

    def unload(self):
        self.send_blip_to_ram()
