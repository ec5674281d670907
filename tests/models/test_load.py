from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from lib_lora_train.errors import CheckpointError
from lib_lora_train.models import checkpoint
from lib_lora_train.models import load as load_module
from lib_lora_train.models.load import load_base
from tests.models.tiny_checkpoint import TEXT, UNET, VAE, Tiny, make_micro

MINI = Path(__file__).parents[2] / "demo" / "mini_sd15.safetensors"


@functools.cache
def another() -> Tiny:
    return make_micro(seed=5)


def load(path: Path, vae: Path | None = None, dtype: torch.dtype = torch.float32):
    return load_base(path, vae, dtype=dtype, device="cpu")


def saved(state: dict[str, torch.Tensor], path: Path) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    return path


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return set(a) == set(b) and all(torch.equal(a[key], b[key]) for key in a)


def test_every_network_computes_what_the_one_in_the_file_does(tiny: Tiny, tiny_base):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, 16, 24, generator=generator)
    states = torch.randn(2, 77, 128, generator=generator)
    picture = torch.randn(1, 3, 32, 48, generator=generator)
    ids = torch.randint(0, 49408, (2, 77), generator=generator)
    times = torch.tensor([3, 801])
    with torch.no_grad():
        assert torch.equal(tiny_base.unet(latents, times, states).sample, tiny.unet(latents, times, states).sample)
        assert torch.equal(tiny_base.vae.encode(picture).latent_dist.mean, tiny.vae.encode(picture).latent_dist.mean)
        assert torch.equal(tiny_base.vae.decode(latents).sample, tiny.vae.decode(latents).sample)
        assert torch.equal(tiny_base.text_encoder(ids).last_hidden_state, tiny.text_encoder(ids).last_hidden_state)


def test_sizes_are_read_from_the_shapes(tiny_base):
    assert list(tiny_base.unet.config["block_out_channels"]) == [32, 64, 96, 96]
    assert tiny_base.unet.config["cross_attention_dim"] == 128
    assert tiny_base.unet.mid_block.attentions[0].transformer_blocks[0].attn1.heads == 8
    assert list(tiny_base.vae.config["block_out_channels"]) == [32, 64, 64, 96]
    text = tiny_base.text_encoder.config
    assert (text.num_hidden_layers, text.num_attention_heads, text.intermediate_size) == (3, 2, 160)
    assert (tiny_base.family.latent_scale, tiny_base.vae.config["scaling_factor"]) == (0.18215, 0.18215)


def test_the_base_is_frozen_in_evaluation_mode_and_nothing_is_left_without_values(tiny_base):
    for network in (tiny_base.unet, tiny_base.vae, tiny_base.text_encoder):
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert not any(tensor.is_meta for tensor in [*network.parameters(), *network.buffers()])
    positions = tiny_base.text_encoder.text_model.embeddings.position_ids
    assert positions.tolist() == [list(range(77))]


def test_attention_goes_through_scaled_dot_product_attention(tiny_base, monkeypatch):
    calls = []
    original = torch.nn.functional.scaled_dot_product_attention

    def counting(*arguments, **named):
        calls.append(1)
        return original(*arguments, **named)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counting)
    with torch.no_grad():
        tiny_base.text_encoder(torch.zeros(1, 77, dtype=torch.long))
        assert len(calls) == 3
        tiny_base.unet(torch.zeros(1, 4, 8, 8), torch.tensor([1]), torch.zeros(1, 77, 128))
    assert len(calls) == 3 + 2 * 16  # self and cross attention in 16 blocks


def test_the_older_spelling_of_the_text_encoder_is_read(micro: Tiny, tmp_path):
    state = {key.replace(TEXT + "text_model.", TEXT): tensor for key, tensor in micro.state.items()}
    assert same_weights(load(saved(state, tmp_path / "old.safetensors")).text_encoder, micro.text_encoder)


def test_parts_that_no_sd1_model_uses_are_passed_over(micro: Tiny, tmp_path):
    extra = {TEXT + "text_projection.weight": torch.ones(128, 128), "cond_stage_model.logit_scale": torch.ones(1),
             "model_ema.decay": torch.ones(1), "embedding_manager.x": torch.ones(2)}
    base = load(saved(micro.state | extra, tmp_path / "merge.safetensors"))
    assert same_weights(base.text_encoder, micro.text_encoder) and same_weights(base.unet, micro.unet)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_ckpt_gives_the_same_model(micro: Tiny, tmp_path, zipped):
    path = tmp_path / "x.ckpt"
    torch.save({"state_dict": micro.state, "epoch": 3}, path, _use_new_zipfile_serialization=zipped)
    base = load(path)
    assert same_weights(base.unet, micro.unet) and same_weights(base.vae, micro.vae)
    assert same_weights(base.text_encoder, micro.text_encoder)


@pytest.mark.parametrize(("stored", "wanted"), [(torch.float16, torch.float32), (torch.float32, torch.float16),
                                                (torch.float32, torch.bfloat16)])
def test_weights_are_converted_to_the_dtype_asked_for(micro: Tiny, tmp_path, stored, wanted):
    state = {key: tensor.to(stored) if tensor.is_floating_point() else tensor for key, tensor in micro.state.items()}
    base = load(saved(state, tmp_path / "x.safetensors"), dtype=wanted)
    for loaded, original in ((base.unet, micro.unet), (base.vae, micro.vae), (base.text_encoder, micro.text_encoder)):
        expected = original.state_dict()
        for key, tensor in loaded.state_dict().items():
            assert tensor.dtype == wanted
            assert torch.equal(tensor, expected[key].to(stored).to(wanted))


@pytest.mark.parametrize("layout", ["without prefix", "with prefix", "ckpt of a training", "pt"])
def test_another_vae_takes_the_place_of_the_one_in_the_checkpoint(micro: Tiny, micro_file, tmp_path, layout):
    other = another()
    inner = {key[len(VAE):]: tensor for key, tensor in other.state.items() if key.startswith(VAE)}
    if layout == "with prefix":
        path = saved({VAE + key: tensor for key, tensor in inner.items()}, tmp_path / "vae.safetensors")
    elif layout == "without prefix":
        path = saved(inner, tmp_path / "vae.safetensors")
    else:
        path = tmp_path / ("vae.pt" if layout == "pt" else "vae.ckpt")
        extra = {} if layout == "pt" else {"loss.discriminator.main.0.weight": torch.ones(3),
                                           "model_ema.encoderconv_inweight": torch.ones(3)}
        torch.save({"state_dict": inner | extra}, path)
    base = load(micro_file, path)
    assert same_weights(base.vae, other.vae)
    assert same_weights(base.unet, micro.unet)
    assert (base.checkpoint, base.vae_file) == (micro_file, path)


def test_files_chosen_as_vae_that_are_none_are_refused(micro: Tiny, micro_file, tmp_path):
    lora = saved({"lora_unet_x.lora_down.weight": torch.ones(1)}, tmp_path / "lora.safetensors")
    diffusers = saved(dict(micro.vae.state_dict()), tmp_path / "diffusers.safetensors")
    something = saved({"x": torch.ones(1)}, tmp_path / "something.safetensors")
    for path, what in ((lora, "is a LoRA"), (diffusers, "diffusers layout"), (something, "holds no VAE"),
                       (tmp_path / "none.safetensors", "There is no")):
        with pytest.raises(CheckpointError, match=what) as caught:
            load(micro_file, path)
        assert str(path) in str(caught.value)


def test_a_whole_checkpoint_can_be_chosen_as_vae(micro_file, tmp_path):
    other = another()
    assert same_weights(load(micro_file, other.save(tmp_path / "other.safetensors")).vae, other.vae)


def test_a_checkpoint_without_vae_says_so_and_takes_one(micro: Tiny, micro_file, tmp_path):
    path = saved({key: tensor for key, tensor in micro.state.items() if not key.startswith(VAE)},
                 tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="holds no VAE"):
        load(path)
    assert same_weights(load(path, micro_file).vae, micro.vae)


def test_a_mark_in_the_file_means_v_prediction(micro: Tiny, micro_file, tmp_path):
    assert load(micro_file).prediction_type == "epsilon"
    base = load(saved(micro.state | {"v_pred": torch.tensor([])}, tmp_path / "v.safetensors"))
    assert base.prediction_type == "v_prediction"


@pytest.mark.parametrize(("prefix", "name", "missing"), [
    (UNET, "UNet", ["middle_block.0.in_layers.0.weight", "out.0.bias"]),
    (VAE, "VAE", ["decoder.conv_in.weight", "encoder.mid.attn_1.q.weight"]),
    (TEXT + "text_model.", "text encoder", ["encoder.layers.1.mlp.fc2.bias"])])
def test_missing_tensors_are_counted_and_listed_in_one_error(micro: Tiny, tmp_path, prefix, name, missing):
    state = {key: tensor for key, tensor in micro.state.items() if key not in {prefix + part for part in missing}}
    assert len(state) == len(micro.state) - len(missing)
    path = saved(state, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert name in message and str(path) in message
    assert f" {len(missing)} of" in message and message.count("is missing") == len(missing)


def test_of_many_missing_tensors_only_a_few_are_listed(tiny: Tiny, tmp_path):
    state = {key: tensor for key, tensor in tiny.state.items() if not re.search(r"output_blocks\.\d+\.1\.norm", key)}
    removed = len(tiny.state) - len(state)
    assert removed > 5
    with pytest.raises(CheckpointError) as caught:
        load(saved(state, tmp_path / "x.safetensors"))
    assert f" {removed} of" in str(caught.value)
    assert str(caught.value).count("is missing") == 5


@pytest.mark.parametrize("key", [UNET + "input_blocks.1.0.out_layers.3.weight", UNET + "input_blocks.2.0.op.weight",
                                 UNET + "input_blocks.0.0.weight", VAE + "encoder.conv_in.weight",
                                 TEXT + "text_model.embeddings.token_embedding.weight"])
def test_tensors_of_a_wrong_shape_or_gone_that_decide_how_to_build_are_an_error_too(micro: Tiny, tmp_path, key):
    gone = {name: tensor for name, tensor in micro.state.items() if name != key}
    wrong = micro.state | {key: micro.state[key][..., :1]}
    for state in (gone, wrong):
        with pytest.raises(CheckpointError):
            load(saved(state, tmp_path / "x.safetensors"))


def test_a_base_that_is_loaded_takes_no_memory_before_it_is_used(tmp_path, micro: Tiny, micro_file):
    """The weights stay in the mapped file; a copy of them would show."""
    words = {TEXT + "text_model.embeddings.token_embedding.weight": torch.zeros(300_000, 128)}  # 154 MB
    path = saved(micro.state | words, tmp_path / "x.safetensors")
    del words
    load(micro_file)  # so that what the libraries allocate once is not counted
    before = psutil.Process().memory_info().rss
    base = load(path)
    assert psutil.Process().memory_info().rss - before < 50e6
    assert base.text_encoder.config.vocab_size == 300_000


def mapped_bytes(path: Path) -> int:
    """How much of the mapped file ``path`` this process has in memory."""
    mapped, found = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            mapped = line.endswith(str(path))
        elif mapped and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much of a mapping is in memory")
@pytest.mark.parametrize(("ending", "stored", "wanted", "aligned"), [
    ("safetensors", torch.float16, torch.bfloat16, False), ("safetensors", torch.float32, torch.bfloat16, False),
    ("safetensors", torch.float32, torch.float32, True), ("ckpt", torch.float16, torch.bfloat16, False),
    ("ckpt", torch.float32, torch.bfloat16, False)])
def test_what_is_copied_is_not_in_memory_a_second_time(tmp_path, monkeypatch, micro: Tiny, ending, stored, wanted,
                                                       aligned):
    state = {key: tensor.to(stored) for key, tensor in micro.state.items()}
    path = tmp_path / f"x.{ending}"
    if ending == "ckpt":
        monkeypatch.setattr(checkpoint, "_PIECE_BYTES", 1 << 20)
        torch.save({"state_dict": state}, path)
    else:
        # a header that is 8 bytes longer puts the tensors where none is aligned
        save_file(state, path)
        header = int.from_bytes(path.read_bytes()[:8], "little")
        save_file(state, path, metadata={"x": "x" * ((48 - header) % 64 or 64)} if aligned else None)
    opened = checkpoint.read_checkpoint(path)
    at_opening = mapped_bytes(path)  # the system may map many pages at once
    del opened
    seen = []
    fill = load_module._fill

    def watching_fill(*arguments):
        network = fill(*arguments)
        seen.append(mapped_bytes(path))
        return network

    monkeypatch.setattr(load_module, "_fill", watching_fill)
    base = load_base(path, None, dtype=wanted, device="cpu", aligned=aligned)
    assert len(seen) == 3 and max(seen) < at_opening + 2e6 < path.stat().st_size, (seen, at_opening)
    for network, other in ((base.unet, micro.unet), (base.vae, micro.vae), (base.text_encoder, micro.text_encoder)):
        expected = other.state_dict()
        assert all(torch.equal(tensor, expected[key].to(stored).to(wanted))
                   for key, tensor in network.state_dict().items())


def test_a_file_that_is_exchanged_while_it_is_read_is_an_error(tmp_path, monkeypatch, micro: Tiny):
    path = saved(micro.state, tmp_path / "x.safetensors")
    build = load_module.build_unet

    def exchanging_build(*arguments):
        path.unlink()
        saved({UNET + "other": torch.zeros(2)}, path)
        return build(*arguments)

    monkeypatch.setattr(load_module, "build_unet", exchanging_build)
    with pytest.raises(CheckpointError, match=r"x\.safetensors has changed while it was read"):
        load(path, dtype=torch.bfloat16)


def test_the_mini_checkpoint_loads():
    base = load(MINI)
    assert (len(base.unet.down_blocks), base.text_encoder.config.num_hidden_layers) == (4, 12)
    assert base.text_encoder.config.vocab_size == 49408
