"""A webui process that lends its model: ``python -m tests.standin.lender CHECKPOINT [float16] [unguarded] [gpu]``.

It reads commands from its input, one JSON list a line, and answers each with one line of JSON:

    ["lend", RUN_FOLDER]    ["begin to lend", RUN_FOLDER]    ["begin to lend in a picture", RUN_FOLDER]
    ["picture", "lora:1", …]    ["load", CHECKPOINT]    ["die in a picture", "lora:1"]
    ["give back"]           ["digest"]                  ["set", {"lowvram": true}]
    ["hires picture", [LORAS OF THE FIRST PASS], [OF THE SECOND]]

With the word "gpu" its model is on a simulated GPU, which a run gets with its model:

    ["picture on the gpu", "lora:1", …]    ["die on the gpu", "lora:1"]

A LoRA may have block weights: "lora:1:lbw=OUTS".
"""

import contextlib
import json
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from .webui import Options, configure, use_standin_modules

use_standin_modules()

import networks  # noqa: E402
import torch  # noqa: E402
from modules import call_queue, devices, sd_models  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from lib_lora_train.blocks.presets import DEFAULT_TEXT, parse_presets  # noqa: E402
from lib_lora_train.blocks.prompt_weights import BlockSpec, read_arguments  # noqa: E402
from lib_lora_train.host import guard as guard_module  # noqa: E402
from lib_lora_train.host.block_weights import BlockStrength  # noqa: E402
from lib_lora_train.host.gpu_lease import GpuLease  # noqa: E402
from lib_lora_train.host.webui import Webui  # noqa: E402
from lib_lora_train.runs.folder import RunFolder  # noqa: E402
from lib_lora_train.runs.lend_ticket import PENDING, read_ticket  # noqa: E402

from .simulated_gpu import GPU, plug_in  # noqa: E402
from .torch_model import WebuiModel, digest  # noqa: E402

SECONDS = 60
PRESETS = parse_presets(DEFAULT_TEXT)[0]


class Lender:
    """Answers commands."""

    def __init__(self, checkpoint: Path, dtype: torch.dtype) -> None:
        configure(Options(data_dir=checkpoint.parent, port=0, checkpoints=(checkpoint,)))
        info = sd_models.model_data.sd_model.sd_checkpoint_info
        self.model = WebuiModel(load_file(checkpoint), info, dtype)
        sd_models.model_data = sd_models.SdModelData()
        sd_models.model_data.set_sd_model(self.model)
        self.loan = self.gpu = self.lease = None
        self.webui = Webui()

    def plug_in(self):
        """Put the model on a GPU."""
        self.gpu = plug_in()
        devices.device, devices.cpu = GPU, torch.device("cpu")
        self.model.to(GPU)

    def begin_to_lend(self, folder):
        """Up to where the run may be started."""
        self.loan = self.webui.lend_model(RunFolder(Path(folder)), lambda: None)
        if not self.loan._settled.wait(SECONDS):
            raise SystemExit("the loan did not settle")
        return read_ticket(Path(folder)).way

    def begin_to_lend_in_a_picture(self, folder):
        with call_queue.queue_lock:
            return self.begin_to_lend(folder)

    def lend(self, folder):
        self.begin_to_lend(folder)
        if self.gpu is not None:
            self.give_gpu()
        deadline = time.monotonic() + SECONDS
        while (ticket := read_ticket(Path(folder))).way == PENDING and time.monotonic() < deadline:
            time.sleep(0.01)
        return {"way": ticket.way, "reason": ticket.reason, "withheld": ticket.withheld}

    def picture(self, *loras):
        with call_queue.queue_lock:
            self.use(loras)
            return digest(self.model)

    def give_gpu(self):
        """Lend the GPU to a run, as the supervisor does."""
        self.lease = GpuLease(self.webui)
        while not self.lease.ready:
            time.sleep(0.005)

    def picture_on_the_gpu(self, *loras):
        """Take the GPU back, make a picture, and lend it again; what was copied: back up, in the picture, and down."""
        self.gpu.forget()
        self.lease.give_back()
        with call_queue.queue_lock:
            up, self.gpu.uploaded = sum(self.gpu.uploaded), []
            self.use(loras)
            seen = digest(self.model)
            self.gpu.forget()
        self.give_gpu()
        return {"digest": seen, "uploaded": up, "downloaded": sum(self.gpu.downloaded), "left": self.gpu.used}

    def die_on_the_gpu(self, *loras):
        self.lease.give_back()
        self.die_in_a_picture(*loras)

    def hires_picture(self, first, second):
        """Two passes behind one lock, with other LoRAs in the second."""
        with call_queue.queue_lock:
            self.use(first)
            between = digest(self.model)
            self.use(second)
            return between, digest(self.model)

    def unlocked_picture(self, *loras):
        """As an extension would that does not know of the lock."""
        self.use(loras)
        return digest(self.model)

    def use(self, loras):
        called = [read_arguments(lora.split(":"), PRESETS) for lora in loras]
        weights = [BlockStrength(float(one.plain[1]), one.spec or BlockSpec(), True) for one in called]
        networks.load_networks([one.plain[0] for one in called], weights, weights)
        for layer in self.model.modules():
            networks.network_apply_weights(layer)

    def die_in_a_picture(self, *loras):
        with call_queue.queue_lock:
            self.use(loras)
            os.kill(os.getpid(), signal.SIGKILL)

    def load(self, checkpoint):
        self.model.load(load_file(checkpoint))
        return digest(self.model)

    def give_back(self):
        self.loan.give_back()
        self.loan.join(SECONDS)
        return not self.loan.is_alive()

    def digest(self):
        return digest(self.model)

    def set(self, fields):
        for name, value in fields.items():
            setattr(self.model, name, value)


def lender_of(checkpoint: str, *words: str) -> Lender:
    """The webui with ``checkpoint`` loaded."""
    if "unguarded" in words:
        guard_module.Guard.add = lambda self, borrower: None
    lender = Lender(Path(checkpoint), torch.float16 if "float16" in words else torch.float32)
    if "gpu" in words:
        lender.plug_in()
    return lender


def answer(lender: Lender, command: str, *arguments):
    """Carry out ``command``."""
    return getattr(lender, command.replace(" ", "_"))(*arguments)


def serve(commands: Connection, *words: str) -> None:
    """As ``main`` with ``words``, but commands and answers go through a pipe."""
    os.set_inheritable(commands.fileno(), False)  # or torch's manager of shared memory would keep it open
    torch.set_num_threads(1)
    lender = lender_of(*words)
    with contextlib.suppress(EOFError):
        while True:
            commands.send(json.dumps(answer(lender, *json.loads(commands.recv()))))


def main() -> None:
    lender = lender_of(*sys.argv[1:])
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(lender, *json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
