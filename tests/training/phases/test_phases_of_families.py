"""Training phases on every family: the parts that rest and return, exact resume in each phase, and the drawn rates."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors import safe_open

from lib_lora_train.advice.schedule import drawn_rates_of
from lib_lora_train.batches.timeline import timeline_of
from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.errors import ConfigError
from lib_lora_train.pictures.scan import scan_dataset
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import create_run
from lib_lora_train.training import encoding
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import run_training
from tests.figures import FULL
from tests.models.tiny_families import SSD_SHAPE, save_state, sd2_state, sdxl_state
from tests.training.conftest import draw_pictures

FAMILIES = {"sd2_v": sd2_state, "sdxl": sdxl_state,
            "ssd": lambda: sdxl_state(shape=SSD_SHAPE)}
OPTIMIZERS = {"sd2_v": "Prodigy", "sdxl": "AdamW", "ssd": "AdamWScheduleFree"}
CUTS = {"sd2_v": (1, 3), "sdxl": (3, 5), "ssd": (5,)}
"""The steps after which a run is cut, so that each phase is interrupted on some family."""
USUAL = list(FAMILIES) if FULL else ["sdxl"]
"""SDXL has all parts that can rest; ``test_resuming_phases.py`` has the others' optimizers, and cuts in phase 1."""
PHASES = [
    {"name": "text", "steps": 2, "network": {"network_train_unet_only": False, "network_train_text_encoder_only": True},
     "optimizer": {"learning_rate": 0.5, "text_encoder_lr2": 0.25},
     "dataset": {"resolution": "96", "only_folders": [], "flip_aug": True, "shuffle_caption": True, "keep_tokens": 1}},
    {"name": "all", "steps": 2, "network": {"network_train_text_encoder_only": False},
     "dataset": {"resolution": "64x96", "train_batch_size": 1}, "training": {"gradient_accumulation_steps": 2},
     "scheduler": {"lr_scheduler": "cosine", "lr_warmup_steps": 1.0}}]
"""After a step of the UNet alone on one folder: both text encoders on all images, then everything."""


def job_on(family, folder, optimizer, **training):
    place = folder.parent.parent
    path = place / f"{family}.safetensors"
    if not path.exists():
        save_state(FAMILIES[family](), path)
        if family == "sd2_v":
            path.with_suffix(".yaml").write_text("model:\n  params:\n    parameterization: v\n")
        for name, seed in (("1_best", 3), ("2_rest", 4)):
            draw_pictures(place / "set" / name, 3, seed=seed)
    rate = 1.0 if optimizer == "Prodigy" else 1e-3
    phases = [{**phase, **({"optimizer": {name: rate * factor for name, factor in phase["optimizer"].items()}}
                           if "optimizer" in phase else {})} for phase in PHASES]
    return job_from({
        "base": {"checkpoint": str(path)}, "network": {"network_dim": 2, "network_alpha": 1,
                                                       "network_train_unet_only": True},
        "dataset": {"train_data_dir": str(place / "set"), "resolution": "64", "min_bucket_reso": 32,
                    "bucket_reso_steps": 32, "train_batch_size": 2, "only_folders": ["1_best"]},
        "optimizer": {"optimizer_type": optimizer, "learning_rate": rate},
        "training": {"max_train_epochs": None, "max_train_steps": 2, "device": "cpu", "phases": phases, **training},
        "save": {"output_name": "penny", "output_dir": str(folder), "save_every_n_steps": 1,
                 "save_every_n_epochs": 1, "save_precision": "float"}})


class Cut(BaseException):
    """Ends a run in this process as hard as a process can."""


def trained(job, run, cut_at=None):
    class Cutting(Reporter):
        def step(self, fields):
            super().step(fields)
            if fields["step"] == cut_at:
                raise Cut

    with contextlib.suppress(Cut), EventWriter(run.events_file) as events:
        assert run_training(job, run, Cutting(events, terminal=False)), read_events(run.events_file)[0][-1]
    AcceleratorState._reset_state(reset_partial_state=True)
    return {path.name: path.read_bytes() for path in sorted(Path(job.save.output_dir).glob("*.safetensors"))}


def parts_changed(before, after):
    """The parts whose weights differ between two files."""
    with safe_open(before, "pt") as one, safe_open(after, "pt") as other:
        names = one.keys()
        return {key.split("_")[1] for key in names if not torch.equal(one.get_tensor(key), other.get_tensor(key))}


@pytest.mark.slow
@pytest.mark.parametrize("family", USUAL)
def test_phases_switch_parts_sizes_and_images_and_resume_bit_for_bit_on_every_family(family, tmp_path):
    whole, cut, optimizer = tmp_path / "whole" / "loras", tmp_path / "cut" / "loras", OPTIMIZERS[family]
    job = job_on(family, whole, optimizer)
    run = create_run(whole.parent / "runs", "penny", job_to_yaml(job))
    files = trained(job, run)
    assert len(files) == 6
    encoders = {"te1", "te2"} if family in ("sdxl", "ssd") else {"te"}
    first, *ends = [whole / f"penny{name}.safetensors" for name in ("-step00000001", "-000001", "-000002", "")]
    changes = [parts_changed(*pair) for pair in zip((first, *ends[:-1]), ends, strict=True)]
    assert changes == [{"unet"}, encoders, {"unet"} | encoders]

    events = read_events(run.events_file)[0]
    steps = [event for event in events if event["event"] == "step"]
    drawn = drawn_rates_of(timeline_of(job, scan_dataset).phases).points
    for (_, unet, text_encoder), event in zip(drawn[1:], steps, strict=False):  # an event has the next step's rates
        if event["step"] not in (2, 4):  # after the last step of a phase, they are still those of its own curve
            found = event["lr_unet"], event["lr_text_encoder"]
            assert [rate is None for rate in found] == [unet is None, text_encoder is None]
            factors = [rate / wanted for rate, wanted in zip(found, (unet, text_encoder), strict=True) if wanted]
            expected = factors[0] if optimizer == "Prodigy" else 1.0  # it multiplies all by the rate that it finds
            assert factors == pytest.approx([expected] * len(factors))
    with safe_open(whole / "penny.safetensors", "pt") as saved:
        metadata = saved.metadata()
    assert metadata["ss_num_train_images"] == "9"
    assert set(json.loads(metadata["ss_tag_frequency"])) == {"1_best", "2_rest"}

    job = job_on(family, cut, optimizer)
    run = create_run(cut.parent / "runs", "penny", job_to_yaml(job))
    for step in CUTS[family]:
        trained(job, run, step)
    assert trained(job, run) == files


def trained_with(train, phases, **changes):
    return train(**{**changes, "training": {"max_train_epochs": 1, "phases": phases, **changes.get("training", {})}})


@pytest.mark.slow
def test_samples_have_one_size_in_all_phases_and_what_is_wrong_with_a_later_one_is_reported(train, pictures):
    (pictures / "00.caption").write_text("")
    (pictures / "01.caption").write_text(", ".join(f"tag {number}" for number in range(60)))
    done = trained_with(train, [{"name": "long", "epochs": 1, "dataset": {"resolution": "128",
                                                                        "caption_extension": ".caption"}}],
                        dataset={"activation_tag": "penny"}, base={"max_token_length": 75},
                        sample={"sample_prompts": ["pennyfox"], "sample_steps": 1, "sample_every_n_epochs": 1})
    assert done.completed, done.of("error")
    assert {Image.open(done.run.path / event["path"]).size for event in done.of("sample")} == {(64, 64)}
    warnings = [event["text"] for event in done.of("warning")]
    assert any(text.startswith("In long: 1 caption file with nothing in it: 00.caption") for text in warnings), warnings
    assert any(text.startswith("In long: 1 captions have more than 75 tokens and are cut there: 01.png")
               for text in warnings)


@pytest.mark.parametrize(("phase", "changes", "words"), [
    ({"optimizer": {"learning_rate": 0, "text_encoder_lr2": 1e-4}}, {}, "rest: nothing of this base model"),
    ({"network": {"block_lr_weight": "0," * 16 + "0"}}, {}, "(rest): network.block_lr_weight is 0 for every block"),
    ({"dataset": {"only_folders": ["no such"]}}, {}, "dataset.only_folders has no such"),
    ({"dataset": {"min_image_weight": 3.0}}, {}, "the highest is 1"),
    ({"network": {"network_train_unet_only": False}},
     {"network": {"network_train_unet_only": True}, "training": {"cache_text_encoder_outputs": True}},
     "phase 2 (rest): training.cache_text_encoder_outputs is on")])
def test_a_phase_that_has_nothing_to_train_or_to_train_on_is_named_before_the_first_step(train, phase, changes, words):
    try:
        done = trained_with(train, [{"name": "rest", "epochs": 1, **phase}], **changes)
    except ConfigError as problem:
        assert words in str(problem)
        return
    [error] = done.of("error")
    assert words in error["text"], error
    assert not done.of("step") and not error["detail"]


def test_a_folder_of_images_without_repeats_is_named(train, tmp_path):
    draw_pictures(tmp_path / "set" / "1_best", 2)
    draw_pictures(tmp_path / "set" / "1_rest", 2)
    for name in ("00", "01"):
        (tmp_path / "set" / "1_best" / f"{name}.weight.json").write_text('{"repeats": 0}')
    done = trained_with(train, [{"epochs": 1, "dataset": {"only_folders": ["1_best"]}}],
                        dataset={"train_data_dir": str(tmp_path / "set")})
    [error] = done.of("error")
    assert "phase 2: dataset.only_folders has 1_best, but no image there is trained on" in error["text"]


def test_cached_latents_that_do_not_fit_on_the_disk_are_refused_before_the_first_step(train, pictures, monkeypatch):
    found = shutil.disk_usage(pictures)
    monkeypatch.setattr(encoding.shutil, "disk_usage", lambda folder: found._replace(
        free=1500 if folder == pictures else found.free))
    done = trained_with(train, [{"epochs": 1, "dataset": {"resolution": "128"}}],
                        dataset={"cache_latents_to_disk": True})
    [error] = done.of("error")
    assert "latents of the images need about" in error["text"] and "0 MB are free" in error["text"], error
    assert not done.of("step")
