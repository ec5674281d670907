"""Which settings a training phase can change, and why the others cannot."""

from __future__ import annotations

from ..job import Job, all_settings
from ..optimizer_args import sets_own_rate

RATES = ("optimizer.learning_rate", "optimizer.unet_lr", "optimizer.text_encoder_lr", "optimizer.text_encoder_lr2")
BLOCK_RATES = "network.block_lr_weight"

_CHANGEABLE = {
    "dataset": """resolution train_batch_size dataset_repeats concept_settings only_folders min_image_weight
        enable_bucket min_bucket_reso max_bucket_reso bucket_reso_steps bucket_no_upscale use_folder_name
        caption_extension shuffle_caption keep_tokens keep_tokens_separator caption_prefix caption_suffix
        caption_dropout_rate caption_dropout_every_n_epochs caption_tag_dropout_rate enable_wildcard flip_aug color_aug
        random_crop face_crop_aug_range masked_loss alpha_mask""",
    "network": """network_train_unet_only network_train_text_encoder_only block_lr_weight network_dropout rank_dropout
        module_dropout scale_weight_norms""",
    "optimizer": "learning_rate unet_lr text_encoder_lr text_encoder_lr2 max_grad_norm",
    "scheduler": """lr_scheduler lr_warmup_steps lr_scheduler_num_cycles lr_scheduler_power lr_scheduler_min_lr_ratio
        lr_scheduler_timescale lr_decay_steps""",
    "loss": """min_snr_gamma debiased_estimation_loss scale_v_pred_loss_like_noise_pred loss_type huber_schedule huber_c
        huber_scale prior_loss_weight unmasked_weight masked_prior_preservation_weight preservation_weight
        preservation_every_n_steps preservation_class noise_offset adaptive_noise_scale multires_noise_iterations
        multires_noise_discount ip_noise_gamma min_timestep max_timestep""",
    "training": "gradient_accumulation_steps",
    "save": "save_every_n_epochs save_every_n_steps",
    "sample": "sample_every_n_epochs",
}
CHANGEABLE = frozenset(f"{group}.{name}" for group, names in _CHANGEABLE.items() for name in names.split())
"""The settings that a training phase can change."""

_WHY_NOT = {
    "base": "the base model is loaded once for the whole run",
    "dataset": "it describes the whole set of images",
    "network": "the network is created once, and every phase trains the same one",
    "optimizer": "the optimizer and what it has learned about the gradients carry over from phase to phase",
    "loss": "the noise schedule belongs to the base model",
    "training": "it is decided once, when the run starts",
    "save": "it describes the files of the whole run",
    "sample": "samples can only be compared if they are generated alike",
    "diagnosis": "measurements can only be compared if they are made alike",
    "dataset.train_data_dir": "put the images of all phases into one folder, and choose among its folders with "
                              "dataset.only_folders",
    "dataset.validation_data_dir": "the loss on held-out images can only be compared if they stay the same",
    "dataset.validation_split": "an image held out in one phase must not be learned in another",
    "dataset.validation_seed": "an image held out in one phase must not be learned in another",
    "dataset.reg_data_dir": "the regularization images stay; set loss.prior_loss_weight to 0 to stop learning from "
                            "them",
    "dataset.conditioning_data_dir": "the masks are found once; switch dataset.masked_loss instead",
    "dataset.activation_tag": "the LoRA has one trigger word",
    "dataset.token_warmup_min": "token warmup belongs to the beginning of a run",
    "dataset.token_warmup_step": "token warmup belongs to the beginning of a run",
    "optimizer.d_coef": "it is part of the rate that the optimizer has found; change optimizer.learning_rate instead",
    "training.max_train_epochs": "give the phase its length with epochs",
    "training.max_train_steps": "give the phase its length with steps",
    "training.phases": "phases cannot hold phases",
    "training.first_phase_name": "give the phase its name with name",
    "training.seed": "the random numbers of the whole run follow from it",
}


def why_not(key: str) -> str:
    """Why a phase cannot change the setting ``key``, as a clause; empty if it can."""
    return "" if key in CHANGEABLE else _WHY_NOT.get(key) or _WHY_NOT[key.split(".")[0]]


def why_not_here(key: str, job: Job) -> str:
    """As ``why_not``, also for reasons that follow from the settings of ``job``."""
    if sets_own_rate(job.optimizer) and (key in RATES or key.startswith("scheduler.")):
        return f"{job.optimizer.optimizer_type} sets the rate by itself"
    return why_not(key)


def changeable_settings() -> list[str]:
    """The keys that a phase can change, in the order of the form."""
    return [field.key for field in all_settings() if field.key in CHANGEABLE]

