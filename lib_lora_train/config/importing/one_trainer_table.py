"""OneTrainer's settings: shared ones, ones not needed here, and unsupported ones."""

from __future__ import annotations

from .option_table import ATTENTION, FORMAT, LOG, STATE

DIRECT = {
    "learning_rate": "optimizer.learning_rate", "epochs": "training.max_train_epochs",
    "batch_size": "dataset.train_batch_size", "gradient_accumulation_steps": "training.gradient_accumulation_steps",
    "resolution": "dataset.resolution", "aspect_ratio_bucketing": "dataset.enable_bucket",
    "learning_rate_cycles": "scheduler.lr_scheduler_num_cycles", "clip_grad_norm": "optimizer.max_grad_norm",
    "learning_rate_min_factor": "scheduler.lr_scheduler_min_lr_ratio",
    "learning_rate_warmup_steps": "scheduler.lr_warmup_steps", "lora_rank": "network.network_dim",
    "lora_alpha": "network.network_alpha", "lora_decompose": "network.dora_wd",
    "offset_noise_weight": "loss.noise_offset", "perturbation_noise_weight": "loss.ip_noise_gamma",
    "rescale_noise_scheduler_to_zero_terminal_snr": "loss.zero_terminal_snr",
    "force_v_prediction": "base.v_parameterization", "masked_training": "dataset.masked_loss",
    "dropout_probability": "network.network_dropout", "seed": "training.seed"}

_OWN_FOLDER = "A run has a folder of its own with everything in it."
_ONE_GPU = "One GPU is used."
_NOT_NEEDED = {
    _OWN_FOLDER: """workspace_dir cache_dir debug_mode debug_dir huggingface_cache_dir offline_mode
        concept_file_name sample_definition_file_name include_train_config save_filename_prefix save_skip_first""",
    LOG: "tensorboard tensorboard_expose tensorboard_always_on tensorboard_port samples_to_tensorboard validation "
          "validate_after validate_after_unit",
    STATE: """continue_last_backup backup_after backup_after_unit rolling_backup rolling_backup_count
        backup_before_save prevent_overwrites""",
    _ONE_GPU: """multi_gpu device_indexes gradient_reduce_precision fused_gradient_reduce async_gradient_reduce
        async_gradient_reduce_buffer train_device temp_device""",
    "Images are prepared once and kept encoded.": """latent_caching clear_cache_before_training dataloader_threads
        only_cache frames""",
    FORMAT: "output_model_format",
    ATTENTION: "attention_mechanism",
    "The LoRA itself is always trained in full precision.": """lora_weight_dtype fallback_train_dtype
        enable_autocast_cache""",
    "The samples are saved in the run's folder.": """sample_image_format sample_video_format sample_audio_format
        sample_skip_first non_ema_sampling sample_after sample_after_unit""",
    "Memory is saved by other means here: base_weights, weights_on_cpu, fit_in_gb.": """async_offloading
        layer_offload_fraction enable_async_offloading enable_activation_offloading quantization""",
    "It belongs to embeddings or fine-tuning.": """embedding additional_embeddings embedding_learning_rate
        preserve_embedding_norm embedding_weight_dtype bundle_additional_embeddings vb_loss_strength""",
    "It is not about training.": "__version cloud secrets optimizer_defaults name",
    "The prediction is detected from the checkpoint.": "force_epsilon_prediction",
    "It is a detail of DoRA, OFT or LoKR as OneTrainer does them.": """lora_decompose_norm_epsilon
        lora_decompose_output_axis oft_block_size oft_block_share oft_scaled oft_coft coft_eps lokr_use_tucker
        lokr_dora_on_output lokr_full_matrix lokr_vec_trick""",
    "It is of no use with evenly drawn timesteps.": """noising_weight noising_bias timestep_shift
        dynamic_timestep_shifting""",
    "It is the share of text encoders with a fixed number of tokens; max_token_length is for that here.":
        "text_encoder_sequence_length text_encoder_2_sequence_length text_encoder_2_layer_skip",
    "The layers are chosen by the network type here.": "layer_filter layer_filter_regex",
}
NOT_NEEDED = {name: why for why, names in _NOT_NEEDED.items() for name in names.split()}

LEFT_OUT = {
    "ema": "There is no EMA here.", "ema_decay": "There is no EMA here.",
    "ema_update_step_interval": "There is no EMA here.",
    "mse_strength": "The loss has one kind here: loss_type.", "mae_strength": "The loss has one kind here: loss_type.",
    "log_cosh_strength": "This loss is not available here.", "huber_strength": "Choose huber as loss_type.",
    "huber_delta": "The threshold is huber_c here.", "compile": "Compiling is not available here.",
    "timestep_distribution": "Timesteps are drawn evenly here.", "loss_scaler": "The loss is not scaled here.",
    "learning_rate_scaler": "Rates are used as they are given here.",
    "generalized_offset_noise": "The noise offset is the plain one here.",
    "force_circular_padding": "Circular padding is not available here.",
    "unmasked_probability": "An image that has a mask is always trained with it here.",
    "custom_conditioning_image": "Inpainting models cannot be trained here.",
    "custom_learning_rate_scheduler": "Custom schedulers are not available here.",
    "scheduler_params": "Custom schedulers are not available here."}

OTHER_MODELS = ("prior", "transformer", "unconditional_transformer", "text_encoder_3", "text_encoder_4",
                "effnet_encoder", "decoder", "stable_cascade", "wuerstchen")
