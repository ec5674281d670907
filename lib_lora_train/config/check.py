"""Checks that span several settings. The range of a single setting is in its schema."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigError
from ..files.confine import RESERVED_ON_WINDOWS
from .check_network import network_problems
from .groups.dataset import CAPTION_ENDINGS
from .job import Job
from .optimizer_args import finds_own_rate, parse_arguments
from .optimizer_facts import OPTIMIZERS
from .phases.check import phase_problems
from .phases.effective import phases_of
from .sample_prompt import read_prompt

_HIGHEST_FIXED_RATE = 0.05
FORBIDDEN_IN_NAMES = ':<>,/\\"|?*=()'


def problems_of(job: Job) -> list[str]:
    """Every conflict between settings, in any training phase, one sentence each; empty if the job can run."""
    problems = _problems_of_one(job)
    return [*problems, *phase_problems(job, problems, _problems_of_one)] if job.training.phases else problems


def _problems_of_one(job: Job) -> list[str]:
    problems = name_problems(job.save.output_name)
    problems += _missing_paths(job) + _dataset_problems(job) + _network_problems(job)
    problems += _loss_problems(job) + _optimizer_problems(job) + _rate_problems(job) + _fused_problems(job)
    problems += _prompt_problems(job.sample.sample_prompts)
    problems += network_problems(job.network, job.optimizer) + _known_caption_problems(job)
    if job.training.max_train_epochs is None and job.training.max_train_steps is None:
        problems.append("training.max_train_epochs and training.max_train_steps are both empty. Give one of them.")
    return problems


def name_problems(name: str) -> list[str]:
    """Why ``name`` is not a usable LoRA file name for prompts; empty if it is."""
    if not name.strip():
        return ["save.output_name is empty. Give the LoRA a name, such as penny."]
    bad = sorted({character for character in name if character in FORBIDDEN_IN_NAMES or ord(character) < 32})
    if bad:
        return [f"save.output_name is {name!r}. A prompt or a file system cannot hold {' '.join(bad)} in it: use "
                "letters, digits, spaces, '.', '-' and '_'."]
    if name != name.strip() or name.endswith(".") or name.startswith("."):
        return [f"save.output_name is {name!r}. It cannot begin or end with a space or a dot."]
    if name.split(".")[0].lower() in RESERVED_ON_WINDOWS:
        return [f"save.output_name is {name!r}, which is reserved by Windows. Choose another name."]
    if len(name.encode()) > 180:
        return [f"save.output_name is {len(name.encode())} bytes long. Use 180 or fewer."]
    return []


def title_problem(title: str, what: str, longest_bytes: int = 80) -> str:
    """Why ``title`` is not a valid file name for ``what`` (such as a preset); empty if it is."""
    wrong = any(sign in FORBIDDEN_IN_NAMES or not sign.isprintable() for sign in title)
    if wrong or not title.strip() or title.startswith(".") or title.endswith(".") \
            or len(title.encode("utf-8", "replace")) > longest_bytes \
            or title.split(".")[0].lower() in RESERVED_ON_WINDOWS:
        return f"{title[:longest_bytes]!r} cannot be the name of {what}. Use up to {longest_bytes} letters, digits, " \
               "spaces, '-' and '_'."
    return ""


def _missing_paths(job: Job) -> list[str]:
    paths = {"base.checkpoint": (job.base.checkpoint, "the checkpoint to train on"),
             "dataset.train_data_dir": (job.dataset.train_data_dir, "the folder with the images"),
             "save.output_dir": (job.save.output_dir, "the folder for the LoRA files")}
    return [f"{key} is empty. Give {what}." for key, (value, what) in paths.items() if not value.strip()]


def _dataset_problems(job: Job) -> list[str]:
    dataset = job.dataset
    problems = []
    try:
        width, height = dataset.size
    except ValueError:
        return [f"dataset.resolution is {dataset.resolution!r}. Write 512, or 512x768, with sides from 64 to 8192."]
    step = dataset.bucket_reso_steps
    if step % 8:
        problems.append(f"dataset.bucket_reso_steps is {step}. It has to be a multiple of 8, best 64.")
    if dataset.enable_bucket:
        if dataset.min_bucket_reso and dataset.min_bucket_reso > min(width, height):
            problems.append(f"dataset.min_bucket_reso is {dataset.min_bucket_reso}, more than the resolution "
                            f"{dataset.resolution}. Lower it to {min(width, height)} or less, or leave it empty to "
                            "let it follow from the resolution.")
        if dataset.max_bucket_reso and dataset.max_bucket_reso < max(width, height):
            problems.append(f"dataset.max_bucket_reso is {dataset.max_bucket_reso}, less than the resolution "
                            f"{dataset.resolution}. Raise it to {max(width, height)} or more, or leave it empty to "
                            "let it follow from the resolution.")
    elif width % 8 or height % 8:
        problems.append(f"dataset.resolution is {dataset.resolution}. Without buckets both sides have to be "
                        "multiples of 8, best of 64.")
    if dataset.validation_split and dataset.validation_data_dir:
        problems.append(f"dataset.validation_split ({dataset.validation_split:g}) and dataset.validation_data_dir both "
                        "say which images to hold out. Set the split to 0, or leave the folder empty.")
    try:
        _ = dataset.face_range
    except ValueError:
        problems.append(f"dataset.face_crop_aug_range is {dataset.face_crop_aug_range!r}. Write two numbers from 1 to "
                        "100, the lower first, such as 2.0,4.0; or leave it empty.")
    try:
        _ = dataset.by_folder
    except ValueError as problem:
        problems.append(f"dataset.concept_settings: {problem}")
    if not dataset.caption_separator.strip():
        problems.append(f"dataset.caption_separator is {dataset.caption_separator!r}. Tags need a character between "
                        "them, such as a comma.")
    extension = dataset.caption_extension
    if extension.lower() not in CAPTION_ENDINGS:
        problems.append(f"dataset.caption_extension is {extension!r}. Write one of {', '.join(CAPTION_ENDINGS)}, with "
                        "its dot.")
    return problems


def _prompt_problems(lines: Sequence[str]) -> list[str]:
    problems = []
    for number, line in enumerate(lines, 1):
        try:
            read_prompt(line)
        except ValueError as problem:
            problems.append(f"sample.sample_prompts, prompt {number}: {problem}")
    return problems


def _network_problems(job: Job) -> list[str]:
    problems = []
    network = job.network
    if job.base.max_token_length not in (75, 150, 225):
        problems.append(f"base.max_token_length is {job.base.max_token_length}. Choose 75, 150 or 225.")
    if network.network_train_unet_only and network.network_train_text_encoder_only:
        problems.append("network_train_unet_only and network_train_text_encoder_only are both on, so nothing would "
                        "be trained. Switch one of them off.")
    return problems


def _loss_problems(job: Job) -> list[str]:
    problems = []
    loss = job.loss
    if loss.debiased_estimation_loss and loss.min_snr_gamma is not None:
        problems.append(f"loss.debiased_estimation_loss and loss.min_snr_gamma ({loss.min_snr_gamma:g}) both weight "
                        "the timesteps. Leave min_snr_gamma empty, or switch the other off.")
    if loss.noise_offset and loss.multires_noise_iterations:
        problems.append(f"loss.noise_offset ({loss.noise_offset:g}) and loss.multires_noise_iterations "
                        f"({loss.multires_noise_iterations}) do the same thing twice. Set one of them to 0.")
    if loss.preservation_weight and not job.dataset.activation_tag.strip():
        problems.append(f"loss.preservation_weight is {loss.preservation_weight:g}, but dataset.activation_tag is "
                        "empty. What is preserved are captions without the trigger word: give it, or set the weight "
                        "to 0.")
    if loss.min_timestep >= loss.max_timestep:
        problems.append(f"loss.min_timestep is {loss.min_timestep}, not below max_timestep {loss.max_timestep}, so no "
                        "timestep would be trained. Lower it.")
    if loss.zero_terminal_snr and not job.base.v_parameterization:
        problems.append("loss.zero_terminal_snr needs a model that predicts velocity: pure noise holds nothing to "
                        "predict noise from. Switch base.v_parameterization on if it is one.")
    return problems


def _known_caption_problems(job: Job) -> list[str]:
    """Settings that prevent caching the text encoder outputs before the first step."""
    return _why_captions_change(job) if job.training.cache_text_encoder_outputs else []


def captions_can_be_kept(job: Job) -> bool:
    """Whether ``training.cache_text_encoder_outputs`` is compatible with the other settings, in every phase."""
    return not any(_why_captions_change(phase.job) for phase in phases_of(job))


def _why_captions_change(job: Job) -> list[str]:
    problems = []
    if not job.network.network_train_unet_only:
        problems.append("training.cache_text_encoder_outputs is on, but the text encoder is trained, so its output "
                        "changes. Switch network.network_train_unet_only on, or the other off.")
    drawn = [f"dataset.{name}" for name in ("shuffle_caption", "caption_tag_dropout_rate", "token_warmup_step",
                                            "enable_wildcard") if getattr(job.dataset, name)]
    if drawn:
        problems.append(f"training.cache_text_encoder_outputs encodes each caption once, but {' and '.join(drawn)} "
                        f"{'makes' if len(drawn) == 1 else 'make'} it different each time. Switch one or the other "
                        "off.")
    return problems


def _fused_problems(job: Job) -> list[str]:
    """Settings that need all gradients at once and so conflict with the fused backward pass."""
    if not job.training.fused_backward_pass:
        return []
    name, against = "training.fused_backward_pass", []
    if job.optimizer.max_grad_norm:
        against.append(f"optimizer.max_grad_norm ({job.optimizer.max_grad_norm:g}), which measures all gradients. Set "
                       "it to 0")
    if job.training.gradient_accumulation_steps > 1:
        against.append(f"training.gradient_accumulation_steps ({job.training.gradient_accumulation_steps}), which adds "
                       "gradients up. Set it to 1")
    if not OPTIMIZERS[job.optimizer.optimizer_type].per_parameter:
        against.append(f"{job.optimizer.optimizer_type}, which needs all gradients. Choose AdamW or AdaFactor")
    if job.loss.preservation_weight:
        against.append(f"loss.preservation_weight ({job.loss.preservation_weight:g}), which adds the gradients of a "
                       "second prediction. Set it to 0")
    if job.training.mixed_precision == "fp16":
        against.append("training.mixed_precision fp16, which scales gradients. Choose bf16")
    return [f"{name} does not work with {reason}, or switch it off." for reason in against]


def _optimizer_problems(job: Job) -> list[str]:
    optimizer = job.optimizer
    try:
        given = parse_arguments(optimizer.optimizer_args)
    except ConfigError as problem:
        return [str(problem)]
    if "lr" in given:
        return [f"optimizer.optimizer_args has lr={given['lr']}. Set optimizer.learning_rate instead."]
    if given.get("fused_back_pass"):
        return [f"optimizer.optimizer_args has fused_back_pass={given['fused_back_pass']}, with which "
                f"{optimizer.optimizer_type} would never take a step. Leave it out."]
    if optimizer.d_coef is not None and "d_coef" in given:
        return [f"optimizer.d_coef is {optimizer.d_coef:g}, and optimizer_args has d_coef={given['d_coef']}. Give it "
                f"only once."]
    return []


def _rate_problems(job: Job) -> list[str]:
    """Learning rates of 1, which suit adaptive optimizers only and are easily left behind after switching."""
    optimizer = job.optimizer
    if finds_own_rate(optimizer) or optimizer.optimizer_type.startswith("SGD"):
        return []
    rates = {"learning_rate": optimizer.learning_rate, "unet_lr": optimizer.unet_lr,
             "text_encoder_lr": optimizer.text_encoder_lr, "text_encoder_lr2": optimizer.text_encoder_lr2}
    used = {name: rate for name, rate in rates.items() if rate is not None}
    if {"unet_lr", "text_encoder_lr"} <= set(used):
        del used["learning_rate"]  # both parts have their own rate
    return [f"optimizer.{name} is {rate:g}, which turns a LoRA to noise with {optimizer.optimizer_type}. Use about "
            "0.0001, or an optimizer that finds the rate by itself, such as Prodigy."
            for name, rate in used.items() if rate > _HIGHEST_FIXED_RATE]
