"""A webui in this process with its model on a simulated GPU, and how its memory is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from modules import devices, sd_models
from safetensors.torch import load_file, save_file
from torch import Tensor

from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.host.lent_layers import checkpoint_key
from lib_lora_train.host.webui import Webui
from lib_lora_train.models.lent import LentWeights, open_lent
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.runs.lend_ticket import LendTicket, read_ticket, take_handles
from lib_lora_train.runs.process import remember_process
from tests.models.tiny_checkpoint import few_words, make_micro
from tests.standin.simulated_gpu import GPU, SimulatedGpu, plugged_in
from tests.standin.torch_model import WebuiModel
from tests.standin.webui import Options, configure

SECONDS = 120
SPOT_BYTES = 16 * 8
"""What it takes to look at a few values of a tensor: their places go up, and they come down."""


@dataclass
class GpuWebui:
    """A webui with its model on a simulated GPU, and the runs that it lends to."""

    webui: Webui
    model: WebuiModel
    gpu: SimulatedGpu
    folder: Path
    values: dict[str, Any]
    loans: list[Any]

    def run(self, name: str = "penny", **training: Any) -> RunFolder:
        """A run whose worker this process is."""
        job = job_from({**self.values, "training": {"max_train_epochs": 1, "device": "auto", **training}})
        run = create_run(self.folder / "runs", name, job_to_yaml(job))
        remember_process(run)
        return run

    def offer(self, run: RunFolder) -> Any:
        """As the supervisor does before it frees the GPU."""
        loan = self.webui.lend_model(run, lambda: None)
        self.loans.append(loan)
        until(lambda: loan.settled)
        return loan

    def lend(self, **training: Any) -> tuple[Any, RunFolder, dict[str, Tensor]]:
        """Lend to a run that has the GPU now: the loan, and what the worker opens, by the checkpoint's keys."""
        run = self.run(**training)
        loan = self.offer(run)
        until(lambda: loan in self.webui._main_memory._loans)
        self.webui.free_gpu()
        return loan, run, opened(run).tensors

    def turn(self, *loras: str, act: Callable[[], None] = lambda: None) -> None:
        """The webui has the GPU back for a picture with ``loras``; ``act`` is what else happens then."""
        self.webui.restore_gpu()
        draw(self.model, *loras)
        act()
        self.webui.free_gpu()

    def own(self) -> set[str]:
        """The keys of parameters that lie in private memory."""
        return {key for key, parameter in by_key(self.model).items() if not parameter.is_shared()}


def draw(model: WebuiModel, *loras: str) -> None:
    networks.load_networks([name for name, _, _ in (lora.partition(":") for lora in loras)],
                           *[[float(lora.partition(":")[2]) for lora in loras]] * 2)
    for layer in model.modules():
        networks.network_apply_weights(layer)


def by_key(model: WebuiModel) -> dict[str, Tensor]:
    return {key: parameter for name, parameter in model.named_parameters() if (key := checkpoint_key(name))}


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def opened(run: RunFolder) -> LentWeights:
    handles = take_handles(run.path)
    assert handles is not None, ticket(run).reason
    return open_lent(ticket(run), handles, torch.device("cpu"))


def ticket(run: RunFolder) -> LendTicket:
    found = read_ticket(run.path)
    assert found is not None
    return found


def is_base(tensors: dict[str, Tensor], checkpoint: Path, *left_out: str) -> bool:
    state = load_file(checkpoint)
    return all(torch.equal(tensor, state[key]) for key, tensor in tensors.items() if not key.startswith(left_out))


def save_few_words(path: Path, seed: int = 0) -> Path:
    """A checkpoint that no caption is computed with: the words are most of its bytes."""
    save_file(few_words(make_micro(seed).state), path)
    return path


@pytest.fixture
def on_gpu(checkpoint: Path, values: dict[str, Any], tmp_path: Path, monkeypatch) -> Iterator[GpuWebui]:
    configure(Options(data_dir=tmp_path, port=0, checkpoints=(checkpoint,), device="cuda:0"))
    monkeypatch.setattr(devices, "cpu", torch.device("cpu"))
    monkeypatch.setattr(devices, "device", GPU)
    networks.loaded_networks.clear()
    monkeypatch.setattr(networks, "network_apply_weights", networks.network_apply_weights)
    model = WebuiModel(load_file(checkpoint), sd_models.model_data.sd_model.sd_checkpoint_info, torch.float32)
    monkeypatch.setattr(sd_models, "model_data", sd_models.SdModelData())
    sd_models.model_data.set_sd_model(model)
    with plugged_in() as gpu:
        model.to(GPU)
        gpu.forget()
        webui = GpuWebui(Webui(), model, gpu, tmp_path, values, [])
        yield webui
        for loan in webui.loans:
            loan.give_back()
            loan.join(SECONDS)


def size(model: WebuiModel) -> int:
    return sum(parameter.nbytes for parameter in model.parameters())


def only_sampled(gpu: SimulatedGpu, model: WebuiModel) -> bool:
    """Whether no more was copied than a few values of each tensor."""
    tensors = len(list(model.parameters()))
    return max([*gpu.uploaded, 0]) <= SPOT_BYTES and sum(gpu.downloaded) <= SPOT_BYTES * tensors < size(model) / 10
