"""Settings of the dataset: images, captions, and how they are batched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..concepts import ConceptSettings, read_concepts
from ..setting import IMAGES, setting

CAPTION_ENDINGS = (".txt", ".caption", ".tags")
"""Extensions of caption files, the only files of a dataset that are ever written."""
_SHORTEST_SHARE, _LONGEST_SHARE = 5 / 8, 2
"""Bucket sides as shares of the resolution: 320 and 1024 at 512, which is usual for SD 1.x."""


@dataclass(frozen=True)
class DatasetSettings:
    """Folder, resolution, buckets and captions."""

    train_data_dir: str = setting(
        "", "The folder with your images, or with <repeats>_<concept> folders.",
        label="Image folder", view="hidden", path=IMAGES)
    validation_data_dir: Optional[str] = setting(
        None,
        "A folder of images that are never trained on. The loss on them, with fixed noise, shows whether the LoRA "
        "really learns.",
        label="Validation folder", path=IMAGES)
    validation_split: float = setting(
        0.0, "The share of your images that is held out for validation, 0.1 for one in ten, but at least two. They are "
        "not learned; the loss on them shows which epoch is best. The same validation seed always holds out the same "
        "images, evenly from all folders. Images that are nearly the same stay together.",
        label="Validation split", minimum=0.0, maximum=0.9,
        advice="0.1 with 40 images or more. With fewer, each one counts: give a validation folder instead.")
    validation_seed: int = setting(
        0, "Another seed holds out other images.",
        label="Validation seed", minimum=0, maximum=4294967295)
    reg_data_dir: Optional[str] = setting(
        None, "Dreambooth style: a folder of regularization images, which show the class (any girl) instead of your "
        "subject (penny). They share the batches with your images and roughly double the steps.",
        label="Regularization folder", path=IMAGES,
        advice="For characters with poor or oddly styled images; never for styles, which they wash out. Use as many"
               " as you have images, repeats included, generated with the model you train on. A regularization "
               "image named like one of yours is seen as often as that one.")
    use_folder_name: bool = setting(
        False,
        "Keyword style: each image's caption is the name of its folder (10_penny), and caption files are ignored.",
        label="Folder name as caption", section="Captions",
        advice="Little work, and good for styles and anything hard to tag. The style shows even without the "
               "keyword, and prompts need more weight.")
    resolution: str = setting(
        "512", "Training size in pixels: one number, or width x height such as 512x768.",
        label="Resolution", view="main",
        advice="512 is a good default for SD 1.x; 576 often adds detail at the cost of time and memory. SD 2.x-v "
               "needs 768, SDXL 1024.")
    train_batch_size: int = setting(
        1, "How many images are trained on in one step.",
        label="Batch size", minimum=1, maximum=64, view="main",
        advice="Two images a step need about half the steps and more memory.")
    dataset_repeats: int = setting(
        1, "How often each image is seen per epoch, unless the folder name says so.",
        label="Repeats", minimum=1, maximum=10000,
        advice="Prefer 1 repeat and more epochs, unless several concepts have to be balanced.")
    concept_settings: List[str] = setting(
        [], "Settings of single folders, one folder a line: 10_penny: dataset_repeats=3 keep_tokens=2 flip_aug=true "
        "loss_weight=0.5. Anything a line leaves out follows the main settings.",
        label="Settings per folder", view="hidden",
        advice="Repeats balance concepts with different numbers of images. Flip only where left and right are "
               "alike.")
    only_folders: List[str] = setting(
        [], "Trains on the images of these folders only, by folder name such as 10_penny; empty for all.",
        label="Only these folders", view="hidden",
        advice="For a training phase on a part of the images.")
    min_image_weight: Optional[float] = setting(
        None, "Trains only on images with this loss weight or more. Empty for all.",
        label="Min image weight", view="hidden", minimum=0.0, maximum=10000.0,
        advice="For a training phase on the best images: give these a weight above 1.")
    enable_bucket: bool = setting(
        True, "Keeps each image's shape: images of similar shape are trained together.",
        label="Aspect ratio buckets")
    min_bucket_reso: Optional[int] = setting(
        None, "Shortest side of a bucket. Empty: five eighths of the resolution, 320 at 512 and 640 at 1024.",
        label="Min bucket size", unit="px", minimum=32, maximum=4096)
    max_bucket_reso: Optional[int] = setting(
        None, "Longest side of a bucket. Empty: twice the resolution, 1024 at 512 and 2048 at 1024.",
        label="Max bucket size", unit="px", minimum=64, maximum=8192)
    bucket_reso_steps: int = setting(
        64, "Bucket sides are multiples of this.",
        label="Bucket step", unit="px", minimum=8, maximum=512)
    bucket_no_upscale: bool = setting(
        False, "Never enlarges an image that is smaller than the training size.",
        label="Don't upscale images")
    caption_extension: str = setting(
        ".txt", "Extension of the caption files: .txt, .caption or .tags.",
        label="Caption extension", section="Captions")
    caption_separator: str = setting(
        ",", "What separates two tags in a caption.",
        label="Caption separator", section="Captions")
    shuffle_caption: bool = setting(
        True, "Puts the tags in a new order each time an image is seen.",
        label="Shuffle tags", section="Captions",
        advice="Good for tag lists; turn it off for natural-language captions.")
    keep_tokens: int = setting(
        1, "How many tags at the start keep their place when tags are shuffled.",
        label="Keep tokens", section="Captions", minimum=0, maximum=255,
        advice="1 keeps the trigger word first.")
    keep_tokens_separator: str = setting(
        "", "A separator inside captions, such as |||: everything before it keeps its place, instead of the number of "
        "keep tokens; so does everything after a second one.",
        label="Keep-tokens separator", section="Captions")
    caption_prefix: str = setting(
        "", "Added before each caption, followed by a space; include the comma. Not added to regularization images.",
        label="Caption prefix", section="Captions",
        advice="A way to add the trigger word without editing files.")
    caption_suffix: str = setting(
        "", "Added after each caption, with a space before it. Not added to regularization images.",
        label="Caption suffix", section="Captions")
    caption_dropout_rate: float = setting(
        0.0, "How often an image is trained without its caption, 0.1 for one time in ten.",
        label="Caption dropout", section="Captions", minimum=0.0, maximum=1.0,
        advice="Up to 0.1 for styles, so that they show without being asked for; 0 for characters.")
    caption_dropout_every_n_epochs: int = setting(
        0, "Drops all captions every n epochs; 0 for never.",
        label="Caption dropout every n epochs", section="Captions", minimum=0, maximum=100000)
    caption_tag_dropout_rate: float = setting(
        0.0, "How often each tag is dropped; keep tokens never are.",
        label="Tag dropout", section="Captions", minimum=0.0, maximum=1.0,
        advice="0.1 keeps single tags from becoming tied to your subject.")
    token_warmup_min: int = setting(
        1, "How many tags after the keep tokens a caption starts with during token warmup.",
        label="Token warmup min", section="Captions", minimum=0, maximum=1000)
    token_warmup_step: float = setting(
        0.0, "Steps until captions reach full length. Below 1 it is a share of the run; 0 turns it off.",
        label="Token warmup steps", section="Captions", minimum=0.0, maximum=10000000.0)
    enable_wildcard: bool = setting(
        False, "Picks one word of {red|blue} each time an image is seen, and one line of a caption file with several.",
        label="Wildcards in captions", section="Captions")
    activation_tag: str = setting(
        "", "The word that brings up what is learned (the webui calls it activation text). It should be the first tag "
        "of every caption.",
        label="Trigger word", section="Captions", view="main",
        advice="Use a rare or made-up word. It is added to the prompt when you try the LoRA.")
    flip_aug: bool = setting(
        False, "Mirrors each image half of the time.",
        label="Flip images", section="Augmentation",
        advice="Doubles a small set at no cost. Not for asymmetric subjects or images with text.")
    color_aug: bool = setting(
        False,
        "Shifts the hue slightly or changes the gamma one time in three. Images are encoded again each time, which "
        "is slower.",
        label="Color augmentation", section="Augmentation",
        advice="Helps a little to tell similar colors apart.")
    random_crop: bool = setting(
        False, "Crops at a random place instead of the center. With buckets there is little left to crop. Images are "
        "encoded again each time, which is slower.",
        label="Random crop", section="Augmentation")
    face_crop_aug_range: str = setting(
        "", "Crops around a face that OpenCV detects: the least and the most the short side shows, in face heights, "
        "such as 2.0,4.0. Images without a face stay as they are. Images are encoded again each time, which is "
        "slower.",
        label="Face crop", section="Augmentation",
        advice="The effect is hard to notice; close-ups in the set work better.")
    masked_loss: bool = setting(
        False, "Learns only from the white parts of each image's mask: penny-mask.png beside penny.jpg, or penny.png "
        "in a folder mask beside the images. Images without a mask are learned whole.",
        label="Use masks (masked loss)", section="Masks", view="main",
        advice="For a background, a watermark or a second person that should not be learned.")
    alpha_mask: bool = setting(
        False, "Learns only from the opaque parts of an image: its alpha channel is used as a mask, on top of a mask "
        "file.",
        label="Alpha channel as mask", section="Masks",
        advice="Cut out the subject, and the background is not learned.")
    conditioning_data_dir: Optional[str] = setting(
        None, "Another folder of masks, named like the images. A mask beside an image comes first.",
        label="Mask folder", section="Masks", path=IMAGES)
    cache_latents_to_disk: bool = setting(
        False, "Keeps the encoded images on disk too, so that the next run starts faster.",
        label="Cache latents to disk", section="Memory",
        advice="A changed image is always encoded again.")

    @property
    def uses_masks(self) -> bool:
        """Whether any kind of mask is used."""
        return self.masked_loss or self.alpha_mask

    @property
    def face_range(self) -> Optional[tuple[float, float]]:
        """``face_crop_aug_range`` as (min, max); None if it is empty. Raises ``ValueError`` if it is invalid."""
        if not self.face_crop_aug_range.strip():
            return None
        numbers = [float(part) for part in self.face_crop_aug_range.split(",")]
        if len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1] <= 100:
            raise ValueError(self.face_crop_aug_range)
        return numbers[0], numbers[1]

    @property
    def bucket_sides(self) -> tuple[int, int]:
        """Shortest and longest side of a bucket in pixels; defaults follow from the resolution.

        Raises ``ValueError`` if ``resolution`` is invalid.
        """
        width, height = self.size
        shortest = self.min_bucket_reso or max(self.bucket_reso_steps,
                                               round(_SHORTEST_SHARE * min(width, height)))
        return shortest, self.max_bucket_reso or _LONGEST_SHARE * max(width, height)

    @property
    def by_folder(self) -> dict[str, ConceptSettings]:
        """``concept_settings`` by folder name. Raises ``ValueError`` if they are invalid."""
        return read_concepts(self.concept_settings)

    @property
    def size(self) -> tuple[int, int]:
        """``resolution`` as (width, height) in pixels. Raises ``ValueError`` if it is invalid."""
        parts = self.resolution.lower().replace(",", "x").replace(" ", "").split("x")
        numbers = [int(part) for part in parts]
        if len(numbers) == 1:
            numbers *= 2
        if len(numbers) != 2 or min(numbers) < 64 or max(numbers) > 8192:
            raise ValueError(self.resolution)
        return numbers[0], numbers[1]
