"""Exports a job as sd-scripts options, with notes on settings that have no equivalent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...blocks.lists import read_blocks
from ...blocks.names import FULL_SD1, FULL_SDXL
from ..groups.network import C3LIER, DYLORA, IA3, LIERLA, LOCON, LOHA, LOKR, NetworkSettings
from ..importing.option_table import FLAGS, KEY_OF, names
from ..job import Job, all_settings
from ..optimizer_args import arguments_of
from ..optimizer_facts import OPTIMIZERS
from .dataset_config import DatasetConfig, Folders, dataset_config

SD1, SD2, SDXL = "sd1", "sd2", "sdxl"
_SD2_WIDTH, _SDXL_WIDTH = 1024, 2048
_CLASSES = {"ProdigyPlusScheduleFree": "prodigyplus.ProdigyPlusScheduleFree"}
_ALGORITHMS = {LOCON: "locon", LOHA: "loha", LOKR: "lokr", IA3: "ia3", DYLORA: "dylora"}
_OWN = {
    "base.sdxl_base": "sd-scripts detects nothing of the kind; its values are in the other options.",
    "dataset.validation_data_dir": "Use is_reg and validation_split in a dataset configuration.",
    "dataset.only_folders": "Add a subset for each of these folders in a dataset configuration.",
    "dataset.min_image_weight": "sd-scripts has no weights of images.",
    "training.phases": "sd-scripts has one phase: the command trains the first. For the others, start it again with "
                       "network_weights.",
    "training.first_phase_name": "sd-scripts has no names of phases.",
    "loss.unmasked_weight": "sd-scripts learns nothing outside of masks.",
    "loss.masked_prior_preservation_weight": "sd-scripts learns nothing outside of masks.",
    "loss.preservation_weight": "sd-scripts needs regularization images for that.",
    "loss.preservation_every_n_steps": "sd-scripts needs regularization images for that.",
    "loss.preservation_class": "sd-scripts needs regularization images for that.",
    "training.checkpointing_blocks": "All blocks are checkpointed there.",
    "training.weights_on_cpu": "sd-scripts does not swap blocks of these models.",
    "training.fit_in_gb": "sd-scripts has no memory limit.",
    "sample.sample_by": "The webui does not generate samples for sd-scripts.",
    "diagnosis.diagnose": "sd-scripts does not measure single images.",
    "diagnosis.diagnosis_share": "sd-scripts does not measure single images.",
    "training.device": "Set CUDA_VISIBLE_DEVICES before the command.",
    "training.webui_model": "It only concerns the webui."}
_OTHERWISE = names("""
    base.checkpoint base.vae base.clip_skip base.max_token_length dataset.train_data_dir dataset.reg_data_dir
    dataset.masked_loss dataset.conditioning_data_dir
    dataset.concept_settings dataset.use_folder_name dataset.resolution dataset.dataset_repeats
    dataset.caption_extension dataset.activation_tag dataset.face_crop_aug_range dataset.validation_seed
    optimizer.optimizer_type optimizer.text_encoder_lr optimizer.text_encoder_lr2 optimizer.d_coef
    optimizer.optimizer_args scheduler.lr_scheduler training.max_train_epochs training.max_train_steps
    training.mixed_precision training.base_weights training.seed save.output_dir save.save_precision
    sample.sample_prompts sample.negative_prompt sample.sample_width sample.sample_height sample.sample_steps
    sample.cfg_scale sample.sample_seed network.network_weights network.network_type network.network_dim
    network.network_alpha network.conv_dim network.conv_alpha network.lokr_factor network.decompose_both
    network.dylora_unit network.dora_wd network.rs_lora network.rank_dropout network.module_dropout
    network.loraplus_lr_ratio network.block_lr_weight network.block_dims network.block_alphas
    """)


@dataclass
class Exported:
    """``options`` by their sd-scripts names; ``notes`` are sentences about settings without an equivalent; ``prompts``
    are the lines of the sample prompt file ``prompts_file``, ``dataset`` is the content of ``dataset_file``, if needed.
    """

    script: str
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    prompts_file: str = ""
    dataset: DatasetConfig | None = None
    dataset_file: str = ""


def family_of_shapes(shapes: Mapping[str, Sequence[int]]) -> str:
    """The family of a checkpoint with tensors of ``shapes``, by its cross-attention width; ``sd1`` if unknown."""
    widths = {tuple(shape)[1] for key, shape in shapes.items() if key.endswith("attn2.to_k.weight") and len(shape) == 2}
    return SDXL if _SDXL_WIDTH in widths else SD2 if _SD2_WIDTH in widths else SD1


def export_job(job: Job, family: str = SD1, folders: Folders | None = None) -> Exported:
    """``job`` for sd-scripts; ``family`` is that of its checkpoint: ``sd1``, ``sd2`` or ``sdxl``.

    ``folders`` are those with images, ``None`` if they cannot be read. Raises ``ValueError`` if the job's resolution,
    block lists or concept settings are invalid.
    """
    found = Exported("sdxl_train_network.py" if family == SDXL else "train_network.py")
    if family == SD2:
        found.options["v2"] = True
    _add_base(job, family, found)
    _add_folders(job, folders, found)
    _add_dataset(job, found)
    _add_network(job, family, found)
    _add_optimizer(job, found)
    _add_training(job, family, found)
    _add_same(job, found)
    _add_samples(job, found)
    found.notes += list(_left_out(job))
    return found


def _add_base(job: Job, family: str, found: Exported) -> None:
    options, base = found.options, job.base
    options["pretrained_model_name_or_path"] = base.checkpoint
    if base.vae:
        options["vae"] = base.vae
    if family != SDXL and base.clip_skip != 1:
        options["clip_skip"] = base.clip_skip
    if base.max_token_length != 75:
        options["max_token_length"] = base.max_token_length


def _add_folders(job: Job, folders: Folders | None, found: Exported) -> None:
    """The folders, in a dataset configuration if the command line is not enough; sd-scripts then takes them from it
    only, and all settings that it does not have from the command line.
    """
    if folders is not None and folders.weight_files:
        found.notes.append(f"{folders.weight_files} .weight.json files give images their own loss weight and repeats. "
                           "sd-scripts does not read them.")
    found.dataset = dataset_config(job.dataset, folders)
    if found.dataset is not None:
        found.dataset_file = f"{job.save.output_name or 'job'}_dataset.toml"
        found.options["dataset_config"] = found.dataset_file
        found.notes += found.dataset.notes
        return
    found.options["train_data_dir"] = job.dataset.train_data_dir
    if job.dataset.masked_loss:
        found.notes.append("dataset.masked_loss: the image folder cannot be read here. Write a dataset configuration "
                           "with conditioning_data_dir, the folder of the masks, for each folder of images.")
    if job.dataset.reg_data_dir:
        found.options["reg_data_dir"] = job.dataset.reg_data_dir


def _add_dataset(job: Job, found: Exported) -> None:
    options, dataset = found.options, job.dataset
    width, height = dataset.size
    options["resolution"] = str(width) if width == height else f"{width},{height}"
    options["caption_extension"] = ".none" if dataset.use_folder_name else dataset.caption_extension
    if dataset.activation_tag:
        options["metadata_trigger_phrase"] = dataset.activation_tag
    if dataset.face_crop_aug_range:
        options["face_crop_aug_range"] = dataset.face_crop_aug_range
    if dataset.validation_split:
        options["validation_seed"] = dataset.validation_seed
    if dataset.masked_loss:
        options["masked_loss"] = True
        found.notes.append("dataset.masked_loss: sd-scripts divides the loss by the area of the image, not by that of "
                           "the mask, so images with small masks count less there.")
    if dataset.enable_bucket:
        options["min_bucket_reso"], options["max_bucket_reso"] = dataset.bucket_sides
        if not dataset.min_bucket_reso or not dataset.max_bucket_reso:
            found.notes.append("dataset.min_bucket_reso and max_bucket_reso follow from the resolution here; the "
                               "command has the numbers.")
    if not (dataset.color_aug or dataset.random_crop or dataset.face_crop_aug_range):
        options["cache_latents"] = True
    if dataset.dataset_repeats != 1:
        options["dataset_repeats"] = dataset.dataset_repeats
        if found.dataset is None:
            found.notes.append(f"dataset.dataset_repeats is {dataset.dataset_repeats}. sd-scripts reads repeats from "
                               "the folder's name, such as 3_penny.")


def _add_network(job: Job, family: str, found: Exported) -> None:
    options, network = found.options, job.network
    options["network_module"] = "networks.lora" if network.network_type in (LIERLA, C3LIER) else "lycoris.kohya"
    options["network_dim"], options["network_alpha"] = network.network_dim, network.alpha
    if network.network_weights:
        options["network_weights"], options["dim_from_weights"] = network.network_weights, True
    arguments: dict[str, Any] = {"algo": _ALGORITHMS[network.network_type]} if network.network_type in _ALGORITHMS \
        else {}
    if network.network_type not in (LIERLA, IA3):
        size = network.size_of(None, spatial=True)
        if size is not None and (network.conv_dim or network.conv_alpha is not None or network.network_type == C3LIER):
            arguments |= {"conv_dim": size[0], "conv_alpha": size[1]}
    arguments |= {name: value for name, value in (
        ("dora_wd", network.dora_wd), ("rs_lora", network.rs_lora), ("rank_dropout", network.rank_dropout),
        ("module_dropout", network.module_dropout), ("loraplus_lr_ratio", network.loraplus_lr_ratio)) if value}
    if network.network_type == LOKR:
        arguments |= {"factor": network.lokr_factor, "decompose_both": network.decompose_both}
    if network.network_type == DYLORA:
        arguments["block_size"] = network.dylora_unit
    _add_blocks(network, family, arguments, found)
    if network.network_type in (LIERLA, C3LIER):
        for name in ("dora_wd", "rs_lora"):
            if arguments.pop(name, None):
                found.notes.append(f"network.{name} is on. networks.lora of sd-scripts does not have it.")
    if arguments:
        options["network_args"] = [f"{name}={_text(value)}" for name, value in arguments.items()]


def _add_blocks(network: NetworkSettings, family: str, arguments: dict[str, Any], found: Exported) -> None:
    """Block lists for networks.lora: 25 blocks; for SDXL 23, including the embedding and three middle layers."""
    lists = {name: read_blocks(getattr(network, name)) for name in ("block_lr_weight", "block_dims", "block_alphas")}
    for name, values in lists.items():
        if values is None:
            continue
        if network.network_type not in (LIERLA, C3LIER):
            found.notes.append(f"network.{name} is set. LyCORIS takes no numbers by block.")
            continue
        blocks = (FULL_SDXL if family == SDXL else FULL_SD1)[1:]
        half = len(blocks) // 2
        numbers = [values[block] for block in blocks]
        down, middle, up = numbers[:half], numbers[half:half + 1], numbers[half + 1:]
        if family == SDXL:
            middle *= 3
        if values["BASE"] != {"block_lr_weight": 1.0, "block_dims": network.network_dim,
                              "block_alphas": network.alpha}[name]:
            found.notes.append(f"network.{name} has {values['BASE']:g} for BASE. sd-scripts has no number for the text "
                               "encoder.")
        if name == "block_lr_weight":
            arguments |= {"down_lr_weight": _numbers(down), "mid_lr_weight": _numbers(middle),
                          "up_lr_weight": _numbers(up)}
        else:
            around = [0.0] if family == SDXL else []
            arguments[name] = _numbers([*around, *down, *middle, *up, *around])


def _add_optimizer(job: Job, found: Exported) -> None:
    options, optimizer = found.options, job.optimizer
    name = optimizer.optimizer_type
    options["optimizer_type"] = _CLASSES.get(name, name)
    if name in _CLASSES:
        found.notes.append(f"optimizer.optimizer_type {name} is a package of its own in sd-scripts: pip install "
                           "prodigy-plus-schedule-free.")
    options["optimizer_args"] = [f"{name}={_text(value)}" for name, value in arguments_of(optimizer,
                                                                                         job.scheduler).items()]
    usual = OPTIMIZERS[name].usual_d_coef
    if usual is not None and optimizer.d_coef is None:
        found.notes.append(f"optimizer.d_coef is empty and follows from the network here; the command has {usual:g}.")
    rates = [optimizer.text_encoder_lr, optimizer.text_encoder_lr2]
    if rates[1] is not None:
        options["text_encoder_lr"] = [optimizer.text_encoder_rate, rates[1]]
    elif rates[0] is not None:
        options["text_encoder_lr"] = [rates[0]]
    options["lr_scheduler"] = job.scheduler.lr_scheduler


def _add_training(job: Job, family: str, found: Exported) -> None:
    options, training = found.options, job.training
    if training.max_train_steps is not None:
        options["max_train_steps"] = training.max_train_steps
        if training.max_train_epochs is not None:
            found.notes.append("training.max_train_epochs is not given: steps override epochs here, and epochs "
                               "override steps in sd-scripts.")
    else:
        options["max_train_epochs"] = training.max_train_epochs
    precision = training.mixed_precision
    if precision == "auto":
        precision = "bf16" if family == SDXL else "fp16"
        found.notes.append(f"training.mixed_precision is auto. sd-scripts needs a fixed value; the command has "
                           f"{precision}.")
    if precision != "no":
        options["mixed_precision"] = precision
    if training.base_weights != "full":
        options["fp8_base"] = True
        if training.base_weights != "fp8":
            found.notes.append(f"training.base_weights is {training.base_weights}. The command has fp8_base.")
    options["seed"] = training.seed
    options["output_dir"], options["save_precision"] = job.save.output_dir, job.save.save_precision
    options["save_model_as"], options["sdpa"] = "safetensors", True


def _add_same(job: Job, found: Exported) -> None:
    """Options of the same name: switches that are on, and values that are not empty."""
    for setting in all_settings():
        if setting.name not in KEY_OF or setting.name in found.options:
            continue
        value = getattr(getattr(job, setting.group), setting.name)
        if setting.name in FLAGS:
            if value:
                found.options[setting.name] = True
        elif value not in (None, "") and not (value == 0 and setting.default == 0):
            found.options[setting.name] = value


def _add_samples(job: Job, found: Exported) -> None:
    sample = job.sample
    if not sample.sample_prompts:
        for name in ("sample_at_first", "sample_every_n_epochs"):
            found.options.pop(name, None)
        return
    own = [f"--n {sample.negative_prompt}"] if sample.negative_prompt else []
    width, height = job.dataset.size
    own += [f"--w {sample.sample_width or width}", f"--h {sample.sample_height or height}", f"--d {sample.sample_seed}",
            f"--s {sample.sample_steps}", f"--l {sample.cfg_scale:g}"]
    found.prompts = [" ".join([line, *(one for one in own if f" {one.split()[0]} " not in f"{line} ")])
                     for line in sample.sample_prompts]
    found.prompts_file = f"{job.save.output_name or 'sample'}_prompts.txt"
    found.options["sample_prompts"] = found.prompts_file
    found.options.setdefault("sample_every_n_epochs", job.save.save_every_n_epochs or 1)
    found.notes.append(f"sample.sample_prompts: save these lines as {found.prompts_file}: " + " / ".join(found.prompts))


def _left_out(job: Job) -> Iterator[str]:
    for setting in all_settings():
        value = getattr(getattr(job, setting.group), setting.name)
        if setting.key in _OWN and value not in (setting.default, None, "", []):
            shown = f"has {len(value)} more phases" if setting.key == "training.phases" else f"is {value}"
            yield f"{setting.key} {shown}. {_OWN[setting.key]}"


def covered() -> Mapping[str, str]:
    """How each setting is exported: under the same name, with special handling, or not at all."""
    ways = dict.fromkeys(KEY_OF.values(), "same name")
    return {**ways, **dict.fromkeys(_OTHERWISE, "way of its own"), **dict.fromkeys(_OWN, "left out")}


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_text(item) for item in value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _numbers(values: list[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
