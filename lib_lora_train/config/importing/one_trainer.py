"""Imports a OneTrainer configuration (JSON): the settings that both programs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ConfigError
from ..groups.network import LIERLA, LOCON, LOHA, LOKR
from .one_trainer_table import DIRECT, LEFT_OUT, NOT_NEEDED, OTHER_MODELS
from .places import FOLDER, file_name
from .sd_dataset import take_subsets
from .sd_optimizer import optimizer_named, take_arguments, take_scheduler
from .sd_scripts import take_option
from .taking import Option, Taking, as_switch

_SIGNS = ("training_method", "model_type", "base_model_name", "layer_filter_preset", "optimizer_defaults")
_OPTIMIZER_ARGUMENTS = ("weight_decay", "eps", "momentum", "decouple", "use_bias_correction", "safeguard_warmup",
                        "d_coef", "d0", "growth_rate", "scale_parameter", "relative_step", "warmup_init",
                        "decay_rate", "clip_threshold")
_OF_PRODIGY_PLUS = ("beta3", "weight_decay_by_lr", "d_limiter", "prodigy_steps", "schedulefree_c", "split_groups",
                    "split_groups_mean", "factored", "factored_fp32", "use_stableadamw", "use_schedulefree",
                    "use_speed", "stochastic_rounding", "use_cautious", "use_grams", "use_adopt", "use_orthograd",
                    "use_focus")
_PRECISION = {"FLOAT_16": "fp16", "BFLOAT_16": "bf16", "FLOAT_32": "no", "TFLOAT_32": "no"}
_SAVED = {"FLOAT_16": "fp16", "BFLOAT_16": "bf16", "FLOAT_32": "float"}
_STORED = {"FLOAT_8": "fp8", "NFLOAT_4": "nf4"}
Handler = Callable[[Mapping[str, Any], Option, Taking], None]


def is_one_trainer(values: Mapping[str, Any]) -> bool:
    """Whether ``values`` are a OneTrainer configuration."""
    return sum(name in values for name in _SIGNS) >= 2


def take_one_trainer(values: Mapping[str, Any], taking: Taking) -> None:
    """Import everything in the configuration. Raises ``ConfigError`` if it is for an unsupported model type."""
    model = str(values.get("model_type") or "STABLE_DIFFUSION_15")
    if not model.startswith(("STABLE_DIFFUSION_1", "STABLE_DIFFUSION_2", "STABLE_DIFFUSION_XL")):
        raise ConfigError(f"The configuration is for {model}. Here SD 1.x, SD 2.x and SDXL are trained.")
    for name, value in values.items():
        option = Option(name, value)
        if name in _HANDLERS:
            _HANDLERS[name](values, option, taking)
        elif name in DIRECT:
            taking.take(option, {DIRECT[name]: value})
        elif name in NOT_NEEDED:
            taking.not_needed(option, NOT_NEEDED[name])
        elif name in LEFT_OUT:
            if option.is_off or str(value).upper() in ("OFF", "NEVER", "NONE"):
                taking.not_needed(option, "It is not used there either.")
            else:
                taking.drop(option, LEFT_OUT[name])
        elif name.startswith(OTHER_MODELS):
            taking.not_needed(option, "It is for other kinds of models.")
        else:
            taking.not_known(option, (*_HANDLERS, *DIRECT, *NOT_NEEDED, *LEFT_OUT))
    _fill_defaults(values, taking)


def _fill_defaults(values: Mapping[str, Any], taking: Taking) -> None:
    """Fill in OneTrainer's defaults that differ from ours and are missing, as in its presets."""
    for name, default in (("learning_rate", 3e-6), ("epochs", 100), ("learning_rate_warmup_steps", 200.0),
                          ("lora_rank", 16), ("lora_alpha", 1.0)):
        key = DIRECT[name]
        if name not in values and key not in taking.values:
            taking.take_default(name, key, default, f"By default, OneTrainer uses {default:g}.")
    for name, key, value, why in (
            ("loss_weight_fn", "loss.min_snr_gamma", None, "By default, OneTrainer does not weight timesteps."),
            ("output_dtype", "save.save_precision", "float", "By default, OneTrainer saves in full precision."),
            ("train_dtype", "training.mixed_precision", "fp16", "By default, OneTrainer computes in fp16."),
            ("save_every", "save.save_every_n_epochs", None, "By default, OneTrainer saves only at the end."),
            ("concepts", "dataset.shuffle_caption", False, "By default, OneTrainer keeps the order of the tags.")):
        if name not in values and key not in taking.values:
            taking.take_default(name, key, value, why)
    if as_switch(values.get("masked_training") or False) and "unmasked_weight" not in values:
        taking.take_default("unmasked_weight", "loss.unmasked_weight", 0.1, "By default, OneTrainer uses 0.1.")
    if "optimizer" not in values:
        taking.take_default("optimizer", "optimizer.optimizer_type", "AdamW", "By default, OneTrainer uses AdamW.")
    if not {"peft_type", "layer_filter_preset"} & set(values):
        _take_network(values, Option("peft_type", "LORA", given=False), taking)


def _take_method(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    if option.value == "LORA":
        taking.note(option, "A LoRA is what is trained here.")
    else:
        taking.drop(option, "It trains no LoRA. The settings that LoRA training has too are taken.")


def _take_model_type(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    if "INPAINTING" in str(option.value) or "DEPTH" in str(option.value):
        taking.drop(option, "Inpainting and depth models cannot be trained here.")
    else:
        taking.not_needed(option, "The family is detected from the checkpoint.")


def _take_network(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    """Network type and layers: attention and feed-forward only is LoRA-LierLa, everything is LoCon."""
    if "network.network_type" in taking.values:
        taking.note(option, "It is part of the network type.")
        return
    kind = str(values.get("peft_type") or "LORA").upper()
    layers = str(values.get("layer_filter_preset") or "full")
    types = {"LORA": LIERLA if layers.startswith("attn") else LOCON, "LOHA": LOHA, "LOKR": LOKR}
    why = "" if kind in types else f"{kind} is not available here; a LoRA is the nearest."
    if kind == "LORA" and layers not in ("full", "attn-mlp"):
        why = f"The layers {layers} cannot be chosen here."
    taking.take(option, {"network.network_type": types.get(kind, LIERLA)}, why)


def _as(name: str) -> Handler:
    """Import as the sd-scripts option ``name``."""
    def take(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
        take_option(name, option, taking)
    return take


def _take_destination(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    name = file_name(str(option.value or "")).rsplit(".", 1)[0]
    if name:
        taking.take(option, {"save.output_name": name}, "The file is saved in the LoRA folder here.")
    else:
        taking.not_needed(option, "It is empty.")


def _take_optimizer(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    settings = option.value if isinstance(option.value, Mapping) else {"optimizer": option.value}
    named = str(settings.get("optimizer") or "ADAMW")
    name, why = optimizer_named(named.replace("SCHEDULE_FREE_ADAMW", "AdamWScheduleFree").replace(
        "SCHEDULE_FREE_SGD", "SGDScheduleFree"))
    if name.startswith("SGD") and not as_switch(settings.get("nesterov") or False) and not why:
        why = f"{name} is the nearest."
    taking.take(Option("optimizer", named), {"optimizer.optimizer_type": name}, why)
    betas = [settings.get(part) for part in ("beta1", "beta2")]
    arguments: dict[str, Any] = {part: settings[part] for part in (*_OPTIMIZER_ARGUMENTS, *_OF_PRODIGY_PLUS)
                                 if settings.get(part) is not None and _is_argument_of(name, part)}
    if all(beta is not None for beta in betas) and not name.startswith(("SGD", "AdaFactor")):
        arguments["betas"] = f"{betas[0]},{betas[1]}"
    shown = Option("optimizer", [f"{part}={value}" for part, value in arguments.items()])
    if arguments:
        take_arguments(name, shown, taking)
    if as_switch(settings.get("fused_back_pass") or False):
        taking.take(Option("optimizer.fused_back_pass", True), {"training.fused_backward_pass": True})


def _is_argument_of(optimizer: str, argument: str) -> bool:
    of_kind = {"Prodigy": ("decouple", "use_bias_correction", "safeguard_warmup", "d_coef", "d0", "growth_rate"),
               "ProdigyPlusScheduleFree": ("eps", "use_bias_correction", "d_coef", "d0", *_OF_PRODIGY_PLUS),
               "DAdaptAdam": ("decouple", "d0", "growth_rate"), "DAdaptLion": ("d0",),
               "AdaFactor": ("scale_parameter", "relative_step", "warmup_init", "decay_rate", "clip_threshold"),
               "SGDNesterov": ("momentum",), "SGDNesterov8bit": ("momentum",)}
    return argument == "weight_decay" or argument in of_kind.get(optimizer, ())


def _take_schedule(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    take_scheduler({"lr_scheduler": option}, taking)


def _take_loss_weight(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    kind = str(option.value).upper()
    if kind == "MIN_SNR_GAMMA":
        taking.take(option, {"loss.min_snr_gamma": values.get("loss_weight_strength", 5.0)})
    elif kind == "DEBIASED_ESTIMATION":
        taking.take(option, {"loss.debiased_estimation_loss": True, "loss.min_snr_gamma": None})
    elif kind == "CONSTANT":
        taking.take(option, {"loss.min_snr_gamma": None})
    else:
        taking.take(option, {"loss.min_snr_gamma": None}, f"The weighting {kind} is not available here.")


def _take_strength(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    taking.not_needed(option, "It is min_snr_gamma where loss_weight_fn is MIN_SNR_GAMMA, and unused else.")


def _take_train_type(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    kind = str(option.value).upper()
    taking.take(option, {"training.mixed_precision": _PRECISION.get(kind, "auto")},
                "" if kind in _PRECISION else f"{kind} is not available here.")


def _take_output_type(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    kind = str(option.value).upper()
    taking.take(option, {"save.save_precision": _SAVED.get(kind, "fp16")},
                "" if kind in _SAVED else f"{kind} is not available here.")


def _take_part(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    """UNet and text encoders: whether each is trained, its rate, and the dtype of its frozen weights."""
    part = option.value if isinstance(option.value, Mapping) else {}
    if option.shown == "vae":
        if part.get("model_name"):
            take_option("vae", Option("vae.model_name", part["model_name"]), taking)
        else:
            taking.not_needed(option, "The checkpoint's own VAE is used.")
        return
    settings: dict[str, Any] = {}
    trained = as_switch(part.get("train", True))
    key = {"unet": "unet_lr", "text_encoder": "text_encoder_lr", "text_encoder_2": "text_encoder_lr2"}[option.shown]
    if option.shown == "unet" and not trained:
        settings["network.network_train_text_encoder_only"] = True
    elif option.shown == "text_encoder" and not trained and not _second_trained(values):
        settings["network.network_train_unet_only"] = True
    elif not trained and not (option.shown == "text_encoder_2" and not _second_trained(values)):
        settings[f"optimizer.{key}"] = 0.0
    elif trained and part.get("learning_rate") is not None:
        settings[f"optimizer.{key}"] = part["learning_rate"]
    stored = _STORED.get(str(part.get("weight_dtype", "")).upper())
    if option.shown == "unet" and stored:
        settings["training.base_weights"] = stored
    shown = Option(option.shown, ", ".join(f"{name}={value}" for name, value in part.items()
                                           if name in ("train", "learning_rate", "weight_dtype")))
    if settings:
        taking.take(shown, settings)
    else:
        taking.not_needed(shown, "It is as it is here without a setting.")


def _second_trained(values: Mapping[str, Any]) -> bool:
    second = values.get("text_encoder_2")
    return isinstance(second, Mapping) and as_switch(second.get("train", True)) and "XL" in str(
        values.get("model_type"))


def _take_of_masks(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    if not as_switch(values.get("masked_training") or False):
        taking.not_needed(option, "masked_training is off.")
    elif option.shown != "normalize_masked_area_loss":
        taking.take(option, {f"loss.{option.shown}": option.value})
    elif option.is_off:
        taking.drop(option, "The loss of an image is always divided by the area of its mask here.")
    else:
        taking.note(option, "The loss of an image is always divided by the area of its mask here.")


def _take_clip_skip(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    if "XL" in str(values.get("model_type")):
        taking.not_needed(option, "SDXL always uses the second-to-last layer.")
    else:
        taking.take(option, {"base.clip_skip": int(option.value or 0) + 1})


def _take_concepts(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    concepts = [one for one in option.value or [] if isinstance(one, Mapping) and one.get("enabled", True)]
    validation = [one for one in concepts if one.get("type") == "VALIDATION"]
    for one in validation:
        found, why = taking.places.find(FOLDER, str(one.get("path") or ""))
        shown = Option("concepts (validation)", one.get("path"))
        if found:
            taking.take(shown, {"dataset.validation_data_dir": found})
        else:
            taking.drop(shown, why)
    subsets = [_subset(one) for one in concepts if one not in validation]
    if subsets:
        take_subsets(subsets, {}, taking, defaults=False)
    else:
        taking.not_needed(option, "It holds no folder to train on.")


def _subset(concept: Mapping[str, Any]) -> dict[str, Any]:
    text = concept.get("text") if isinstance(concept.get("text"), Mapping) else {}
    image = concept.get("image") if isinstance(concept.get("image"), Mapping) else {}
    assert isinstance(text, Mapping) and isinstance(image, Mapping)
    subset: dict[str, Any] = {"image_dir": concept.get("path") or "", "caption_extension": ".txt",
                              "num_repeats": max(1, round(float(concept.get("balancing") or 1))),
                              "flip_aug": as_switch(image.get("enable_random_flip") or False),
                              "shuffle_caption": as_switch(text.get("enable_tag_shuffling") or False),
                              "keep_tokens": text.get("keep_tags_count", 1),
                              "caption_separator": text.get("tag_delimiter") or ","}
    if as_switch(text.get("tag_dropout_enable") or False):
        subset["caption_tag_dropout_rate"] = text.get("tag_dropout_probability") or 0.0
    return subset


def _take_samples(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    samples = [one for one in option.value or [] if isinstance(one, Mapping) and one.get("enabled", True) and
               str(one.get("prompt") or "").strip()]
    if not samples:
        taking.not_needed(option, "It holds no prompt.")
        return
    lines = [f"{one['prompt']} --w {one.get('width', 512)} --h {one.get('height', 512)} --d {one.get('seed', 42)} "
             f"--s {one.get('diffusion_steps', 20)} --l {one.get('cfg_scale', 7.0)}"
             + (f" --n {one['negative_prompt']}" if one.get("negative_prompt") else "") for one in samples]
    taking.take(option, {"sample.sample_prompts": lines})


def _take_saving(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    unit, every = str(values.get("save_every_unit") or "NEVER").upper(), values.get("save_every") or 0
    if option.shown == "save_every_unit":
        taking.note(option, "It belongs to save_every.")
    elif unit == "EPOCH" and every:
        taking.take(option, {"save.save_every_n_epochs": every})
    elif unit == "STEP" and every:
        taking.take(option, {"save.save_every_n_steps": every, "save.save_every_n_epochs": None})
    elif unit in ("NEVER", "NONE") or not every:
        taking.take(option, {"save.save_every_n_epochs": None})
    else:
        taking.drop(option, f"Files are saved by epoch or step here, not by {unit.lower()}.")


def _take_timestep(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    low = option.shown == "min_noising_strength"
    taking.take(option, {"loss.min_timestep" if low else "loss.max_timestep": round(1000 * float(option.value or 0))})


def _take_lokr(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    if str(values.get("peft_type")).upper() != "LOKR":
        taking.not_needed(option, "It is for LoKR only.")
    else:
        keys = {"lokr_dim": "network.network_dim", "lokr_decompose_both": "network.decompose_both",
                "lokr_decompose_factor": "network.lokr_factor", "lokr_weight_decompose": "network.dora_wd"}
        taking.take(option, {keys[option.shown]: option.value})


def _take_lora_size(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    if str(values.get("peft_type")).upper() == "LOKR" and option.shown == "lora_rank":
        taking.not_needed(option, "LoKR's rank is lokr_dim.")
    else:
        taking.take(option, {DIRECT[option.shown]: option.value})


def _take_warmup(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    taking.take(option, {"scheduler.lr_warmup_steps": option.value})


def _take_checkpointing(values: Mapping[str, Any], option: Option, taking: Taking) -> None:
    text = str(option.value).upper()
    taking.take(option, {"training.gradient_checkpointing": text not in ("OFF", "FALSE", "NONE", "")})


_HANDLERS: dict[str, Handler] = {
    "training_method": _take_method, "model_type": _take_model_type, "peft_type": _take_network,
    "layer_filter_preset": _take_network, "base_model_name": _as("pretrained_model_name_or_path"),
    "output_model_destination": _take_destination, "optimizer": _take_optimizer,
    "learning_rate_scheduler": _take_schedule, "loss_weight_fn": _take_loss_weight,
    "loss_weight_strength": _take_strength, "train_dtype": _take_train_type, "output_dtype": _take_output_type,
    "unet": _take_part, "text_encoder": _take_part, "text_encoder_2": _take_part, "vae": _take_part,
    "unmasked_weight": _take_of_masks, "masked_prior_preservation_weight": _take_of_masks,
    "normalize_masked_area_loss": _take_of_masks, "text_encoder_layer_skip": _take_clip_skip,
    "concepts": _take_concepts, "samples": _take_samples,
    "save_every": _take_saving, "save_every_unit": _take_saving, "min_noising_strength": _take_timestep,
    "max_noising_strength": _take_timestep, "lokr_dim": _take_lokr, "lokr_decompose_both": _take_lokr,
    "lokr_decompose_factor": _take_lokr, "lokr_weight_decompose": _take_lokr, "lora_rank": _take_lora_size,
    "learning_rate_warmup_steps": _take_warmup, "gradient_checkpointing": _take_checkpointing,
    "lora_model_name": _as("network_weights"),
}
