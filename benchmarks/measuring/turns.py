"""The turns of a GPU that the webui and a run share: who moves how many bytes which way, and for how long.

The webui is a stand-in that holds the checkpoint; what lends, frees, uploads and takes back is the code that does it in
the webui and in the worker. It runs in a process of its own, since the stand-in has the names of the webui's modules.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = Path(__file__).resolve().parents[2]
_TURNS = 3
_WAIT_SECONDS = 120.0


def turns(checkpoint: Path, device: torch.device) -> dict[str, Any]:
    """Each step of lending ``checkpoint`` on ``device``, with seconds, bytes up and bytes down.

    Without a GPU it is simulated by main memory, and only the bytes mean something. Raises ``RuntimeError`` with the
    last line of what went wrong.
    """
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-m", "benchmarks.measuring.turns", str(checkpoint), str(device)], cwd=ROOT,
                          env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Transfers(TorchDispatchMode):
    """The bytes that are copied from main memory to a GPU and back."""

    def __init__(self) -> None:
        super().__init__()
        self.up = self.down = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            # copy_(to, from) gives back its first argument
            source = args[1] if function is torch.ops.aten.copy_.default else args[0]
            for target in tree_leaves(made):
                if source.is_cpu and not target.is_cpu:
                    self.up += target.nbytes
                elif target.is_cpu and not source.is_cpu:
                    self.down += target.nbytes
        return made


Counter = Callable[[], tuple[int, int]]


@contextmanager
def counting(device: torch.device) -> Iterator[tuple[torch.device, Counter]]:
    """The GPU, simulated if ``device`` is none, and what says how many bytes went up and down so far."""
    if device.type != "cpu":
        with Transfers() as transfers:
            yield device, lambda: (transfers.up, transfers.down)
        return
    from tests.standin.simulated_gpu import GPU, plugged_in

    with plugged_in() as gpu:
        yield GPU, lambda: (sum(gpu.uploaded), sum(gpu.downloaded))


def _measured(checkpoint: Path, device: torch.device) -> dict[str, Any]:
    """What ``turns`` answers; to be called in a process that has imported nothing of a webui."""
    from tests.standin.webui import Options, configure, use_standin_modules

    use_standin_modules()
    from modules import devices, sd_models
    from safetensors.torch import load_file

    from lib_lora_train.host.webui import Webui
    from tests.standin.torch_model import WebuiModel

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        gpu, count = stack.enter_context(counting(device))
        configure(Options(data_dir=Path(name), port=0, checkpoints=(checkpoint,), device=str(gpu)))
        devices.cpu, devices.device = torch.device("cpu"), gpu
        info = sd_models.model_data.sd_model.sd_checkpoint_info
        model = WebuiModel(load_file(checkpoint), info, torch.float16)
        sd_models.model_data = sd_models.SdModelData()
        sd_models.model_data.set_sd_model(model)
        model.to(gpu)
        steps = Steps(gpu, count)
        size = sum(parameter.nbytes for parameter in model.parameters())
        return {"simulated": device.type == "cpu", "webui_model_bytes": size,
                **_take_turns(Webui(), checkpoint, Path(name), steps)}


class Steps:
    """What each step took, by its name; of steps that are repeated, the last."""

    def __init__(self, gpu: torch.device, count: Counter) -> None:
        self.gpu = gpu
        self._count = count
        self.taken: dict[str, dict[str, float]] = {}

    def take(self, name: str, work: Callable[[], object]) -> None:
        """Do ``work`` and count."""
        self._wait()
        up, down = self._count()
        began = time.perf_counter()
        work()
        self._wait()
        seconds = time.perf_counter() - began
        now_up, now_down = self._count()
        self.taken[name] = {"seconds": seconds, "bytes_up": now_up - up, "bytes_down": now_down - down}
        if torch.cuda.is_available():
            self.taken[name]["allocated_bytes"] = torch.cuda.memory_allocated(self.gpu)

    def _wait(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize(self.gpu)


def _take_turns(webui: Any, checkpoint: Path, folder: Path, steps: Steps) -> dict[str, Any]:
    """Lend the model, train on it, and let the webui make pictures in between."""
    from lib_lora_train.models.lent import open_lent
    from lib_lora_train.models.load import load_base
    from lib_lora_train.runs.folder import create_run
    from lib_lora_train.runs.lend_ticket import FILE, read_ticket, take_handles
    from lib_lora_train.runs.process import remember_process

    run = create_run(folder / "runs", "turns", _job_yaml(checkpoint, folder))
    remember_process(run)
    loan = webui.lend_model(run, lambda: None)
    _until(lambda: loan.settled)
    steps.take("the webui leaves the GPU, first time", webui.free_gpu)
    ticket = read_ticket(run.path)
    handles = take_handles(run.path)
    if ticket is None or ticket.way == FILE or handles is None:
        loan.give_back()
        loan.join(_WAIT_SECONDS)
        return {"way": FILE, "why": "" if ticket is None else ticket.reason, "steps": steps.taken}
    base = load_base(checkpoint, None, dtype=torch.float16, device="cpu",
                     lent=open_lent(ticket, handles, steps.gpu))
    networks = (base.unet, *base.text_encoders)
    steps.take("the worker uploads, first time", lambda: [base.bring(one, steps.gpu) for one in networks])
    for _ in range(_TURNS):
        steps.take("the worker frees the GPU", lambda: _free(base, networks))
        steps.take("the webui uploads", webui.restore_gpu)
        steps.take("the webui leaves the GPU", webui.free_gpu)
        steps.take("the worker uploads", lambda: [base.bring(one, steps.gpu) for one in networks])
    _free(base, networks)
    webui.restore_gpu()
    loan.give_back()
    loan.join(_WAIT_SECONDS)
    size = sum(parameter.nbytes for one in networks for parameter in one.parameters())
    return {"way": ticket.way, "worker_model_bytes": size, "steps": steps.taken}


def _job_yaml(checkpoint: Path, folder: Path) -> str:
    from lib_lora_train.config.text_yaml import write_yaml

    return write_yaml({"base": {"checkpoint": str(checkpoint)}, "dataset": {"train_data_dir": str(folder)},
                       "training": {"device": "auto", "webui_model": "auto"},
                       "save": {"output_name": "turns", "output_dir": str(folder)}})


def _free(base: Any, networks: Any) -> None:
    for one in networks:
        base.put_away(one)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("The webui has not answered whether it lends its model.")
        time.sleep(0.005)


if __name__ == "__main__":
    print(json.dumps(_measured(Path(sys.argv[1]), torch.device(sys.argv[2]))))
