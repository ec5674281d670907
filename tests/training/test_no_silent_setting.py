"""No setting is silent: another value changes the result, or is refused, or a note says why it has no effect.

Made from the schema: a new setting is in it. One whose values do not follow from its type needs some in ``PROBES``.
Where a note says that a setting has no effect, it really has none.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_lora_train.advice.notes import notes_on
from lib_lora_train.advice.size import read_shapes
from lib_lora_train.advice.surroundings import PlanFacts, Surroundings, plan_facts
from lib_lora_train.batches.plan import fits_of, plan_of
from lib_lora_train.blocks.lists import SHORT_SD1
from lib_lora_train.config.change import changed
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.groups.network import NETWORK_TYPES
from lib_lora_train.config.groups.scheduler import LR_SCHEDULERS
from lib_lora_train.config.job import Job, all_settings, setting_named
from lib_lora_train.config.setting import SettingField
from lib_lora_train.errors import TrainLoraError
from lib_lora_train.models.load import load_base
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.save import write_tensors
from lib_lora_train.pictures.scan import scan_dataset
from lib_lora_train.training import base_weights, run
from lib_lora_train.training.precision import auto_precision
from lib_lora_train.training.setup import held_out_plan
from tests.models.tiny_checkpoint import make_micro

from .observations import (
    RATED_STEPS,
    STEPS,
    Observe,
    lean,
    load,
    observe_diagnosis,
    observe_images,
    observe_loss,
    observe_rates,
    observe_run,
    observe_steps,
)

pytestmark = pytest.mark.slow
Changes = dict[str, Any]
SOME_RATES = ",".join(str((number % 4) / 2) for number in range(len(SHORT_SD1)))
SOME_DIMS = ",".join(str(2 + number % 3) for number in range(len(SHORT_SD1)))


class Material:
    """Folders and files for every case; made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = make_micro().save(folder / "micro.safetensors")
        self.other = make_micro(seed=1).save(folder / "other.safetensors")
        self.images = self._images(folder / "set")
        self.one = self._images(folder / "one", 1)
        self.two = self._images(folder / "two", 2)
        self.marked = self._images(folder / "marked", caption="penny, hat ||| ball, sun, red")
        self.numbered = folder / "numbered"
        self._images(self.numbered / "3_penny", 3)
        self._images(self.numbered / "2_hat", 2)
        self.masked = self._images(folder / "masked", 3)
        Image.linear_gradient("L").resize((80, 80)).save(self.masked / "0-mask.png")
        self.masks = folder / "masks"
        self.masks.mkdir()
        Image.linear_gradient("L").rotate(90).resize((80, 80)).save(self.masks / "0.png")
        self.held_out = self._images(folder / "held_out", 2, caption="penny, held out")
        self.regularization = self._images(folder / "class", 3, caption="1girl, plain")
        base = load(self.checkpoint)
        network = create_network(Job().network, base.unet, base.text_encoders, 7)
        self.lora = folder / "lora.safetensors"
        write_tensors(self.lora, {name: tensor.detach() for name, tensor in network.state_dict().items()}, {})

    @staticmethod
    def _images(folder: Path, count: int = 6, caption: str = "") -> Path:
        folder.mkdir(parents=True)
        sizes = ((80, 80), (96, 64), (64, 96), (230, 60), (40, 40), (90, 75))
        captions = ("penny, hat ||| ball, sun, red", "penny, {red|blue} hat, ball, sun, moon\npenny, second, line, day",
                    "penny, ball, hat, sun, tree", "penny, ball, round, tall, big", "", "penny, low, high")
        for number in range(count):
            image = Image.effect_noise(sizes[number], 90).convert("RGBA" if number == 2 else "RGB")
            if number == 2:
                image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda value: 255 * (value > 99)))
            image.save(folder / f"{number}.png")
            (folder / f"{number}.txt").write_text(caption or captions[number])
            (folder / f"{number}.caption").write_text(f"other, caption, {number}")
        return folder


PROBES: dict[str, Callable[[Material], list[Any]]] = {
    "base.checkpoint": lambda m: [str(m.other)], "base.vae": lambda m: [str(m.other)],
    "base.clip_skip": lambda m: [2], "base.sdxl_base": lambda m: ["Pony"], "base.max_token_length": lambda m: [75],
    "dataset.train_data_dir": lambda m: [str(m.numbered)], "dataset.validation_data_dir": lambda m: [str(m.held_out)],
    "dataset.validation_split": lambda m: [0.4], "dataset.validation_seed": lambda m: [3],
    "dataset.reg_data_dir": lambda m: [str(m.regularization)], "dataset.resolution": lambda m: ["96"],
    "dataset.concept_settings": lambda m: [["set: dataset_repeats=3"], ["set: keep_tokens=3"], ["set: flip_aug=true"],
                                           ["set: loss_weight=0.5"]],
    "dataset.only_folders": lambda m: [["3_penny"]], "dataset.min_image_weight": lambda m: [2.0],
    "training.phases": lambda m: [[{"steps": 2}]], "training.first_phase_name": lambda m: ["base"],
    "dataset.min_bucket_reso": lambda m: [64], "dataset.max_bucket_reso": lambda m: [96],
    "dataset.bucket_reso_steps": lambda m: [16], "dataset.caption_extension": lambda m: [".caption"],
    "dataset.caption_separator": lambda m: [" "], "dataset.keep_tokens": lambda m: [2],
    "dataset.keep_tokens_separator": lambda m: ["|||", "@@"], "dataset.caption_prefix": lambda m: ["art of"],
    "dataset.caption_suffix": lambda m: ["end"], "dataset.caption_dropout_rate": lambda m: [0.5],
    "dataset.caption_dropout_every_n_epochs": lambda m: [2, 9], "dataset.token_warmup_min": lambda m: [2],
    "dataset.caption_tag_dropout_rate": lambda m: [0.4], "dataset.token_warmup_step": lambda m: [20.0, 0.001],
    "dataset.activation_tag": lambda m: ["pennyfox"], "dataset.face_crop_aug_range": lambda m: ["2.0,4.0"],
    "dataset.conditioning_data_dir": lambda m: [str(m.masks)],
    "dataset.train_batch_size": lambda m: [3, 50], "dataset.dataset_repeats": lambda m: [3],
    "network.network_dim": lambda m: [3], "network.network_alpha": lambda m: [1.0],
    "network.network_weights": lambda m: [str(m.lora)], "network.conv_alpha": lambda m: [1.0],
    "network.conv_dim": lambda m: [2], "network.lokr_factor": lambda m: [4], "network.dylora_unit": lambda m: [2],
    "network.network_dropout": lambda m: [0.5], "network.rank_dropout": lambda m: [0.5],
    "network.module_dropout": lambda m: [0.5], "network.scale_weight_norms": lambda m: [0.001],
    "network.loraplus_lr_ratio": lambda m: [1.0, 8.0],
    "network.block_lr_weight": lambda m: [SOME_RATES, ",".join(["1"] * len(SHORT_SD1))],
    "network.block_dims": lambda m: [SOME_DIMS], "network.block_alphas": lambda m: [SOME_DIMS],
    "optimizer.learning_rate": lambda m: [2e-3], "optimizer.unet_lr": lambda m: [2e-3, 0.0],
    "optimizer.text_encoder_lr": lambda m: [5e-3, 0.0], "optimizer.text_encoder_lr2": lambda m: [3e-3],
    "optimizer.d_coef": lambda m: [1.0], "optimizer.max_grad_norm": lambda m: [1e-3],
    "optimizer.optimizer_args": lambda m: [["weight_decay=0.9"]],
    "scheduler.lr_warmup_steps": lambda m: [2.0, 0.01, 40.0], "scheduler.lr_scheduler_num_cycles": lambda m: [2],
    "scheduler.lr_scheduler_power": lambda m: [2.0], "scheduler.lr_scheduler_min_lr_ratio": lambda m: [0.5],
    "scheduler.lr_scheduler_timescale": lambda m: [2], "scheduler.lr_decay_steps": lambda m: [8.0, 0.01, 40.0],
    "loss.min_snr_gamma": lambda m: [1.0, None], "loss.huber_c": lambda m: [0.5], "loss.huber_scale": lambda m: [3.0],
    "loss.prior_loss_weight": lambda m: [0.25], "loss.unmasked_weight": lambda m: [0.3, 1.0],
    "loss.masked_prior_preservation_weight": lambda m: [0.5], "loss.preservation_class": lambda m: ["1girl"],
    "loss.preservation_weight": lambda m: [0.5], "loss.preservation_every_n_steps": lambda m: [2, 50],
    "loss.noise_offset": lambda m: [0.2],
    "loss.adaptive_noise_scale": lambda m: [0.5], "loss.multires_noise_iterations": lambda m: [1, 6],
    "loss.multires_noise_discount": lambda m: [0.7], "loss.ip_noise_gamma": lambda m: [0.2],
    "loss.min_timestep": lambda m: [700], "loss.max_timestep": lambda m: [300],
    "training.max_train_epochs": lambda m: [1], "training.max_train_steps": lambda m: [2],
    "training.gradient_accumulation_steps": lambda m: [2, 50], "training.weights_on_cpu": lambda m: [50],
    "training.fit_in_gb": lambda m: [4.0], "training.seed": lambda m: [1], "training.device": lambda m: ["cuda"],
    "save.output_name": lambda m: ["alice"], "save.output_dir": lambda m: [str(m.folder / "elsewhere")],
    "save.save_every_n_epochs": lambda m: [2, 9, None], "save.save_every_n_steps": lambda m: [1, 90],
    "save.training_comment": lambda m: ["made with care"],
    "sample.sample_prompts": lambda m: [["a hat", "a ball"]], "sample.negative_prompt": lambda m: ["bad"],
    "sample.sample_every_n_epochs": lambda m: [2, 9], "sample.sample_width": lambda m: [128, 100],
    "sample.sample_height": lambda m: [128, 100], "sample.sample_steps": lambda m: [3],
    "sample.cfg_scale": lambda m: [2.0], "sample.sample_seed": lambda m: [5],
    "diagnosis.diagnosis_share": lambda m: [1.0],
}
"""Values beside the default."""


def probes(field: SettingField, material: Material) -> list[Any]:
    """Values of a setting that are not its default: those of ``PROBES``, or what its type says."""
    if field.key in PROBES:
        return PROBES[field.key](material)
    if field.info.choices:
        return [choice for choice in field.info.choices if choice != field.default]
    if field.type_name == "bool":
        return [not field.default]
    pytest.fail(f"{field.key} is new: name values of it in PROBES, so that it is shown to have an effect.")


GROUPS_SEEN_IN = {"dataset": "images", "network": "steps", "optimizer": "rates", "scheduler": "rates", "loss": "loss",
                  "base": "run", "training": "run", "save": "run", "sample": "run", "diagnosis": "diagnosis"}
"""Where the settings of each group show; a new group has to be named."""

LORA = {"network.network_dim": 4, "network.network_alpha": 2.0}
ADAM = {**LORA, "optimizer.optimizer_type": "AdamW", "optimizer.learning_rate": 1e-3}
ADAPTIVE = {**LORA, "optimizer.learning_rate": 1.0}
CONTEXTS: dict[str, dict[str, Callable[[Material], Changes]]] = {
    "dataset": {
        "as it is": lambda m: {}, "no buckets": lambda m: {"dataset.enable_bucket": False},
        "never enlarged": lambda m: {"dataset.bucket_no_upscale": True},
        "tags stay": lambda m: {"dataset.shuffle_caption": False},
        "a mark in some": lambda m: {"dataset.keep_tokens_separator": "|||"},
        "a mark in all": lambda m: {"dataset.keep_tokens_separator": "|||", "dataset.train_data_dir": str(m.marked)},
        "numbered folders": lambda m: {"dataset.train_data_dir": str(m.numbered)},
        "folders' names": lambda m: {"dataset.train_data_dir": str(m.numbered), "dataset.use_folder_name": True},
        "wildcards": lambda m: {"dataset.enable_wildcard": True},
        "warmup of tags": lambda m: {"dataset.token_warmup_step": 25.0},
        "masks": lambda m: {"dataset.train_data_dir": str(m.masked)},
        "masks are used": lambda m: {"dataset.train_data_dir": str(m.masked), "dataset.masked_loss": True},
        "masks elsewhere": lambda m: {"dataset.masked_loss": True},
        "recoloured": lambda m: {"dataset.color_aug": True}, "one image": lambda m: {
            "dataset.train_data_dir": str(m.one)},
        "held out": lambda m: {"dataset.validation_split": 0.4},
        "each folder its own": lambda m: {"dataset.train_data_dir": str(m.numbered), "dataset.concept_settings": [
            f"{name}: dataset_repeats=4 keep_tokens=1 flip_aug=false" for name in ("3_penny", "2_hat")]}},
    "network": {
        **{kind: lambda m, kind=kind: {**ADAM, "optimizer.learning_rate": 0.02, "network.network_type": kind}
           for kind in NETWORK_TYPES},
        "whole LoKR": lambda m: {**ADAM, "network.network_type": "LyCORIS-LoKR", "network.network_dim": 64},
        "from a file": lambda m: {**ADAM, "network.network_weights": str(m.lora)},
        "block lists": lambda m: {**ADAM, "network.block_dims": SOME_DIMS, "network.block_alphas": SOME_DIMS},
        "DyLoRA, dim is unit": lambda m: {**ADAM, "network.network_type": "LyCORIS-DyLoRA"}},
    "optimizer": {
        **{name: lambda m, name=name: {**ADAM, "optimizer.optimizer_type": name}
           for name in ("AdamW", "Lion", "SGDNesterov", "AdamWScheduleFree")},
        **{name: lambda m, name=name: {**ADAPTIVE, "optimizer.optimizer_type": name}
           for name in ("Prodigy", "ProdigyPlusScheduleFree", "DAdaptAdam", "AdaFactor")},
        "AdaFactor at my rate": lambda m: {**ADAM, "optimizer.optimizer_type": "AdaFactor",
                                           "optimizer.optimizer_args": ["relative_step=False"]},
        "own rates": lambda m: {**ADAM, "optimizer.unet_lr": 1e-3, "optimizer.text_encoder_lr": 1e-4},
        "UNet only": lambda m: {**ADAM, "network.network_train_unet_only": True},
        "text encoder only": lambda m: {**ADAM, "network.network_train_text_encoder_only": True}},
    "scheduler": {
        **{name: lambda m, name=name: {**ADAM, "scheduler.lr_scheduler": name} for name in LR_SCHEDULERS},
        "AdaFactor": lambda m: {**ADAPTIVE, "optimizer.optimizer_type": "AdaFactor"}},
    "loss": {
        "as it is": lambda m: ADAM, "huber": lambda m: {**ADAM, "loss.loss_type": "huber"},
        "offset": lambda m: {**ADAM, "loss.noise_offset": 0.1}, "velocity": lambda m: {
            **ADAM, "base.v_parameterization": True},
        "coarse noise once": lambda m: {**ADAM, "loss.multires_noise_iterations": 1},
        "coarse noise": lambda m: {**ADAM, "loss.multires_noise_iterations": 4},
        "masks": lambda m: {**ADAM, "dataset.train_data_dir": str(m.masked), "dataset.masked_loss": True},
        "masks, none found": lambda m: {**ADAM, "dataset.masked_loss": True},
        "preserved": lambda m: {**ADAM, "dataset.activation_tag": "penny", "loss.preservation_weight": 1.0},
        "a trigger word": lambda m: {**ADAM, "dataset.activation_tag": "penny"},
        "a trigger word that no caption has": lambda m: {
            **ADAM, "dataset.activation_tag": "alice", "loss.preservation_weight": 1.0,
            "dataset.train_data_dir": str(m.marked)},
        "regularization": lambda m: {**ADAM, "dataset.reg_data_dir": str(m.regularization)},
        "not weighted": lambda m: {**ADAM, "loss.min_snr_gamma": None}},
    "base": {"as it is": lambda m: ADAM,
             "long captions": lambda m: {**ADAM, "dataset.caption_prefix": "a very long caption, " * 20}},
    "training": {"as it is": lambda m: ADAM},
    "save": {"as it is": lambda m: ADAM},
    "sample": {"no prompts": lambda m: ADAM,
               "a prompt": lambda m: {**ADAM, "sample.sample_prompts": ["penny, hat"]}},
    "diagnosis": {"as it is": lambda m: {}, "off": lambda m: {"diagnosis.diagnose": False}},
}
SHOWN_WITH = {"dataset.activation_tag": "save"}
"""Settings that show where those of another group do: the tag is in a file beside the LoRA."""
CASES = [(field.key, context) for field in all_settings()
         for context in CONTEXTS[SHOWN_WITH.get(field.key, field.group)]]
SAME_BY_DESIGN: dict[str, str] = {}
"""Settings and values without an effect that no note is for, with the reason."""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return Material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def observers(material: Material) -> Iterator[dict[str, Observe]]:
    base = load(material.checkpoint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base_weights, "load_base", lambda *args, **more: lean(load_base(*args, **more)))
        patch.setattr(run, "save_state", lambda *args, **more: None)  # for a resume, which no setting here is about
        yield {"images": observe_images, "steps": observe_steps(base, dataclasses.replace(base)),
               "loss": observe_loss, "run": observe_run(material.folder), "rates": observe_rates,
               "diagnosis": observe_diagnosis}


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[str, str, str, str]]]:
    """What came of each case; written to the file that LORA_TRAIN_SWEEP_TABLE names."""
    rows: list[tuple[str, str, str, str]] = []
    yield rows
    if os.environ.get("LORA_TRAIN_SWEEP_TABLE"):
        text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        Path(os.environ["LORA_TRAIN_SWEEP_TABLE"]).write_text(
            f"| setting | value | in | result |\n|---|---|---|---|\n{text}\n")


def whole_job(material: Material, changes: Changes) -> Job:
    return changed(Job(), {
        "base.checkpoint": str(material.checkpoint), "dataset.train_data_dir": str(material.images),
        "dataset.resolution": "64", "dataset.min_bucket_reso": 32, "dataset.max_bucket_reso": 128,
        "dataset.bucket_reso_steps": 32, "dataset.train_batch_size": 2, "training.max_train_epochs": 2,
        "training.device": "cpu",
        "sample.sample_steps": 2, "save.output_name": "penny", "save.output_dir": str(material.folder / "loras"),
        **changes})


def surroundings(job: Job, seen_in: str) -> Surroundings:
    dataset = scan_dataset(job.dataset)
    held_out = held_out_plan(job, dataset)
    plan = plan_of(job.dataset, dataset, job.training)
    facts: PlanFacts = plan_facts(plan, 0 if held_out is None else len(held_out.pictures),
                                  lambda settings: fits_of(settings, plan.pictures),
                                  200 if len(job.dataset.caption_prefix) > 100 else 20)
    if seen_in in ("steps", "loss", "rates"):
        steps = {"steps": STEPS, "loss": 2, "rates": RATED_STEPS}[seen_in]
        facts = dataclasses.replace(facts, total_steps=steps, batches_per_epoch=steps, epochs=1)
    return Surroundings("cpu", False, "SD 1.x", 1, True, False, read_shapes(Path(job.base.checkpoint)) or {}, facts,
                        auto_precision=auto_precision(job.training, plan.smallest_side))


def outcome(observe: Observe, job: Job) -> tuple[str, Any]:
    """What is observed, or the sentence with which it is refused."""
    problems = problems_of(job)
    if problems:
        return "refused", " ".join(problems)
    try:
        return "seen", observe(job)
    except TrainLoraError as problem:
        return "refused", str(problem)


def result_of(key: str, before: tuple[str, Any], after: tuple[str, Any], notes: list[str]) -> str:
    if after[0] == "refused":
        return f"refused: {after[1]}"
    if any(note.startswith(f"{key} has no effect") for note in notes):
        assert before == after or before[0] == "refused", f"{key} has an effect, but: {notes}"
        return notes[0]
    if before != after:
        return "changes the result"
    return notes[0] if notes else "SILENT"


GIVEN = {"base.checkpoint", "dataset.train_data_dir", "dataset.resolution", "dataset.min_bucket_reso",
         "dataset.max_bucket_reso", "dataset.bucket_reso_steps", "dataset.train_batch_size",
         "training.max_train_epochs", "training.device", "save.output_name", "save.output_dir",
         "sample.sample_steps"}
"""Settings that every case starts from with a value of its own."""
OBSERVED: dict[str, tuple[str, Any]] = {}


def observed(observe: Observe, job: Job) -> tuple[str, Any]:
    """``outcome``, once for each job."""
    if f"{observe} {job}" not in OBSERVED:
        OBSERVED[f"{observe} {job}"] = outcome(observe, job)
    return OBSERVED[f"{observe} {job}"]


def sentences(job: Job, around: Surroundings, key: str, value: Any) -> list[str]:
    """What the notes and the scan of the folder say of a setting, or of one that does not go with its ``value``."""
    problems = [problem.text for problem in scan_dataset(job.dataset).problems if key.split(".")[1] in problem.text]
    return [*(note.text for note in notes_on(job, around) if note.key == key or (
        isinstance(value, str) and len(value) > 4 and value in note.text)), *problems]


@pytest.mark.parametrize("key, context", CASES)
def test_another_value_shows_or_is_explained(key, context, material, observers, table):
    field = setting_named(key)
    group = SHOWN_WITH.get(key, field.group)
    seen_in = GROUPS_SEEN_IN[group]
    few = {"dataset.train_data_dir": str(material.two), "dataset.train_batch_size": 1} if seen_in == "run" else {}
    job = changed(whole_job(material, few | CONTEXTS[group][context](material)),
                  {key: field.default} if key not in GIVEN else {})
    before = observed(observers[seen_in], job)
    silent = []
    for value in probes(field, material):
        if value == getattr(getattr(job, field.group), field.name):
            continue
        other = changed(job, {key: value})
        after = observed(observers[seen_in], other)
        if before[0] == "refused" and after[0] == "refused":
            continue
        said = [] if after[0] == "refused" else sentences(other, surroundings(other, seen_in), key, value)
        if key in GIVEN and any(sentence.startswith(f"{key} has no effect") for sentence in said):
            # a note compares with the default
            before = "seen", observers[seen_in](changed(job, {key: field.default}))
        result = result_of(key, before, after, said)
        table.append((key, f"`{value}`".replace("|", "\\|"), context, result.replace("|", "\\|")))
        if result == "SILENT" and f"{key}={value}" not in SAME_BY_DESIGN:
            silent.append(f"{key} = {value!r} in {context!r} changes nothing, and nothing says why")
    assert not silent, "\n".join(silent)
