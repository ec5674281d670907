"""The options of sd-scripts' LoRA scripts: switches, lists, options with a setting here, and those without, with
reasons.

Names follow the parsers of train_network.py, sdxl_train_network.py and the programs that start them.
"""

from __future__ import annotations

from ..job import all_settings


def names(text: str) -> frozenset[str]:
    """Split ``text`` into words, for tables of many names."""
    return frozenset(text.split())


FLAGS = names("""
    v2 v_parameterization use_8bit_adam use_lion_optimizer fused_backward_pass save_state_to_huggingface
    resume_from_huggingface async_upload save_state save_state_on_train_end mem_eff_attn torch_compile xformers sdpa
    persistent_data_loader_workers gradient_checkpointing full_fp16 full_bf16 fp8_base fp8_base_unet
    ddp_gradient_as_bucket_view ddp_static_graph log_config noise_offset_random_strength ip_noise_gamma_random_strength
    zero_terminal_snr lowram highvram sample_at_first output_config masked_loss cache_text_encoder_outputs
    cache_text_encoder_outputs_to_disk disable_mmap_load_safetensors cache_info shuffle_caption enable_wildcard
    color_aug flip_aug random_crop debug_dataset cache_latents cache_latents_to_disk skip_cache_check enable_bucket
    bucket_no_upscale alpha_mask use_safetensors cpu_offload_checkpointing no_metadata network_train_unet_only
    network_train_text_encoder_only dim_from_weights no_half_vae skip_until_initial_step
    scale_v_pred_loss_like_noise_pred debiased_estimation_loss weighted_captions deepspeed zero3_init_flag
    zero3_save_16bit_model fp16_master_weights_and_gradients console_log_simple multi_gpu cpu mps use_deepspeed
    use_fsdp quiet debug same_network rdzv_conf module no_python lowvram no_token_padding train_inpainting
    """)
LISTS = frozenset(("optimizer_args", "lr_scheduler_args", "network_args", "text_encoder_lr", "base_weights",
                   "base_weights_multiplier"))

SAME_NAMES = names("""
    v_parameterization train_batch_size shuffle_caption caption_separator keep_tokens keep_tokens_separator
    enable_wildcard caption_prefix caption_suffix color_aug flip_aug random_crop enable_bucket bucket_reso_steps
    bucket_no_upscale token_warmup_min token_warmup_step alpha_mask caption_dropout_rate
    caption_dropout_every_n_epochs caption_tag_dropout_rate cache_latents_to_disk validation_split
    learning_rate unet_lr max_grad_norm lr_warmup_steps lr_decay_steps lr_scheduler_num_cycles lr_scheduler_power
    lr_scheduler_timescale lr_scheduler_min_lr_ratio fused_backward_pass output_name save_every_n_epochs
    save_every_n_steps gradient_checkpointing gradient_accumulation_steps
    cache_text_encoder_outputs noise_offset multires_noise_iterations multires_noise_discount ip_noise_gamma
    adaptive_noise_scale zero_terminal_snr min_timestep max_timestep loss_type huber_schedule huber_c huber_scale
    prior_loss_weight sample_every_n_epochs sample_at_first network_dropout
    network_train_unet_only network_train_text_encoder_only training_comment scale_weight_norms
    scale_v_pred_loss_like_noise_pred debiased_estimation_loss min_snr_gamma min_bucket_reso max_bucket_reso
    """)
"""Options with a setting of the same name and meaning."""

KEY_OF = {field.name: field.key for field in all_settings() if field.name in SAME_NAMES}

EMPTY_IS = {"min_timestep": 0, "max_timestep": 1000, "lr_scheduler_min_lr_ratio": 0.0, "noise_offset": 0.0,
            "multires_noise_iterations": 0, "multires_noise_discount": 0.3, "ip_noise_gamma": 0.0,
            "adaptive_noise_scale": 0.0, "network_dropout": 0.0, "caption_prefix": "", "caption_suffix": "",
            "keep_tokens_separator": "", "training_comment": "", "validation_split": 0.0, "lr_warmup_steps": 0,
            "lr_decay_steps": 0, "lr_scheduler_num_cycles": 1, "lr_scheduler_power": 1.0, "token_warmup_step": 0.0,
            "caption_dropout_rate": 0.0, "caption_tag_dropout_rate": 0.0, "caption_dropout_every_n_epochs": 0,
            "keep_tokens": 0, "max_grad_norm": 1.0, "prior_loss_weight": 1.0, "gradient_accumulation_steps": 1,
            "train_batch_size": 1, "token_warmup_min": 1, "huber_c": 0.1, "huber_scale": 1.0, "output_name": "",
            "huber_schedule": "snr", "loss_type": "l2", "caption_separator": ",", "bucket_reso_steps": 64}
"""The meaning of an empty option in sd-scripts, for settings that cannot be empty."""

ZERO_IS_EMPTY = frozenset(("min_snr_gamma", "scale_weight_norms", "save_every_n_epochs", "save_every_n_steps",
                           "sample_every_n_epochs"))
"""Options for which sd-scripts treats 0 as unset."""

_ACCELERATE = "It is for accelerate, which starts sd-scripts; training here starts by itself."
_MEMORY = "Memory is saved by other means here: base_weights, gradient_checkpointing, fit_in_gb."
_UPLOAD = "Nothing is uploaded from here. The file is in the LoRA folder."
LOG = "Every run writes its log, events and TensorBoard data into its own folder."
STATE = "Every run keeps its training state at each save and when it stops, and resumes by itself."
_LOADER = "Images are prepared once and kept encoded, so there are no loader processes to set."
FORMAT = "LoRA files are .safetensors, which every program reads."
ATTENTION = "PyTorch's own memory-efficient attention is always used."
_DETECTED = "The family is detected from the checkpoint."
_TITLE = "The file's metadata has its name, its settings, its dates and the trigger word already."
_OTHER_MODEL = "It is for another kind of model than Stable Diffusion 1.x, 2.x and SDXL."

_NOT_NEEDED_FOR = {
    _ACCELERATE: """num_cpu_threads_per_process num_processes num_machines machine_rank multi_gpu gpu_ids
        main_process_port main_process_ip dynamo_backend dynamo_mode dynamo_use_fullgraph dynamo_use_dynamic cpu mps
        use_deepspeed use_fsdp same_network rdzv_backend rdzv_conf module no_python quiet debug downcast_bf16
        extra_accelerate_launch_args deepspeed zero_stage offload_optimizer_device offload_optimizer_nvme_path
        offload_param_device offload_param_nvme_path zero3_init_flag zero3_save_16bit_model
        fp16_master_weights_and_gradients ddp_timeout ddp_gradient_as_bucket_view ddp_static_graph""",
    _MEMORY: "lowram highvram lowvram vae_batch_size text_encoder_batch_size cpu_offload_checkpointing",
    _UPLOAD: """huggingface_repo_id huggingface_repo_type huggingface_path_in_repo huggingface_token
        huggingface_repo_visibility save_state_to_huggingface resume_from_huggingface async_upload""",
    LOG: """logging_dir log_with log_prefix log_tracker_name wandb_run_name log_tracker_config wandb_api_key
        log_config console_log_level console_log_file console_log_simple output_config use_wandb""",
    STATE: "save_state save_state_on_train_end save_last_n_epochs_state save_last_n_steps_state state_dir",
    _LOADER: """max_data_loader_n_workers persistent_data_loader_workers cache_info cache_latents skip_cache_check
        disable_mmap_load_safetensors""",
    ATTENTION: "xformers sdpa mem_eff_attn",
    _DETECTED: "v2 sdxl sdxl_checkbox model_list train_mode",
    _TITLE: """metadata_title metadata_author metadata_description metadata_license metadata_tags metadata_usage_hint
        metadata_thumbnail metadata_merged_from metadata_preprocessor
        metadata_is_negative_embedding""",
    "It is only used for models of the flow kind.": "weighting_scheme logit_mean logit_std mode_scale",
    "The tokenizer comes with the program.": "tokenizer_cache_dir",
    "It shows images instead of training. The form shows them without it.": "debug_dataset",
    FORMAT: "save_model_as use_safetensors",
    "Cached text encoder outputs stay in memory, where they need little.": "cache_text_encoder_outputs_to_disk",
    "The VAE runs in full precision where half would overflow.": "no_half_vae",
    "Only the LoRA is trained, in full precision; the base weights are in half precision on a GPU.":
        "full_fp16 full_bf16",
    "Validation is on whenever there are images for it, at every save.":
        "validate_every_n_steps validate_every_n_epochs max_validation_steps",
}
NOT_NEEDED = {name: why for why, listed in _NOT_NEEDED_FOR.items() for name in names(listed)}
"""Options that are not needed here, and why."""

_KEPT = "Every file saved is kept. Delete those that you do not want; Runs lists them."
_OWN_START = "A run is resumed from its own folder, at the step where it stopped."
LEFT_OUT: dict[str, str] = {
    "huggingface_repo": _UPLOAD,
    "save_n_epoch_ratio": "Set save_every_n_epochs instead.",
    "save_last_n_epochs": _KEPT, "save_last_n_steps": _KEPT,
    "resume": "Training states of sd-scripts cannot be read. To train a LoRA further, give it as network_weights.",
    "initial_epoch": _OWN_START, "initial_step": _OWN_START, "skip_until_initial_step": _OWN_START,
    "torch_compile": "Compiling is not available here.",
    "noise_offset_random_strength": "The noise offset has the same strength in every step here.",
    "ip_noise_gamma_random_strength": "Input perturbation has the same strength in every step here.",
    "sample_every_n_steps": "Samples are generated by epoch or at each save here.",
    "sample_sampler": "The trainer generates its samples with one sampler. With sample_by webui, the webui's is used.",
    "secondary_separator": "Tags that belong together cannot be joined for shuffling here.",
    "resize_interpolation": "Images are always resized with the filter that suits the direction.",
    "dataset_class": "Custom dataset classes cannot be loaded here.",
    "in_json": "Captions are read from text files beside the images here, not from a metadata JSON.",
    "no_metadata": "Settings are always saved in the file, since they are needed to train it further.",
    "base_weights": "LoRAs cannot be merged into the checkpoint before training. Merge them into a copy first.",
    "base_weights_multiplier": "It belongs to base_weights, which is not used here.",
    "v_pred_like_loss": "This weighting of the loss is not available here.",
    "weighted_captions": "Captions are trained as they are written; (tag:1.2) is not a weight.",
    "blocks_to_swap": "It swaps blocks of DiT models. For SD 1.x, 2.x and SDXL, use weights_on_cpu.",
    "stop_text_encoder_training": "The text encoder is trained to the end. Lower text_encoder_lr instead.",
    "stop_text_encoder_training_pct": "The text encoder is trained to the end. Lower text_encoder_lr instead.",
    "no_token_padding": "Captions are padded as the webui pads prompts.",
    "train_inpainting": "Inpainting models cannot be trained here.",
    "lr_scheduler_args": "Arguments of custom schedulers are not available here.",
    "noise_offset_type": "The kind of noise follows from noise_offset and multires_noise_iterations.",
}
"""Options that have an effect in sd-scripts but are not supported here."""

OTHER_MODELS = names("""
    clip_l clip_g t5xxl ae model_type t5xxl_max_token_length apply_t5_attn_mask guidance_scale timestep_sampling
    discrete_flow_shift sigmoid_scale model_prediction_type split_mode training_shift gemma2 qwen3 byt5 text_encoder
    gemma2_max_token_length single_blocks_to_swap double_blocks_to_swap mem_eff_save enable_scaled_pos_embed
    pos_emb_random_crop_rate save_clip save_t5xxl t5xxl_device t5xxl_dtype clip_l_dropout_rate clip_g_dropout_rate
    t5_dropout_rate
    """)
OTHER_MODEL_REASON = _OTHER_MODEL

OWN_WAY = names("""
    pretrained_model_name_or_path vae train_data_dir reg_data_dir output_dir network_weights resolution
    caption_extension caption_extention face_crop_aug_range max_token_length seed validation_seed mixed_precision
    save_precision fp8_base fp8_base_unet masked_loss conditioning_data_dir dataset_repeats sample_prompts clip_skip
    max_train_steps max_train_epochs epoch network_module network_args network_dim network_alpha dim_from_weights
    optimizer_type use_8bit_adam use_lion_optimizer optimizer_args lr_scheduler lr_scheduler_type text_encoder_lr
    learning_rate_te learning_rate_te1 learning_rate_te2 dataset_config config_file metadata_trigger_phrase
    """)
"""Options that are combined with others or need special handling."""

KNOWN = frozenset((*OWN_WAY, *KEY_OF, *NOT_NEEDED, *LEFT_OUT, *OTHER_MODELS))
"""Every option with an explicit entry."""

TRAIN_COMMAND_OPTIONS = names("""
    pretrained_model_name_or_path train_data_dir reg_data_dir output_dir resolution network_module network_dim
    network_alpha network_args dataset_config config_file max_train_steps max_train_epochs learning_rate
    """)
"""Options that identify a training command."""
