"""SD 2.x and SDXL trained: one step by independent formulas, and whole runs."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import shutil
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from lib_lora_train.cli import diagnose
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.groups.dataset import DatasetSettings
from lib_lora_train.config.groups.loss import LossSettings
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.config.job import Job
from lib_lora_train.errors import RunError
from lib_lora_train.models.load import load_base
from lib_lora_train.models.prediction import VELOCITY, Prediction
from lib_lora_train.models.text_states import tokenize
from lib_lora_train.models.tokenizer import Tokenizer
from lib_lora_train.pictures.augment import draw_cut
from lib_lora_train.pictures.buckets import Bucket, Fit, Frame
from lib_lora_train.runs.diagnosis.epochs import HELD_OUT, MIRRORED, EpochMeasures, mean_loss, read_measures
from lib_lora_train.runs.folder import RunFolder
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.reporting.sampling import decode_picture
from tests.figures import FULL
from tests.models.tiny_families import save_state, sd2_state, sdxl_state
from tests.training.step.gradients import CAPTIONS, TIMESTEPS, check_gradients, draws, model_on
from tests.training.step.reference import UNet
from tests.training.step.reference_xl import sd2_states, sdxl_states, sdxl_vector, with_lora

FRAMES = (Frame(600, 900, 0, 36, 512, 640), Frame(1024, 1024, 8, 0, 1024, 1024))


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("families")
    return {"sd2": save_state(sd2_state(), folder / "sd2.safetensors"),
            "sdxl": save_state(sdxl_state(), folder / "sdxl.safetensors")}


def reference_loss(path: Path, lora: dict[str, torch.Tensor], tokenizer: Tokenizer, velocity: bool) -> torch.Tensor:
    latents, noise = draws()
    state = with_lora(load_file(path), lora)
    betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000) ** 2
    alpha = torch.cumprod(1 - betas, 0)[TIMESTEPS].view(2, 1, 1, 1)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    target = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents if velocity else noise
    tokens_l, tokens_g = (tokenize(tokenizer, CAPTIONS, 75, padding)[:, 0] for padding in (49407, 0))
    if "sd2" in path.name:
        prediction = UNet(state, 64)(noisy, TIMESTEPS, sd2_states(state, tokens_g))
    else:
        hidden, pooled = sdxl_states(state, tokens_l, tokens_g)
        prediction = UNet(state, 64)(noisy, TIMESTEPS, hidden, sdxl_vector(pooled, FRAMES))
    return ((prediction - target) ** 2).mean()


def measured(run: RunFolder, folder: Path, monkeypatch: pytest.MonkeyPatch, images: int) -> EpochMeasures:
    """The measurements of the saved files of ``run`` on so many ``images``, all of them numbers."""
    monkeypatch.setattr(diagnose.environment, "environment_root", lambda: folder)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert diagnose.diagnose_command([str(run.path), f"images={images}", "--runs", str(folder / "measuring")]) == 0
    measures = read_measures(run.path)
    assert measures is not None and measures.files
    assert all(math.isfinite(mean_loss(file.trained)) and (file.drift or 0) > 0 for file in measures.files)
    return measures


@pytest.mark.parametrize(("name", "kind"), [("sd2", VELOCITY), ("sdxl", "epsilon")])
def test_loss_and_every_gradient_equal_the_reference(families, name, kind):
    model = model_on(families[name], kind)
    loss, wanted = check_gradients(
        model, LossSettings(min_snr_gamma=None),
        lambda lora: reference_loss(families[name], lora, model.tokenizer, kind == VELOCITY),
        unread=lambda key: key.startswith("lora_te1_") and "layers_2_" in key,  # SDXL's first encoder: its last layer
        tolerance=lambda largest: 2e-4 * largest + 1e-6, frames=FRAMES)
    assert abs(loss - wanted) < 1e-4 * wanted


def test_a_run_on_sdxl_trains_samples_and_validates_and_its_file_says_what_it_is(train, families, tmp_path,
                                                                                    monkeypatch):
    base = {"base": {"checkpoint": str(families["sdxl"]), "clip_skip": 2}}
    done = train(**base, dataset={"validation_split": 0.2}, training={"max_train_epochs": 1},
                 optimizer={"text_encoder_lr2": 1e-4},
                 sample={"sample_prompts": ["pennyfox"], "sample_steps": 2, "sample_at_first": False})
    assert done.completed and done.files == ["penny.safetensors"]
    assert [event["path"] for event in done.of("sample")] and done.of("validation")
    assert any("1024" in event["text"] for event in done.of("warning"))
    with safe_open(done.loras / "penny.safetensors", "pt") as file:
        metadata, keys = file.metadata(), list(file.keys())
    assert metadata["ss_base_model_version"] == "sdxl_base_v1-0" and metadata["ss_v2"] == "False"
    assert metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert metadata["modelspec.encoder_layer"] == "2" and "ss_clip_skip" not in metadata
    assert {key.split("_")[1] for key in keys} == {"te1", "te2", "unet"}
    assert json.loads((done.loras / "penny.json").read_text())["sd version"] == "SDXL"
    with safe_open(done.loras / "penny.safetensors", "pt") as file:
        ups = {part: max(float(file.get_tensor(key).abs().max()) for key in keys
                         if key.startswith(f"lora_{part}_") and key.endswith("lora_up.weight"))
               for part in ("te1", "te2", "unet")}
    assert all(value > 0 for value in ups.values())
    assert ups["te2"] < ups["te1"] / 2, "the second encoder's own rate is a tenth"
    measures = measured(done.run, tmp_path, monkeypatch, 2)
    assert measures.source == HELD_OUT and len(measures.images) == 2
    assert [mean_loss(one.held_out) for one in (measures.base, *measures.files)] == pytest.approx(
        [event["loss"] for event in done.of("validation")], rel=1e-3)


def test_a_run_on_sd2_says_how_it_was_detected_and_writes_its_family(train, families, tmp_path, monkeypatch):
    state = load_file(families["sd2"]) | {"v_pred": torch.ones(0)}
    done = train(base={"checkpoint": str(save_state(state, tmp_path / "v.safetensors"))},
                 training={"max_train_epochs": 1}, sample={"sample_prompts": ["pennyfox"], "sample_steps": 2})
    assert done.completed
    with safe_open(done.loras / "penny.safetensors", "pt") as file:
        metadata, keys = file.metadata(), list(file.keys())
    assert (metadata["ss_base_model_version"], metadata["ss_v2"]) == ("sd_v2_v", "True")
    assert metadata["modelspec.prediction_type"] == "v"
    assert {key.split("_encoder_layers_")[0] for key in keys if "_te" in key} == {"lora_te_text_model"}
    assert json.loads((done.loras / "penny.json").read_text())["sd version"] == "SD2"
    assert measured(done.run, tmp_path, monkeypatch, 1).source == MIRRORED


@pytest.mark.parametrize("name", ["sdxl", "sd2"] if FULL else ["sdxl"])  # SD 2.x reads one text encoder, as SD 1.x does
def test_captions_encoded_once_train_the_same_and_the_text_encoders_are_gone(train, families, name, tmp_path):
    common = {"base": {"checkpoint": str(families[name])},
              "dataset": {"shuffle_caption": False, "caption_dropout_rate": 0.3},
              "network": {"network_train_unet_only": True}}
    losses = []
    for cached in (False, True):
        done = train(**common, training={"max_train_steps": 3, "cache_text_encoder_outputs": cached},
                     save={"output_name": f"cached {cached}"},
                     sample={"sample_prompts": ["pennyfox"], "sample_steps": 1, "sample_at_first": False})
        assert done.completed and done.of("sample")
        losses.append([event["loss"] for event in done.of("step")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_would_make_another_caption_each_time_excludes_encoding_once():
    job = Job(training=TrainingSettings(cache_text_encoder_outputs=True), dataset=DatasetSettings(enable_wildcard=True))
    problems = [problem for problem in problems_of(job) if "cache_text_encoder_outputs" in problem]
    assert len(problems) == 2 and "shuffle_caption and dataset.enable_wildcard" in problems[1]


class _Stopping(Reporter):
    run: RunFolder

    def step(self, fields):
        super().step(fields)
        if fields["step"] == 2:
            self.run.control.request("stop")


def test_an_sdxl_run_that_was_stopped_resumes_to_the_same_weights(train, families):
    """The whole network, both text encoders included, comes back."""
    common = {"base": {"checkpoint": str(families["sdxl"])}, "training": {"max_train_epochs": 1}}
    whole = train(**common)
    stopped = train(lambda run: setattr(_Stopping, "run", run), _Stopping, **common, save={"output_name": "stopped"})
    assert stopped.of("stopped")[0]["steps"] == 2
    resumed = train(lambda run: shutil.copytree(stopped.run.state, run.state, dirs_exist_ok=True), **common,
                    save={"output_name": "longer"})
    assert resumed.completed and resumed.of("started")[0]["from_step"] == 2
    one, other = (load_file(whole.loras / f"{name}.safetensors") for name in ("penny", "longer"))
    assert set(one) == set(other) and all(torch.equal(one[key], other[key]) for key in one)


def test_a_list_of_block_numbers_for_another_family_is_refused(train, families):
    done = train(base={"checkpoint": str(families["sdxl"])}, network={"block_lr_weight": ",".join(["1"] * 17)})
    assert not done.completed
    assert "takes lists of 12 or 20" in done.of("error")[0]["text"]


def test_frames_say_what_was_cut_off(tmp_path):
    fit = Fit(Bucket(64, 64), 96, 64)
    assert fit.frame(192, 128) == Frame(128, 192, 0, 16, 64, 64)
    assert Frame.whole(640, 512) == (512, 640, 0, 0, 512, 640)
    settings = DatasetSettings(random_crop=True)
    ramp = Image.merge("RGB", [Image.radial_gradient("L").resize((96, 64))] * 3)
    for seed in range(5):
        cut = draw_cut(ramp, fit, settings, (), random.Random(seed))
        left, top = cut.corner(mirrored=False)
        assert cut(ramp).tobytes() == ramp.crop((left, top, left + 64, top + 64)).tobytes()
        mirror = ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        left = cut.corner(mirrored=True)[0]
        seen = cut(ramp).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        assert seen.tobytes() == mirror.crop((left, top, left + 64, top + 64)).tobytes()


def test_a_vae_that_overflows_in_half_precision_draws_in_float32(families):
    model = model_on(families["sdxl"], "epsilon")
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    wanted = decode_picture(model, latents)
    vae = model.base.vae.to(torch.float16)
    decode = vae.decode

    def overflowing(latents, **rest):
        if latents.dtype == torch.float16:
            return (torch.full((1, 3, 32, 32), float("nan")),)
        return decode(latents, **rest)

    vae.decode = overflowing
    drawn = decode_picture(model, latents)
    assert vae.dtype == torch.float32
    difference = [abs(a - b) for a, b in zip(drawn.tobytes(), wanted.tobytes(), strict=True)]
    assert max(difference) <= 3
    vae.decode = lambda latents, **_: (torch.full((1, 3, 32, 32), float("nan")),)
    with pytest.raises(RunError, match="NaN"):
        decode_picture(model, latents)


def test_v_parameterization_makes_sd2_the_768_family(families):
    base = load_base(families["sd2"], None, dtype=torch.float32, device="cpu")
    velocity = base.predicting(Prediction(VELOCITY, "base.v_parameterization"))
    assert velocity.family.resolution == 768 and base.family.resolution == 512
    assert dataclasses.replace(velocity, text_encoders=()).text_encoders == ()
