"""The pictures, their captions, and how they are put into batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..concepts import ConceptSettings, read_concepts
from ..setting import setting

CAPTION_ENDINGS = (".txt", ".caption", ".tags")
"""The endings of caption files, the only files of a dataset that are written."""
_SHORTEST_SHARE, _LONGEST_SHARE = 5 / 8, 2
"""Sides of buckets as shares of the resolution: 320 and 1024 at 512, which is usual for SD 1.x."""


@dataclass(frozen=True)
class DatasetSettings:
    """Folder, resolution, buckets and captions."""

    train_data_dir: str = setting(
        "", "The folder with your pictures, or with <repeats>_<concept> folders.", view="hidden",
        label="Folder with the pictures")
    validation_data_dir: Optional[str] = setting(
        None, "A folder of pictures that are never trained on; the loss on them, with fixed noise, shows whether "
              "the LoRA really learns.", view="hidden", label="Validation folder")
    validation_split: float = setting(
        0.0, "The share of the pictures that is held out of training for the same purpose, 0.1 for one in ten; always "
             "the same ones for the same validation_seed.", minimum=0.0, maximum=0.9, label="Share held out",
        advice="Only with plenty of pictures: what is held out is not learned.")
    validation_seed: int = setting(
        0, "Another number holds out other pictures.", minimum=0, maximum=4294967295, label="Seed of the share")
    reg_data_dir: Optional[str] = setting(
        None, "Dreambooth style: a folder of regularization pictures, which show the class (any girl) instead of what "
              "is learned (penny). They share the batches with your pictures and about double the steps.",
        label="Regularization folder",
        advice="For characters from poor or oddly styled pictures; never for styles, which it washes out. As many as "
               "your pictures, repeats included; best drawn by the model you train on. A picture with the name of "
               "one of yours is seen as often as that one.")
    use_folder_name: bool = setting(
        False, "Keyword style: the name of the folder (10_penny) is the caption of each picture in it, and caption "
               "files are not read.", label="Folder name as caption",
        advice="Little work, and good for styles and for what is hard to tag. The style comes out even without "
               "the keyword, and prompts need more weight.")
    resolution: str = setting(
        "512", "Training size in pixels: one number, or width x height such as 512x768.", view="main",
        advice="512 is a fine default for SD 1.x; 576 often adds detail at the cost of time and memory. SD 2.x-v wants "
               "768, SDXL 1024.")
    train_batch_size: int = setting(
        1, "How many pictures are trained on in one step.", minimum=1, maximum=64, label="Batch size", view="main",
        advice="Two pictures a step need about half the steps; more memory is used.")
    dataset_repeats: int = setting(
        1, "How often each picture is seen in an epoch, when the folder name does not say so.",
        minimum=1, maximum=10000,
        advice="1 repeat and more epochs, unless several concepts have to be balanced.", label="Repeats")
    concept_settings: List[str] = setting(
        [], "What single folders have of their own, one a line: 10_penny: dataset_repeats=3 keep_tokens=2 "
            "flip_aug=true. What a line leaves out is as for all.", view="hidden", label="Settings of single folders",
        advice="Repeats to balance concepts of which there are more pictures; mirroring only where both sides are "
               "the same.")
    enable_bucket: bool = setting(
        True, "Keep each picture's shape: pictures of similar shape are trained together.",
        label="Aspect ratio buckets")
    min_bucket_reso: Optional[int] = setting(
        None, "Shortest side of a bucket. Empty: five eighths of the resolution, 320 at 512 and 640 at 1024.",
        unit="px", minimum=32, maximum=4096, label="Shortest bucket side")
    max_bucket_reso: Optional[int] = setting(
        None, "Longest side of a bucket. Empty: twice the resolution, 1024 at 512 and 2048 at 1024.", unit="px",
        minimum=64, maximum=8192, label="Longest bucket side")
    bucket_reso_steps: int = setting(64, "Sides of buckets are multiples of this.", unit="px", minimum=8, maximum=512,
        label="Bucket step")
    bucket_no_upscale: bool = setting(False, "Never enlarge a picture that is smaller than the training size.",
        label="Never enlarge pictures")
    caption_extension: str = setting(".txt", "Ending of the caption files: .txt, .caption or .tags.",
        label="Caption file ending")
    caption_separator: str = setting(",", "What stands between two tags of a caption.", label="Between two tags")
    shuffle_caption: bool = setting(
        True, "Put the tags in a new order each time a picture is seen.", label="Shuffle tags",
        advice="Good for tag lists; switch it off for prose captions.")
    keep_tokens: int = setting(
        1, "How many tags at the start keep their place when tags are shuffled.", minimum=0, maximum=255,
        advice="1 keeps the activation tag first.", label="Tags kept in front")
    keep_tokens_separator: str = setting(
        "", "A mark in the captions, such as |||: what stands before it keeps its place instead of keep_tokens tags, "
            "and what stands behind a second one too.", label="Mark behind kept tags")
    caption_prefix: str = setting(
        "", "Put before each caption with a space between; write the comma too. Not for regularization pictures.",
        advice="A way to add the activation tag without changing files.")
    caption_suffix: str = setting(
        "", "Put behind each caption with a space between. Not for regularization pictures.")
    caption_dropout_rate: float = setting(
        0.0, "How often a picture is trained with no caption at all, 0.1 for one look in ten.", minimum=0.0,
        maximum=1.0, label="Caption dropout",
        advice="Up to 0.1 for styles, so that they come without being called; 0 for characters.")
    caption_dropout_every_n_epochs: int = setting(
        0, "Every so many epochs all captions are left out; 0 for never.", minimum=0, maximum=100000,
        label="Epochs between those without captions")
    caption_tag_dropout_rate: float = setting(
        0.0, "How often each tag is left out, those kept in front excepted.", minimum=0.0, maximum=1.0,
        label="Tag dropout", advice="0.1 keeps single tags from tying themselves to what is learned.")
    token_warmup_min: int = setting(
        1, "How many tags behind the kept ones a caption begins with while token_warmup_step lasts.", minimum=0,
        maximum=1000, label="Tags at the start of the warmup")
    token_warmup_step: float = setting(
        0.0, "Over so many steps captions grow to their whole length; below 1 it is a share of the run, 0 is off.",
        minimum=0.0, maximum=10000000.0, label="Tag warmup")
    enable_wildcard: bool = setting(
        False, "Of {red|blue} one word is drawn for each look, and of a caption file with several lines one line.",
        label="Wildcards in captions")
    activation_tag: str = setting(
        "", "The word that calls up what is learned; it should be the first tag of every caption.", view="main",
        advice="A rare or made-up word. It is put into the prompt when you try the LoRA.")
    flip_aug: bool = setting(
        False, "Mirror half of the looks at each picture.", label="Mirror pictures",
        advice="Doubles a small set at no cost. Not for what is not the same on both sides, or has writing on it.")
    color_aug: bool = setting(
        False, "At one look in three, turn the hues a little or change the brightness of middle tones. Pictures are "
               "encoded anew each time, which is slower.", label="Change colours",
        advice="Tells colours that lie close together apart a bit better.")
    random_crop: bool = setting(
        False, "Cut pictures out at a random place instead of the middle; does little with buckets on, since they "
               "leave little to cut off. Pictures are encoded anew each time, which is slower.", label="Random crop")
    face_crop_aug_range: str = setting(
        "", "Cut out around a face that OpenCV finds: least and most, in faces, that the short side shows, such as "
            "2.0,4.0. Pictures without a face stay as they are. Encoded anew each time, which is slower.",
        label="Face crop", advice="The effect is hard to notice; a set with close-ups of its own does better.")
    alpha_mask: bool = setting(
        False, "Learn only from where pictures are opaque: the loss is masked with their alpha channel.",
        label="Masked loss (transparency)",
        advice="Cut the subject out, and the background is not learned.")
    cache_latents_to_disk: bool = setting(
        False, "Keep the encoded pictures on disk too, so that the next run starts faster.",
        advice="A changed picture is always encoded anew.", label="Keep encoded pictures on disk")

    @property
    def face_range(self) -> Optional[tuple[float, float]]:
        """``face_crop_aug_range`` as (least, most), None if it is empty. Raises ``ValueError`` if it cannot be read."""
        if not self.face_crop_aug_range.strip():
            return None
        numbers = [float(part) for part in self.face_crop_aug_range.split(",")]
        if len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1] <= 100:
            raise ValueError(self.face_crop_aug_range)
        return numbers[0], numbers[1]

    @property
    def bucket_sides(self) -> tuple[int, int]:
        """Shortest and longest side of a bucket in pixels; a side that is not given follows from the resolution.

        Raises ``ValueError`` if ``resolution`` cannot be read.
        """
        width, height = self.size
        shortest = self.min_bucket_reso or max(self.bucket_reso_steps,
                                               round(_SHORTEST_SHARE * min(width, height)))
        return shortest, self.max_bucket_reso or _LONGEST_SHARE * max(width, height)

    @property
    def by_folder(self) -> dict[str, ConceptSettings]:
        """``concept_settings`` by the folder's name. Raises ``ValueError`` if they cannot be read."""
        return read_concepts(self.concept_settings)

    @property
    def size(self) -> tuple[int, int]:
        """``resolution`` as (width, height) in pixels. Raises ``ValueError`` if it cannot be read."""
        parts = self.resolution.lower().replace(",", "x").replace(" ", "").split("x")
        numbers = [int(part) for part in parts]
        if len(numbers) == 1:
            numbers *= 2
        if len(numbers) != 2 or min(numbers) < 64 or max(numbers) > 8192:
            raise ValueError(self.resolution)
        return numbers[0], numbers[1]
