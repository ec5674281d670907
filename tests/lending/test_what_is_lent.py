"""What the webui lends, what it keeps and why, and what the worker does about weights that are not as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from modules import devices, sd_models, sd_vae
from safetensors.torch import load_file

from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.errors import RunError
from lib_lora_train.host import lendable
from lib_lora_train.host.lent_layers import LentLayers, checkpoint_key
from lib_lora_train.models.checkpoint import read_checkpoint
from lib_lora_train.models.checksum import checksum, spots
from lib_lora_train.models.lent import LentWeights, NotLent, open_lent
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.runs.hold import WEBUI, Hold, Reason
from lib_lora_train.runs.lend_ticket import LendTicket
from lib_lora_train.runs.process_mark import ProcessMark, this_process
from lib_lora_train.training.holding import Boundary
from lib_lora_train.training.reporting.report import Reporter
from tests.standin.torch_model import WebuiModel
from tests.standin.webui import Options, configure

CPU = torch.device("cpu")


@pytest.fixture
def model(checkpoint: Path, tmp_path: Path) -> WebuiModel:
    """The webui's model, loaded in this process."""
    configure(Options(data_dir=tmp_path, port=0, checkpoints=(checkpoint,)))
    model = WebuiModel(load_file(checkpoint), sd_models.model_data.sd_model.sd_checkpoint_info, torch.float32)
    sd_models.model_data = sd_models.SdModelData()
    sd_models.model_data.set_sd_model(model)
    return model


def refusal(values: dict, device: str = "cpu", **training: str) -> str:
    job = job_from({**values, "training": {**values["training"], **training}})
    try:
        lendable.way_of(job, device)
        lendable.lendable_model(job, device)
    except lendable.Unlendable as reason:
        return str(reason)
    return ""


def test_what_cannot_be_lent_is_refused_with_the_reason(model, values, monkeypatch):
    assert refusal(values) == ""
    assert "webui_model" in refusal(values, webui_model="file")
    assert "on cuda:0 and the run on cpu" in refusal(values, device="cuda:0")
    monkeypatch.setattr(devices, "fp8", True)
    assert "fp8" in refusal(values)
    monkeypatch.setattr(devices, "fp8", False)
    model.sd_checkpoint_info.filename = "/models/another.safetensors"
    assert "another.safetensors" in refusal(values)
    sd_models.model_data = sd_models.SdModelData()
    assert "no model loaded" in refusal(values)


def test_a_model_that_was_unloaded_is_not_lent(model, values):
    model.to("meta")
    assert "unloaded" in refusal(values)


@pytest.mark.parametrize("training", [
    {"base_weights": "fp8"}, {"base_weights": "nf4"}, {"fit_in_gb": 6.0}, {"weights_on_cpu": 50}])
@pytest.mark.parametrize(("device", "way"), [("cpu", "lent"), ("cuda:0", "lent_memory")])
def test_weights_are_quantized_and_swapped_from_what_is_lent(model, values, training, device, way):
    job = job_from({**values, "training": {**values["training"], "device": device, **training}})
    assert lendable.way_of(job, device) == way


@pytest.mark.parametrize(("wanted", "way"), [("auto", "lent_memory"), ("lent", "lent_memory"), ("copy", "copy")])
def test_on_a_gpu_lending_goes_through_main_memory(values, wanted, way):
    job = job_from({**values, "training": {"device": "auto", "webui_model": wanted}})
    for device in ("cuda", "cuda:1", "mps", "xpu"):
        assert lendable.way_of(job, device) == way


@pytest.mark.parametrize(("loaded", "wanted", "kept"), [
    (None, None, False), ("/v/a.pt", "/v/a.pt", False), ("/v/a.pt", None, True), (None, "/v/a.pt", True),
    ("/v/a.pt", "/v/b.pt", True)])
def test_another_vae_than_the_job_names_is_kept(values, monkeypatch, loaded, wanted, kept):
    monkeypatch.setattr(sd_vae, "loaded_vae_file", loaded)
    job = job_from({**values, "base": {**values["base"], "vae": wanted}})
    assert set(lendable.withheld_parts(job)) == ({"vae"} if kept else set())


def test_shared_memory_that_is_too_small_is_not_written_to():
    lendable.refuse_small_memory(0)
    with pytest.raises(lendable.Unlendable, match="--shm-size"):
        lendable.refuse_small_memory(1 << 60)


@pytest.mark.parametrize(("name", "key"), [
    ("model.diffusion_model.out.2.weight", "model.diffusion_model.out.2.weight"),
    ("cond_stage_model.wrapped.transformer.text_model.embeddings.token_embedding.wrapped.weight",
     "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"),
    ("conditioner.embedders.1.wrapped.model.token_embedding.wrapped.weight",
     "conditioner.embedders.1.model.token_embedding.weight"),
    ("first_stage_model.encoder.conv_in.bias", "first_stage_model.encoder.conv_in.bias"),
    ("model_ema.decay", None), ("depth_model.model.weight", None)])
def test_names_of_the_webuis_modules_become_the_checkpoints_keys(name, key):
    assert checkpoint_key(name) == key


def test_every_weight_of_the_checkpoint_is_found_in_the_webuis_model(model, checkpoint):
    layers = LentLayers(model)
    wanted = {key for key, tensor in load_file(checkpoint).items() if tensor.is_floating_point() and "." in key}
    assert set(layers.by_key) == wanted
    assert set(LentLayers(model, ("first_stage_model.",)).by_key) == {
        key for key in wanted if not key.startswith("first_stage_model.")}


def lent(model: WebuiModel, **changes: object) -> LentWeights:
    return LentWeights(dict(LentLayers(model).by_key), CPU, **changes)


def test_a_model_that_was_changed_in_memory_is_not_taken_for_its_file(model, checkpoint):
    file = read_checkpoint(checkpoint)
    lent(model).over(file, ("unet",), torch.float32)
    with torch.no_grad():
        model.model.diffusion_model.input_blocks.get_submodule("0.0").weight.add_(1e-3)
    with pytest.raises(NotLent, match=r"changed since .*input_blocks\.0\.0\.weight"):
        lent(model).over(file, ("unet",), torch.float32)


@pytest.mark.parametrize(("stored", "computed", "fits"), [
    (torch.float32, torch.float32, True), (torch.float16, torch.float32, False),
    (torch.float16, torch.bfloat16, False), (torch.float16, torch.float16, True)])
def test_weights_that_the_webui_has_rounded_are_read_from_the_file_where_that_would_show(model, checkpoint, stored,
                                                                                      computed, fits):
    weights = lent(model.to(stored))
    over = weights.over(read_checkpoint(checkpoint), ("unet", "text_encoder"), computed)
    assert set(weights.refused) == (set() if fits else {"unet", "text_encoder"})
    key = "model.diffusion_model.out.2.weight"
    assert (over.tensors[key] is weights.tensors[key]) is fits


def handed_over(model: WebuiModel, checkpoint: Path, **changes: object) -> LendTicket:
    fields = {"way": "lent", "lender": this_process(), "torch": torch.__version__, **changes}
    return LendTicket(**fields)


def test_handles_that_cannot_be_trusted_are_not_opened(model, checkpoint):
    from lib_lora_train.host.sharing import shared_handles

    handles = shared_handles(LentLayers(model).by_key)
    with pytest.raises(NotLent, match="torch 2.0.0"):
        open_lent(handed_over(model, checkpoint, torch="2.0.0"), handles, CPU)
    with pytest.raises(NotLent, match="could not be opened"):
        open_lent(handed_over(model, checkpoint), b"cos\nsystem\n(S'true'\ntR.", CPU)
    with torch.no_grad():
        model.model.diffusion_model.out.get_submodule("2").weight.add_(1)  # torn between the checksum and the opening
    with pytest.raises(NotLent, match=r"out\.2\.weight, are not what the webui sent"):
        open_lent(handed_over(model, checkpoint), handles, CPU)


def test_a_checksum_changes_with_every_bit_and_place(model):
    tensor = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    assert checksum(tensor) == checksum(tensor.clone())
    assert checksum(tensor) != checksum(tensor.half())
    for place in (0, 1, 999):
        other = tensor.clone()
        other[place] = torch.nextafter(other[place], torch.tensor(9.0))
        assert checksum(other) != checksum(tensor)
    swapped = tensor[[1, 0, *range(2, 1000)]]
    assert checksum(swapped) != checksum(tensor)
    assert len(spots(tensor)) == 16
    assert torch.equal(spots(tensor[:5]), tensor[:5])


@pytest.fixture
def run(tmp_path: Path, values: dict) -> RunFolder:
    return create_run(tmp_path / "runs", "penny", job_to_yaml(job_from(values)))


class _Network(torch.nn.Module):
    def __init__(self, tensors: dict) -> None:
        super().__init__()
        for index, tensor in enumerate(tensors.values()):
            self.register_buffer(str(index), tensor)


def held_once(run: RunFolder, weights: LentWeights, holder: ProcessMark) -> None:
    """Pass a boundary of a run that is held by ``holder`` as long as that is alive."""
    with EventWriter(run.events_file) as events:
        boundary = Boundary(run, Reporter(events, terminal=False), torch.device("cpu"))
        boundary.watch(weights)
        asked = [Hold("t", Reason(WEBUI, "an image"), gives_gpu=False, holder=holder, asked=0.0)]
        answers = iter([asked, asked, []])
        boundary._standing._control.holds.asked = lambda: next(answers)
        boundary.wait()


def test_weights_that_come_back_changed_stop_the_run_before_a_step_is_made_on_them(model, run):
    weights = lent(model)
    assert weights.shared_bytes([_Network(weights.tensors)]) > 0
    held_once(run, weights, this_process())
    key = "model.diffusion_model.middle_block.0.in_layers.2.weight"
    weights.tensors[key].mul_(1.01)
    assert weights.altered() == [key]
    with pytest.raises(RunError, match=r"changed, such as model\.diffusion_model\.middle_block"):
        held_once(run, weights, this_process())


def test_what_a_dead_webui_left_in_the_weights_is_put_right_from_the_file(model, run, checkpoint):
    weights = lent(model)
    file = read_checkpoint(checkpoint)
    weights.over(file, ("vae",), torch.float32)
    weights.over(file, ("unet", "text_encoder"), torch.float32)
    weights.shared_bytes([_Network(weights.tensors)])
    for tensor in weights.tensors.values():
        tensor.mul_(1.01)
    held_once(run, weights, ProcessMark(this_process().pid, 0.0))  # another process has its number now
    assert weights.altered() == []
    assert all(torch.equal(tensor, file.tensors[key]) for key, tensor in weights.tensors.items())
    assert [event["event"] for event in read_events(run.events_file)[0]] == ["held", "resumed"]


@pytest.mark.parametrize("words, tries, works", [
    ("Shared memory manager connection has timed out", 3, True),
    ("Shared memory manager connection has timed out", 99, False), ("No space left on device", 1, False)])
def test_a_helper_of_pytorch_that_is_slow_on_a_busy_machine_is_asked_again(monkeypatch, words, tries, works):
    from lib_lora_train.host.sharing import shared_handles

    share, failed = torch.Tensor.share_memory_, []

    def slow(tensor: torch.Tensor) -> torch.Tensor:
        if len(failed) < tries:
            failed.append(words)
            raise RuntimeError(words)
        return share(tensor)

    monkeypatch.setattr(torch.Tensor, "share_memory_", slow)
    tensor = torch.ones(4)
    if works:
        assert shared_handles({"a": tensor}) and tensor.is_shared()
    else:
        with pytest.raises(RuntimeError, match=words):
            shared_handles({"a": tensor})
