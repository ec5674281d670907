/** The settings of a job; made by tests/ui/settings_types.py from lib_lora_train/config. */

export interface BaseSettings {
    checkpoint: string;
    vae: string|null;
    sdxl_base: "SDXL"|"Pony"|"Illustrious"|"NoobAI"|"NoobAI v-pred"|null;
    clip_skip: number;
    max_token_length: number;
    v_parameterization: boolean;
}

export interface DatasetSettings {
    train_data_dir: string;
    validation_data_dir: string|null;
    validation_split: number;
    validation_seed: number;
    reg_data_dir: string|null;
    use_folder_name: boolean;
    resolution: string;
    train_batch_size: number;
    dataset_repeats: number;
    concept_settings: string[];
    only_folders: string[];
    min_image_weight: number|null;
    enable_bucket: boolean;
    min_bucket_reso: number|null;
    max_bucket_reso: number|null;
    bucket_reso_steps: number;
    bucket_no_upscale: boolean;
    caption_extension: string;
    caption_separator: string;
    shuffle_caption: boolean;
    keep_tokens: number;
    keep_tokens_separator: string;
    caption_prefix: string;
    caption_suffix: string;
    caption_dropout_rate: number;
    caption_dropout_every_n_epochs: number;
    caption_tag_dropout_rate: number;
    token_warmup_min: number;
    token_warmup_step: number;
    enable_wildcard: boolean;
    activation_tag: string;
    flip_aug: boolean;
    color_aug: boolean;
    random_crop: boolean;
    face_crop_aug_range: string;
    masked_loss: boolean;
    alpha_mask: boolean;
    conditioning_data_dir: string|null;
    cache_latents_to_disk: boolean;
}

export interface NetworkSettings {
    network_type:
        |"LoRA-LierLa"
        |"LoRA-C3Lier"
        |"LyCORIS-LoCon"
        |"LyCORIS-LoHa"
        |"LyCORIS-LoKR"
        |"LyCORIS-(IA)^3"
        |"LyCORIS-DyLoRA"
    ;
    network_dim: number;
    network_alpha: number;
    network_weights: string|null;
    conv_dim: number|null;
    conv_alpha: number|null;
    lokr_factor: number;
    decompose_both: boolean;
    dylora_unit: number;
    dora_wd: boolean;
    rs_lora: boolean;
    network_dropout: number;
    rank_dropout: number;
    module_dropout: number;
    scale_weight_norms: number|null;
    loraplus_lr_ratio: number|null;
    block_lr_weight: string;
    block_dims: string;
    block_alphas: string;
    network_train_unet_only: boolean;
    network_train_text_encoder_only: boolean;
}

export interface OptimizerSettings {
    optimizer_type:
        |"AdamW"
        |"AdamW8bit"
        |"PagedAdamW8bit"
        |"Lion"
        |"Lion8bit"
        |"SGDNesterov"
        |"SGDNesterov8bit"
        |"AdaFactor"
        |"DAdaptAdam"
        |"DAdaptLion"
        |"Prodigy"
        |"AdamWScheduleFree"
        |"ProdigyPlusScheduleFree"
    ;
    learning_rate: number;
    unet_lr: number|null;
    text_encoder_lr: number|null;
    text_encoder_lr2: number|null;
    d_coef: number|null;
    optimizer_args: string[];
    max_grad_norm: number;
}

export interface SchedulerSettings {
    lr_scheduler:
        |"constant"
        |"constant_with_warmup"
        |"linear"
        |"cosine"
        |"cosine_with_restarts"
        |"polynomial"
        |"inverse_sqrt"
        |"cosine_with_min_lr"
        |"warmup_stable_decay"
    ;
    lr_warmup_steps: number;
    lr_scheduler_num_cycles: number;
    lr_scheduler_power: number;
    lr_scheduler_min_lr_ratio: number;
    lr_scheduler_timescale: number|null;
    lr_decay_steps: number;
}

export interface LossSettings {
    min_snr_gamma: number|null;
    debiased_estimation_loss: boolean;
    scale_v_pred_loss_like_noise_pred: boolean;
    loss_type: "l2"|"l1"|"huber"|"smooth_l1";
    huber_schedule: "snr"|"exponential"|"constant";
    huber_c: number;
    huber_scale: number;
    prior_loss_weight: number;
    unmasked_weight: number;
    masked_prior_preservation_weight: number;
    preservation_weight: number;
    preservation_every_n_steps: number;
    preservation_class: string;
    noise_offset: number;
    adaptive_noise_scale: number;
    multires_noise_iterations: number;
    multires_noise_discount: number;
    ip_noise_gamma: number;
    zero_terminal_snr: boolean;
    min_timestep: number;
    max_timestep: number;
}

export interface TrainingSettings {
    max_train_epochs: number|null;
    max_train_steps: number|null;
    phases: import("./values").Phase[];
    first_phase_name: string;
    gradient_accumulation_steps: number;
    mixed_precision: "auto"|"no"|"fp16"|"bf16";
    gradient_checkpointing: boolean;
    checkpointing_blocks: "all"|"outer";
    cache_text_encoder_outputs: boolean;
    base_weights: "full"|"fp8"|"nf4";
    weights_on_cpu: number;
    fused_backward_pass: boolean;
    fit_in_gb: number|null;
    seed: number;
    webui_model: "auto"|"lent"|"copy"|"file";
    device: string;
}

export interface SaveSettings {
    output_name: string;
    output_dir: string;
    save_precision: "fp16"|"bf16"|"float";
    save_every_n_epochs: number|null;
    save_every_n_steps: number|null;
    training_comment: string;
}

export interface SampleSettings {
    sample_prompts: string[];
    sample_by: "worker"|"webui"|"both";
    negative_prompt: string;
    sample_every_n_epochs: number|null;
    sample_at_first: boolean;
    sample_width: number;
    sample_height: number;
    sample_steps: number;
    cfg_scale: number;
    sample_seed: number;
}

export interface DiagnosisSettings {
    diagnose: boolean;
    diagnosis_share: number;
}

export interface Job {
    base?: Partial<BaseSettings>;
    dataset?: Partial<DatasetSettings>;
    network?: Partial<NetworkSettings>;
    optimizer?: Partial<OptimizerSettings>;
    scheduler?: Partial<SchedulerSettings>;
    loss?: Partial<LossSettings>;
    training?: Partial<TrainingSettings>;
    save?: Partial<SaveSettings>;
    sample?: Partial<SampleSettings>;
    diagnosis?: Partial<DiagnosisSettings>;
}
