"""The webui's models leave the GPU for main memory that a run shares, and what happens to them there and back.

The GPU is a simulated one: what is asserted is where each tensor lies and how many bytes were copied which way.
"""

from __future__ import annotations

import pytest
import torch
from modules import lowvram, sd_models
from safetensors.torch import load_file

from lib_lora_train.runs.lend_ticket import LENT_MEMORY
from tests.standin.simulated_gpu import GPU
from tests.standin.torch_model import WebuiModel, digest

from .gpu_webui import SPOT_BYTES, by_key, draw, is_base, only_sampled, save_few_words, size, ticket


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_few_words(tmp_path_factory.mktemp("few") / "few.safetensors")


def test_the_model_leaves_the_gpu_into_shared_memory_in_one_copy(on_gpu, checkpoint):
    _, run, tensors = on_gpu.lend()
    assert ticket(run).way == LENT_MEMORY
    prepared = sum(size for size in on_gpu.gpu.downloaded) - size(on_gpu.model)
    assert 0 <= prepared <= SPOT_BYTES * len(tensors)
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
        assert only_sampled(on_gpu.gpu, on_gpu.model)
        assert on_gpu.gpu.used == 0
        assert {key: parameter.data_ptr() for key, parameter in by_key(on_gpu.model).items()} == there
    assert is_base(tensors, checkpoint)


def test_a_lora_that_is_active_when_the_model_is_lent_is_taken_out_first(on_gpu, checkpoint):
    draw(on_gpu.model, "hat:1")
    _, _, tensors = on_gpu.lend()
    assert is_base(tensors, checkpoint)
    assert not any(getattr(layer, "network_current_names", ()) for layer in on_gpu.model.modules())


@pytest.mark.parametrize("loras", [("hat:1", "style1:0.5"), ("style2:-0.3",)])
def test_loras_change_the_copy_on_the_gpu_only(on_gpu, checkpoint, loras):
    plain = digest(on_gpu.model)
    _, _, tensors = on_gpu.lend()
    seen = []

    def record():
        assert is_base(tensors, checkpoint)  # in the middle of the picture
        seen.append(digest(on_gpu.model))

    for wanted in (loras, (), loras, loras):
        on_gpu.gpu.forget()
        on_gpu.turn(*wanted, act=record)
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
    assert only_sampled(on_gpu.gpu, on_gpu.model)


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
    other = save_few_words(tmp_path / "other.safetensors", seed=9)
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
    other = save_few_words(tmp_path / "other.safetensors", seed=9)
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
        assert only_sampled(on_gpu.gpu, model)
        assert is_base(tensors, checkpoint)
        assert all(parameter.device == GPU for parameter in resident.parameters())
        residents = {id(parameter) for parameter in resident.parameters()}
        assert all(parameter.is_shared() for parameter in model.parameters() if id(parameter) not in residents)
