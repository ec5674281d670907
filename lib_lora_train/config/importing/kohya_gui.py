"""Imports a configuration of the kohya_ss GUI as the options with which it starts sd-scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError
from .option_table import names
from .sd_dataset import is_dataset_config, take_dataset_config
from .sd_scripts import take_options
from .shell.command import read_options
from .taking import Option, Options, Taking
from .toml_text import read_toml

_SIGNS = ("LoRA_type", "max_resolution", "lora_network_weights", "LyCORIS_preset", "additional_parameters")
_RENAMED = {"max_resolution": "resolution", "optimizer": "optimizer_type", "lora_network_weights": "network_weights",
            "sdxl_no_half_vae": "no_half_vae", "sdxl_cache_text_encoder_outputs": "cache_text_encoder_outputs"}
_ZERO_IS_NOTHING = names("""
    save_every_n_epochs save_every_n_steps sample_every_n_epochs sample_every_n_steps min_snr_gamma noise_offset
    adaptive_noise_scale ip_noise_gamma multires_noise_iterations max_timestep min_timestep v_pred_like_loss
    scale_weight_norms clip_skip seed max_train_epochs max_train_steps save_last_n_steps save_last_n_epochs
    save_last_n_steps_state save_last_n_epochs_state unet_lr text_encoder_lr
    """)
_TYPES = {"Standard": ("networks.lora", ""), "Kohya LoCon": ("networks.lora", ""), "LoRA-FA": ("networks.lora_fa", ""),
          "Kohya DyLoRA": ("networks.dylora", ""), "LoCon": ("lycoris.kohya", "locon"),
          "LyCORIS/LoCon": ("lycoris.kohya", "locon"), "LyCORIS/LoHa": ("lycoris.kohya", "loha"),
          "LyCORIS/LoKr": ("lycoris.kohya", "lokr"), "LyCORIS/iA3": ("lycoris.kohya", "ia3"),
          "LyCORIS/DyLoRA": ("lycoris.kohya", "dylora"), "LyCORIS/GLoRA": ("lycoris.kohya", "glora"),
          "LyCORIS/Diag-OFT": ("lycoris.kohya", "diag-oft"), "LyCORIS/BOFT": ("lycoris.kohya", "boft"),
          "LyCORIS/Native Fine-Tuning": ("lycoris.kohya", "full"), "Kohya LoHa": ("networks.loha", ""),
          "Kohya LoKr": ("networks.lokr", "")}
_OF_NETWORK = names("""
    conv_dim conv_alpha down_lr_weight mid_lr_weight up_lr_weight block_lr_zero_threshold block_dims block_alphas
    conv_block_dims conv_block_alphas rank_dropout module_dropout unit factor decompose_both use_tucker use_cp
    use_scalar rank_dropout_scale train_norm dora_wd bypass_mode constrain rescaled train_on_input
    loraplus_lr_ratio loraplus_unet_lr_ratio loraplus_text_encoder_lr_ratio
    """)
_ONLY_IN_GUI = names("""
    conv_alphas conv_dims class_prompt save_as_bool fused_optimizer_groups blockwise_fused_optimizers headless
    print_only vae_dir models_dir config_dir log_tracker_config_dir
    """)
_OTHER_MODELS = names("""
    train_lora_ggpo ggpo_sigma ggpo_beta train_blocks enable_all_linear split_qkv train_t5xxl show_timesteps
    show_timesteps_resolution img_attn_dim img_mlp_dim img_mod_dim single_dim txt_attn_dim txt_mlp_dim txt_mod_dim
    single_mod_dim in_dims train_double_block_indices train_single_block_indices t5xxl_lr
    """)
_OF_OTHER_MODELS = ("flux1_", "flux_", "sd3_", "hunyuan_", "anima_", "lumina_")
_SECTIONS_ASIDE = ("server", "settings", "configuration", "dataset_preparation", "wd14_caption", "huggingface")
_GUI_DEFAULTS = {"caption_extension": ".txt", "enable_bucket": True, "min_bucket_reso": 256, "max_bucket_reso": 2048,
                 "epoch": 1, "optimizer": "AdamW8bit", "learning_rate": 1e-4, "lr_scheduler": "cosine",
                 "network_dim": 8, "network_alpha": 1, "mixed_precision": "fp16", "save_precision": "fp16",
                 "save_every_n_epochs": 1, "max_resolution": "512,512", "bucket_no_upscale": True}
"""Defaults of the GUI's form, for fields that older configurations do not have."""
_CONV = ("conv_dim", "conv_alpha")


def is_kohya(values: Mapping[str, Any]) -> bool:
    """Whether ``values`` are a configuration of the GUI."""
    return any(name in values for name in _SIGNS)


def take_kohya(values: Mapping[str, Any], taking: Taking) -> None:
    """Import everything in a GUI configuration. Raises ``ConfigError`` if it is for an unsupported model type."""
    other = next((name for name in values if name.endswith("_checkbox") and name.startswith(_OF_OTHER_MODELS) and
                  not Option(name, values[name]).is_off), None)
    if other:
        raise ConfigError(f"The configuration is for another kind of model ({other} is on). Here SD 1.x, SD 2.x and "
                          "SDXL are trained.")
    sdxl = bool(values.get("sdxl") or values.get("sdxl_checkbox"))
    options: Options = {_RENAMED.get(name, name): Option(name, value, given=False)
                        for name, value in _GUI_DEFAULTS.items() if name not in values}
    for name, value in values.items():
        if name.startswith(_OF_OTHER_MODELS) or name in _OTHER_MODELS:
            taking.not_needed(Option(name, value), "It is for other kinds of models.")
        elif name in _ONLY_IN_GUI:
            taking.not_needed(Option(name, value), "It belongs to the GUI itself, or to an old version of it.")
        elif name not in ("LoRA_type", "LyCORIS_preset", "lr_warmup", "lr_warmup_steps", "additional_parameters",
                          "noise_offset_type", "xformers", "dataset_config", *_OF_NETWORK):
            target = _RENAMED.get(name, name)
            number = 0 if target in _ZERO_IS_NOTHING and Option(name, value).is_off else value
            options[target] = Option(name, None if number in (0, "") and target in _ZERO_IS_NOTHING else value)
    _add_network(values, options, taking)
    _add_noise(values, options, taking)
    _add_schedule(values, options, taking)
    _add_rates(values, options)
    if values.get("xformers") is not None:
        options["xformers"] = Option("xformers", values["xformers"])
    _add_more(values, options, taking)
    take_options(options, taking, sdxl=sdxl)
    _take_dataset_file(values, taking)


def gui_sections(tables: Mapping[str, Any], taking: Taking) -> dict[str, Any]:
    """The GUI's own TOML, which has a section per part of its form, without the sections unrelated to training."""
    if not all(isinstance(tables.get(section), Mapping) for section in ("basic", "advanced")):
        return dict(tables)
    for section in _SECTIONS_ASIDE:
        if section in tables:
            taking.not_needed(Option(f"[{section}]", ", ".join(tables[section])),
                              "It is not about the training itself.")
    return {section: content for section, content in tables.items() if section not in _SECTIONS_ASIDE}


def _add_network(values: Mapping[str, Any], options: Options, taking: Taking) -> None:
    kind = str(values.get("LoRA_type") or "Standard")
    module, algorithm = _TYPES.get(kind, (kind, ""))
    options["network_module"] = Option("LoRA_type", module if kind in _TYPES else kind)
    plain = kind in ("Standard", "LoRA-FA")
    arguments = {"algo": algorithm} if algorithm else {}
    if module == "lycoris.kohya":
        arguments["preset"] = str(values.get("LyCORIS_preset") or "full")
    for name in _OF_NETWORK & set(values):
        value = values[name]
        if plain and name in _CONV:
            taking.not_needed(Option(name, value), f"The type {kind} does not use it in the GUI either.")
        elif value in ("", None) or (name not in _CONV and Option(name, value).is_off):
            taking.not_needed(Option(name, value), "It is not used there either.")
        else:
            arguments[name] = str(value)
    options["network_args"] = Option("", [f"{name}={value}" for name, value in sorted(arguments.items())])


def _add_noise(values: Mapping[str, Any], options: Options, taking: Taking) -> None:
    """The GUI passes on only one kind of noise."""
    kind = values.get("noise_offset_type")
    if kind is None:
        return
    off = (("multires_noise_iterations", "multires_noise_discount") if kind == "Original" else
           ("noise_offset", "adaptive_noise_scale", "noise_offset_random_strength"))
    for name in off:
        option = options.pop(name, None)
        if option is not None:
            taking.not_needed(option, f"The GUI does not use it with the noise type {kind}.")
    taking.not_needed(Option("noise_offset_type", kind), "The kind of noise follows from the numbers.")


def _add_schedule(values: Mapping[str, Any], options: Options, taking: Taking) -> None:
    """The warmup is a percentage of the run; empty cycles mean the number of epochs."""
    steps, share = _number(values.get("lr_warmup_steps")), _number(values.get("lr_warmup"))
    if steps:
        options["lr_warmup_steps"] = Option("lr_warmup_steps", steps)
    elif share:
        options["lr_warmup_steps"] = Option("lr_warmup", min(share / 100, 0.99))
    for name, used in (("lr_warmup_steps", bool(steps)), ("lr_warmup", bool(share) and not steps)):
        if name in values and not used:
            taking.not_needed(Option(name, values[name]), "There is no warmup." if not steps else
                              "lr_warmup_steps overrides it.")
    if values.get("lr_scheduler_num_cycles") == "" and values.get("epoch"):
        options["lr_scheduler_num_cycles"] = Option("lr_scheduler_num_cycles", values["epoch"])


def _number(value: Any) -> float:
    try:
        return float(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _add_rates(values: Mapping[str, Any], options: Options) -> None:
    """A rate of 0 for one part means that only the other part is trained."""
    unet, text = _number(values.get("unet_lr")), _number(values.get("text_encoder_lr"))
    if unet and not text and "text_encoder_lr" in values:
        options["network_train_unet_only"] = Option("text_encoder_lr", True)
    elif text and not unet and "unet_lr" in values:
        options["network_train_text_encoder_only"] = Option("unet_lr", True)


def _add_more(values: Mapping[str, Any], options: Options, taking: Taking) -> None:
    text = str(values.get("additional_parameters") or "").strip()
    if text:
        options.update(read_options(text, taking))
    elif "additional_parameters" in values:
        taking.not_needed(Option("additional_parameters", ""), "It is empty.")


def _take_dataset_file(values: Mapping[str, Any], taking: Taking) -> None:
    name = str(values.get("dataset_config") or "").strip()
    if "dataset_config" in values:
        take_dataset_file(Option("dataset_config", name), taking)


def take_dataset_file(option: Option, taking: Taking) -> None:
    """Read the dataset configuration that an option names, if it exists."""
    name = str(option.value or "").strip()
    if not name:
        taking.not_needed(option, "It is empty.")
        return
    text = taking.places.read(name)
    tables = read_toml(text) if text is not None else {}
    if not is_dataset_config(tables):
        taking.drop(option, f"{name} could not be read here as a dataset configuration. Import it on its own too.")
        return
    take_dataset_config(tables, taking, defaults=False)
    taking.note(option, "Its settings were read; each has an answer of its own.")
