"""The webui's models leave the GPU for main memory that a run shares, and what happens to them there and back.

The GPU is a simulated one: what is asserted is where each tensor lies and how many bytes were copied which way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from modules import devices, lowvram, sd_models, sd_vae
from safetensors.torch import load_file
from torch import Tensor

from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.host import lendable, lent_layers
from lib_lora_train.host.lent_layers import MemoryLayers, checkpoint_key
from lib_lora_train.host.webui import Webui
from lib_lora_train.models.lent import LentWeights, open_lent
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.runs.lend_ticket import COPY, FILE, LENT_MEMORY, LendTicket, read_ticket, take_handles
from lib_lora_train.runs.process import remember_process
from tests.models.tiny_checkpoint import make_tiny
from tests.standin.simulated_gpu import GPU, SimulatedGpu, plugged_in
from tests.standin.torch_model import WebuiModel, digest
from tests.standin.webui import Options, configure

from .conftest import SECONDS

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


def only_looked(gpu: SimulatedGpu, model: WebuiModel) -> bool:
    """Whether no more was copied than a few values of each tensor."""
    tensors = len(list(model.parameters()))
    return max([*gpu.uploaded, 0]) <= SPOT_BYTES and sum(gpu.downloaded) <= SPOT_BYTES * tensors < size(model) / 10


def test_the_model_leaves_the_gpu_into_shared_memory_in_one_copy(on_gpu, checkpoint):
    _, run, tensors = on_gpu.lend()
    assert ticket(run).way == LENT_MEMORY
    looked_at = sum(size for size in on_gpu.gpu.downloaded) - size(on_gpu.model)
    assert 0 <= looked_at <= SPOT_BYTES * len(tensors)
    assert on_gpu.gpu.used == 0
    assert is_base(tensors, checkpoint)
    assert on_gpu.own() == set()
    for key, parameter in by_key(on_gpu.model).items():  # both sides see the same memory
        parameter.data.fill_(7.0)
        assert bool((tensors[key] == 7.0).all())


def test_a_turn_uploads_the_base_once_and_downloads_nothing(on_gpu, checkpoint):
    _, _, tensors = on_gpu.lend()
    there = {key: parameter.data_ptr() for key, parameter in by_key(on_gpu.model).items()}
    for _ in range(3):
        on_gpu.gpu.forget()
        on_gpu.webui.restore_gpu()
        assert sum(on_gpu.gpu.uploaded) == size(on_gpu.model) == on_gpu.gpu.used
        assert on_gpu.gpu.downloaded == []
        assert all(parameter.device == GPU for parameter in on_gpu.model.parameters())
        on_gpu.gpu.forget()
        on_gpu.webui.free_gpu()
        assert only_looked(on_gpu.gpu, on_gpu.model)
        assert on_gpu.gpu.used == 0
        assert {key: parameter.data_ptr() for key, parameter in by_key(on_gpu.model).items()} == there
    assert is_base(tensors, checkpoint)


def test_a_lora_that_is_active_when_the_model_is_lent_is_taken_out_first(on_gpu, checkpoint):
    draw(on_gpu.model, "hat:1")
    _, _, tensors = on_gpu.lend()
    assert is_base(tensors, checkpoint)
    assert not any(getattr(layer, "network_current_names", ()) for layer in on_gpu.model.modules())


@pytest.mark.parametrize("loras", [("hat:1",), ("hat:1", "style1:0.5"), ("style2:-0.3",)])
def test_loras_change_the_copy_on_the_gpu_only(on_gpu, checkpoint, loras):
    plain = digest(on_gpu.model)
    _, _, tensors = on_gpu.lend()
    seen = []

    def look():
        assert is_base(tensors, checkpoint)  # in the middle of the picture
        seen.append(digest(on_gpu.model))

    for wanted in (loras, (), loras, loras):
        on_gpu.gpu.forget()
        on_gpu.turn(*wanted, act=look)
        assert is_base(tensors, checkpoint)
        assert on_gpu.own() == set()
    assert seen[1] == plain
    assert seen[0] == seen[2] == seen[3] != plain


def test_a_lora_is_dropped_with_the_copy_that_it_is_in(on_gpu):
    on_gpu.lend()
    on_gpu.webui.restore_gpu()
    draw(on_gpu.model, "hat:1")
    on_gpu.gpu.forget()
    on_gpu.webui.free_gpu()
    assert only_looked(on_gpu.gpu, on_gpu.model)


def test_a_lora_without_the_lock_while_the_run_has_the_gpu_reaches_no_lent_tensor(on_gpu, checkpoint):
    _, _, tensors = on_gpu.lend()
    draw(on_gpu.model, "hat:1")
    assert is_base(tensors, checkpoint)
    on_gpu.turn()
    assert is_base(tensors, checkpoint)
    assert is_base(by_key(on_gpu.model), checkpoint)


def test_another_vae_in_a_picture_is_the_webuis_own(on_gpu, checkpoint):
    _, _, tensors = on_gpu.lend()
    first_stage = on_gpu.model.first_stage_model

    def choose_vae():
        on_gpu.model.to("cpu")  # as the webui does it
        first_stage.load_state_dict({name: tensor + 1 for name, tensor in first_stage.state_dict().items()})
        on_gpu.model.to(GPU)

    on_gpu.turn(act=choose_vae)
    for _ in range(2):
        assert is_base(tensors, checkpoint)
        assert on_gpu.own() == {key for key in tensors if key.startswith("first_stage_model.")}
        on_gpu.turn("hat:1")
    state = load_file(checkpoint)
    assert all(torch.equal(tensor, state[key] + 1) for key, tensor in by_key(on_gpu.model).items()
               if key.startswith("first_stage_model."))


@pytest.mark.parametrize("where", ["in a picture", "while the run has the gpu", "on the gpu"])
def test_another_checkpoint_is_the_webuis_own(on_gpu, checkpoint, tmp_path, where):
    other = make_tiny(seed=9).save(tmp_path / "other.safetensors")
    _, _, tensors = on_gpu.lend()

    def choose():
        if where == "in a picture":
            on_gpu.model.to("cpu")
        on_gpu.model.load(load_file(other))
        if where != "while the run has the gpu":
            on_gpu.model.to(GPU)

    if where == "while the run has the gpu":
        choose()  # an API call that asks for no lock
    else:
        on_gpu.turn("hat:1", act=choose)
    for _ in range(2):
        assert is_base(tensors, checkpoint)
        assert is_base(by_key(on_gpu.model), other)
        assert on_gpu.own() == set(tensors)
        on_gpu.turn("style1:1")
        on_gpu.turn()


def test_of_several_checkpoints_kept_the_lent_one_is_pointed_at_its_memory_again(on_gpu, checkpoint, tmp_path):
    other = make_tiny(seed=9).save(tmp_path / "other.safetensors")
    _, _, tensors = on_gpu.lend()
    second = WebuiModel(load_file(other), sd_models.CheckpointInfo(str(other)), torch.float32)

    def choose():
        sd_models.send_model_to_cpu(on_gpu.model)  # "keep in CPU"; the LoRA is still in it
        second.to(GPU)
        sd_models.model_data.set_sd_model(second)

    on_gpu.turn("hat:1", act=choose)
    assert on_gpu.own() == set()
    assert is_base(tensors, checkpoint)
    assert is_base(by_key(second), other)
    assert on_gpu.gpu.used == 0
    on_gpu.webui.restore_gpu()
    assert all(parameter.device == GPU for parameter in second.parameters())
    assert all(parameter.device.type == "cpu" for parameter in on_gpu.model.parameters())  # as the webui had them


def test_a_model_that_the_webui_unloads_is_left_to_the_run(on_gpu, checkpoint):
    _, _, tensors = on_gpu.lend()

    def unload():
        on_gpu.model.to("meta")
        sd_models.model_data.loaded_sd_models.clear()

    on_gpu.turn(act=unload)
    assert all(parameter.is_meta for parameter in on_gpu.model.parameters())
    assert is_base(tensors, checkpoint)


@pytest.mark.parametrize("lora", [(), ("hat:1",)])
def test_what_another_extension_did_to_the_weights_is_kept(on_gpu, checkpoint, lora):
    _, _, tensors = on_gpu.lend()
    changed = "model.diffusion_model.middle_block.0.in_layers.2.weight"

    def merge():
        by_key(on_gpu.model)[changed].data.mul_(1.5)

    on_gpu.webui.restore_gpu()
    merge()
    draw(on_gpu.model, *lora)
    on_gpu.webui.free_gpu()
    assert is_base(tensors, checkpoint)
    own = on_gpu.own()
    assert changed in own
    assert own <= {changed, changed.replace("weight", "bias")}
    on_gpu.turn()
    expected = load_file(checkpoint)[changed] * 1.5
    assert torch.equal(by_key(on_gpu.model)[changed], expected)


def test_with_medvram_each_network_is_uploaded_when_it_is_used_and_never_downloaded_at_the_end(on_gpu, checkpoint):
    model = on_gpu.model
    model.lowvram = True
    model.to("cpu")
    resident = model.model.diffusion_model.out  # as what --lowvram leaves on the GPU
    resident.to(GPU)
    lowvram.send_me_to_gpu(model.first_stage_model)
    _, _, tensors = on_gpu.lend()
    assert is_base(tensors, checkpoint)
    assert all(parameter.device == GPU for parameter in resident.parameters())
    assert lowvram.module_in_gpu is None
    for loras in (("hat:1",), ()):
        on_gpu.webui.restore_gpu()
        lowvram.send_me_to_gpu(model.cond_stage_model)
        lowvram.send_me_to_gpu(model.first_stage_model)
        draw(model, *loras)
        on_gpu.gpu.forget()
        on_gpu.webui.free_gpu()
        assert only_looked(on_gpu.gpu, model)
        assert is_base(tensors, checkpoint)
        assert all(parameter.device == GPU for parameter in resident.parameters())
        residents = {id(parameter) for parameter in resident.parameters()}
        assert all(parameter.is_shared() for parameter in model.parameters() if id(parameter) not in residents)


def test_the_next_run_finds_the_model_in_shared_memory_and_nothing_is_copied(on_gpu, checkpoint):
    first, _, _ = on_gpu.lend()
    on_gpu.gpu.forget()
    first.give_back()
    run = on_gpu.run("alice")
    on_gpu.offer(run)
    until(lambda: ticket(run).way == LENT_MEMORY)
    tensors = opened(run).tensors
    assert on_gpu.gpu.uploaded == on_gpu.gpu.downloaded == []
    first.join(SECONDS)
    on_gpu.turn("hat:1")
    assert is_base(tensors, checkpoint)
    assert on_gpu.own() == set()


def test_when_the_tab_is_closed_and_the_run_goes_on_the_webui_has_a_model_of_its_own(on_gpu, checkpoint):
    loan, _, tensors = on_gpu.lend()
    loan.give_back()
    loan.join(SECONDS)
    on_gpu.webui.restore_gpu()
    draw(on_gpu.model, "hat:1")
    on_gpu.webui.free_gpu()
    draw(on_gpu.model)
    assert is_base(tensors, checkpoint)
    assert on_gpu.own() == set(tensors)
    assert is_base(by_key(on_gpu.model), checkpoint)


def test_a_run_that_is_over_leaves_the_webui_its_model(on_gpu, checkpoint):
    loan, run, tensors = on_gpu.lend()
    tensors.clear()
    run.process_file.unlink()
    loan.give_back()
    loan.join(SECONDS)
    on_gpu.gpu.forget()
    on_gpu.webui.restore_gpu()
    assert sum(on_gpu.gpu.uploaded) == size(on_gpu.model)
    assert is_base({key: tensor.cpu() for key, tensor in by_key(on_gpu.model).items()}, checkpoint)
    assert not any(module._load_state_dict_pre_hooks for module in on_gpu.model.modules())


def test_a_copy_leaves_the_webuis_model_on_the_gpu(on_gpu, checkpoint):
    run = on_gpu.run(webui_model=COPY)
    loan = on_gpu.offer(run)
    assert ticket(run).way == COPY
    assert loan.covers_gpu
    assert is_base(opened(run).tensors, checkpoint)
    assert all(parameter.device == GPU for parameter in on_gpu.model.parameters())
    assert sum(on_gpu.gpu.downloaded) == size(on_gpu.model)
    draw(on_gpu.model, "hat:1")


def small_memory(monkeypatch, on_gpu):
    monkeypatch.setattr(lendable, "_SPARE", 1e15)


def fp8(monkeypatch, on_gpu):
    monkeypatch.setattr(devices, "fp8", True)


def other_checkpoint(monkeypatch, on_gpu):
    on_gpu.model.sd_checkpoint_info = sd_models.CheckpointInfo("/models/another.safetensors")


def broken_memory(monkeypatch, on_gpu):
    def broken(tensor):
        raise RuntimeError("unable to open shared memory object")

    monkeypatch.setattr(lent_layers, "shared_copy", broken)


@pytest.mark.parametrize(("hinder", "reason"), [
    (small_memory, "--shm-size"), (fp8, "as fp8"), (other_checkpoint, "another.safetensors loaded"),
    (broken_memory, "unable to open shared memory object")])
def test_where_it_cannot_be_done_the_run_reads_the_file_and_knows_why(on_gpu, monkeypatch, hinder, reason):
    hinder(monkeypatch, on_gpu)
    draw(on_gpu.model, "hat:1")
    run = on_gpu.run()
    loan = on_gpu.offer(run)
    until(lambda: loan in on_gpu.webui._main_memory._loans)
    on_gpu.webui.free_gpu()
    assert ticket(run).way == FILE
    assert reason in ticket(run).reason
    assert not loan.covers_gpu
    assert all(parameter.device.type == "cpu" for parameter in on_gpu.model.parameters())  # the GPU is free
    on_gpu.webui.restore_gpu()
    assert all(parameter.device == GPU for parameter in on_gpu.model.parameters())


def test_another_vae_than_the_runs_is_not_shared(on_gpu, monkeypatch):
    monkeypatch.setattr(sd_vae, "loaded_vae_file", "/v/sharp.safetensors")
    _, run, tensors = on_gpu.lend()
    assert set(ticket(run).withheld) == {"vae"}
    assert tensors
    assert not any(key.startswith("first_stage_model.") for key in tensors)
    assert on_gpu.own() == {key for key in by_key(on_gpu.model) if key.startswith("first_stage_model.")}


def test_a_model_that_is_being_lent_is_not_moved_meanwhile(on_gpu, monkeypatch):
    """A picture that comes when the GPU has just been freed waits until the run knows where the model lies."""
    began, go_on = threading.Event(), threading.Event()
    copy = MemoryLayers.copy_to_main_memory

    def slow(layers):
        began.set()
        assert go_on.wait(SECONDS)
        copy(layers)

    on_gpu.webui.free_gpu()
    monkeypatch.setattr(MemoryLayers, "copy_to_main_memory", slow)
    run = on_gpu.run()
    on_gpu.offer(run)  # a second run, for which nothing has to be freed
    assert began.wait(SECONDS)
    restore = threading.Thread(target=on_gpu.webui.restore_gpu)
    restore.start()
    restore.join(0.1)
    assert restore.is_alive()
    go_on.set()
    restore.join(SECONDS)
    assert ticket(run).way == LENT_MEMORY
    assert all(parameter.device == GPU for parameter in on_gpu.model.parameters())
    assert os.getpid() == ticket(run).lender.pid
