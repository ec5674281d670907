"""Changed settings of images, masks, buckets and captions that have no effect: why, one sentence each."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from ..config.groups.dataset import DatasetSettings
from ..config.groups.trigger_word import without_trigger
from ..config.job import Job
from .no_effect import default_of, idle, in_words
from .surroundings import Note, PlanFacts, PlannedImage, Surroundings

_WILDCARD = re.compile(r"\{[^{}|]*\|[^{}]*\}")


IMAGE_GROUPS = ("dataset", "loss")


def image_notes(job: Job, around: Surroundings) -> Iterator[Note]:
    """Notes on the settings of ``dataset``, and on those of ``loss`` that depend on masks and captions."""
    yield from _without_images(job)
    yield from _of_captions(job)
    yield from _of_masks(job, around.plan)
    yield from _of_preservation(job, around.plan)
    if around.plan is not None:
        yield from _of_choice(job, around.plan)
        yield from _of_these_images(job, around.plan)
        yield from _of_sizes(job, around.plan)
        yield from _of_these_captions(job, around.plan)


def _without_images(job: Job) -> Iterator[Note]:
    dataset = job.dataset
    if not dataset.enable_bucket:
        for name in ("min_bucket_reso", "max_bucket_reso", "bucket_reso_steps", "bucket_no_upscale"):
            yield from idle(job, f"dataset.{name}", "enable_bucket is off, so there is one size")
    if not dataset.validation_split:
        yield from idle(job, "dataset.validation_seed", "validation_split is 0, so no images are held out")
    if dataset.color_aug or dataset.random_crop or dataset.face_crop_aug_range:
        yield from idle(job, "dataset.cache_latents_to_disk", "with color_aug, random_crop or face_crop_aug_range "
                                                              "images differ each time, so nothing can be cached")


def _of_captions(job: Job) -> Iterator[Note]:
    dataset = job.dataset
    if dataset.use_folder_name:
        yield from idle(job, "dataset.caption_extension", "with use_folder_name no caption file is read")
    if not moves_tags(dataset):
        still = "tags are neither shuffled nor left out"
        if not dataset.keep_tokens_separator:
            yield from idle(job, "dataset.caption_separator", f"{still}, so it is only used to count tags")
        yield from idle(job, "dataset.keep_tokens", f"{still}, so all keep their place")
        if any(own.keep_tokens is not None for own in dataset.by_folder.values()):
            yield Note("dataset.concept_settings", "dataset.concept_settings gives folders their own keep_tokens, "
                                                   f"which change nothing: {still}.")
    if not dataset.token_warmup_step:
        yield from idle(job, "dataset.token_warmup_min", "token_warmup_step is 0, so captions are whole from the start")


def moves_tags(dataset: DatasetSettings) -> bool:
    """Whether captions are split into tags."""
    return bool(dataset.shuffle_caption or dataset.caption_tag_dropout_rate or dataset.token_warmup_step)


def _of_choice(job: Job, plan: PlanFacts) -> Iterator[Note]:
    """Choices that leave out no image."""
    folders, lowest = job.dataset.only_folders, job.dataset.min_image_weight
    if plan.every and folders and all(image.path.parent.name in folders for image in plan.every):
        yield Note("dataset.only_folders", "dataset.only_folders names every folder with images, so it leaves none "
                                           "out. An empty list does the same.")
    if plan.every and lowest is not None and all(image.weight >= lowest for image in plan.every):
        yield Note("dataset.min_image_weight", f"dataset.min_image_weight is {lowest:g}, but no image has a lower loss "
                                               "weight, so it leaves none out.")


def _of_these_images(job: Job, plan: PlanFacts) -> Iterator[Note]:
    dataset, own = job.dataset, [image for image in plan.images if not image.regularization]
    if dataset.validation_split and not plan.held_out:
        yield Note("dataset.validation_split", f"dataset.validation_split is {dataset.validation_split:g}, but of "
                                               f"{len(own)} images none can be held out: each folder keeps "
                                               "one, and images that are nearly the same stay together.")
    if all(image.concept or image.own.dataset_repeats is not None or image.repeats != dataset.dataset_repeats
           for image in own):
        yield from idle(job, "dataset.dataset_repeats", "every folder sets its own repeats")
    if all(image.own.flip_aug is not None for image in plan.images):
        yield from idle(job, "dataset.flip_aug", "concept_settings sets it for every folder")
    if dataset.alpha_mask and not any(image.has_alpha for image in plan.images):
        yield from idle(job, "dataset.alpha_mask", "no image has an alpha channel, so nothing is masked")
    if dataset.random_crop and not plan.cuts:
        yield from idle(job, "dataset.random_crop", "every image fills its bucket, so nothing is cut off")
    if dataset.train_batch_size > plan.fullest_bucket:
        yield Note("dataset.train_batch_size", f"dataset.train_batch_size is {dataset.train_batch_size}, but no bucket "
                                               f"has more than {plan.fullest_bucket} images, repeats counted, so no "
                                               "batch is bigger than that.")


def _of_masks(job: Job, plan: PlanFacts | None) -> Iterator[Note]:
    dataset, loss = job.dataset, job.loss
    none = "" if dataset.uses_masks else "no masks are used: masked_loss and alpha_mask are off"
    if not dataset.masked_loss:
        yield from idle(job, "dataset.conditioning_data_dir", "masked_loss is off, so no mask is read")
    elif plan is not None:
        masks = [image.mask for image in plan.images if image.mask is not None]
        folder = Path(dataset.conditioning_data_dir or "")
        if not masks:
            yield from idle(job, "dataset.masked_loss", "no image has a mask. Put penny-mask.png beside penny.png, or "
                                                        "give the folder of the masks as conditioning_data_dir")
        if not any(folder in mask.parents for mask in masks):
            yield from idle(job, "dataset.conditioning_data_dir", f"no mask of these images is in {folder}")
    if plan is not None and not none and not any(_is_masked(image, dataset) for image in plan.images):
        none = "no image has a mask"
    if none:
        for name in ("unmasked_weight", "masked_prior_preservation_weight"):
            yield from idle(job, f"loss.{name}", none)
    elif loss.unmasked_weight == 1 and not loss.masked_prior_preservation_weight:
        yield Note("loss.unmasked_weight", "loss.unmasked_weight is 1, so images are learned whole and their masks "
                                           "make no difference.")


def _is_masked(image: PlannedImage, dataset: DatasetSettings) -> bool:
    return (dataset.masked_loss and image.mask is not None) or (dataset.alpha_mask and image.has_alpha)


def _of_preservation(job: Job, plan: PlanFacts | None) -> Iterator[Note]:
    dataset, loss = job.dataset, job.loss
    keys = ("loss.preservation_weight", "loss.preservation_every_n_steps", "loss.preservation_class")
    if not loss.preservation_weight:
        for key in keys[1:]:
            yield from idle(job, key, "preservation_weight is 0")
    elif plan is not None:
        lines = [line for image in plan.images if not image.regularization
                 for line in (image.caption_lines or (image.caption,))]
        lines += [dataset.caption_prefix, dataset.caption_suffix]
        if all(without_trigger(line, dataset) == line for line in lines):
            for key in keys:
                yield from idle(job, key, f"no caption has the trigger word {dataset.activation_tag} in it, so there "
                                          "is nothing to leave out")
        elif loss.preservation_every_n_steps >= plan.total_steps > 1:
            yield Note(keys[1], f"{keys[1]} is {loss.preservation_every_n_steps}, and the run has {plan.total_steps} "
                                "steps, so only the first one preserves.")


def _of_sizes(job: Job, plan: PlanFacts) -> Iterator[Note]:
    """Bucket settings that give every image the same size as their default."""
    dataset = job.dataset
    if not dataset.enable_bucket:
        names: tuple[str, ...] = ("enable_bucket",)
    else:
        names = ("min_bucket_reso", "max_bucket_reso", "bucket_reso_steps", "bucket_no_upscale")
    now = plan.sizes_with(dataset)
    for name in names:
        default = default_of(f"dataset.{name}")
        with_default = dataclasses.replace(dataset, **{name: default})
        if with_default != dataset and plan.sizes_with(with_default) == now:
            other = "without it" if default is None else f"with {in_words(default)}"
            yield from idle(job, f"dataset.{name}", f"every image gets the same size {other}")


def _of_these_captions(job: Job, plan: PlanFacts) -> Iterator[Note]:
    dataset, own = job.dataset, [image for image in plan.images if not image.regularization]
    lines = [line for image in plan.images for line in (image.caption_lines or (image.caption,))]
    if dataset.enable_wildcard and not any(_WILDCARD.search(line) for line in lines) and all(
            len(image.caption_lines) < 2 for image in plan.images):
        yield from idle(job, "dataset.enable_wildcard", "no caption has {several|words} or more than one line")
    mark = dataset.keep_tokens_separator
    if mark and not any(mark in line for line in (*lines, dataset.caption_prefix, dataset.caption_suffix)):
        yield from idle(job, "dataset.keep_tokens_separator", f"no caption has {mark} in it")
    yield from _of_free_tags(job, plan)
    if moves_tags(dataset):
        if all(image.own.keep_tokens is not None for image in own):
            yield from idle(job, "dataset.keep_tokens", "concept_settings sets it for every folder")
        elif mark and all(mark in line for line in lines):
            yield from idle(job, "dataset.keep_tokens", f"every caption has {mark} in it, which takes precedence")
    if dataset.caption_dropout_every_n_epochs > plan.epochs:
        yield from idle(job, "dataset.caption_dropout_every_n_epochs", f"the run has only {plan.epochs} epochs")
    warmup = dataset.token_warmup_step
    if 0 < warmup < 1 and int(warmup * plan.total_steps) == 0:
        yield from idle(job, "dataset.token_warmup_step", f"it is less than one step of {plan.total_steps}")


def _of_free_tags(job: Job, plan: PlanFacts) -> Iterator[Note]:
    """Tag settings without effect because no caption has enough tags."""
    dataset = job.dataset
    counts = [(len(_tags(line, dataset.caption_separator)),
               dataset.keep_tokens if image.own.keep_tokens is None else image.own.keep_tokens)
              for image in plan.images for line in (image.caption_lines or (image.caption,))]
    if dataset.keep_tokens_separator or dataset.caption_prefix or dataset.caption_suffix:
        return  # they add tags or split them differently
    most, free = max(count for count, _ in counts), max(count - kept for count, kept in counts)
    if most <= 1 and moves_tags(dataset):
        yield from idle(job, "dataset.caption_separator", "no caption has more than one tag")
        yield from idle(job, "dataset.keep_tokens", "no caption has more than one tag")
    if free <= 1:
        yield from idle(job, "dataset.shuffle_caption", "no caption has two tags after the keep tokens")
    if free <= 0:
        yield from idle(job, "dataset.caption_tag_dropout_rate", "no caption has a tag after the keep tokens")
    if free <= dataset.token_warmup_min:
        yield from idle(job, "dataset.token_warmup_step", "no caption has more tags after the keep tokens than "
                                                          f"token_warmup_min, {dataset.token_warmup_min}")


def _tags(caption: str, separator: str) -> list[str]:
    return [tag for tag in caption.split(separator) if tag.strip()]
