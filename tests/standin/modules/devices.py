class Device:
    """A device's name as torch writes it."""

    def __init__(self, name):
        self.type, _, index = name.partition(":")
        self.index = int(index) if index else None

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"


cpu = Device("cpu")
device = device_interrogate = cpu
fp8 = False


def torch_gc():
    pass
