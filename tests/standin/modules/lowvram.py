"""--medvram: each network is moved to the GPU when it is used, and the one that was there before off it."""

from modules import devices

module_in_gpu = None


def send_me_to_gpu(module):
    global module_in_gpu
    if module_in_gpu is module:
        return
    send_everything_to_cpu()
    module.to(devices.device)
    module_in_gpu = module


def send_everything_to_cpu():
    global module_in_gpu
    if module_in_gpu is not None:
        module_in_gpu.to(devices.cpu)
    module_in_gpu = None
