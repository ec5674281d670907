"""Settings of a tagging run: the images, the tagger, which of its tags are kept, and how captions are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..setting import TAGGER, same_as, setting
from .dataset import DatasetSettings

IF_EMPTY, APPEND, PREPEND, OVERWRITE, CONFIDENCES_ONLY = (
    "if-empty", "append", "prepend", "overwrite", "confidences-only")
PROVIDERS = ("auto", "cuda", "rocm", "directml", "cpu")
NO_PROSE, FLORENCE, INTERROGATOR = "none", "florence-2-base", "interrogator"
CAPTIONERS = (NO_PROSE, FLORENCE, INTERROGATOR)
BEFORE_TAGS, AFTER_TAGS, INSTEAD_OF_TAGS = "before", "after", "instead"
SHORT, DETAILED, PARAGRAPH = "short", "detailed", "paragraph"
GENERAL, SPECIES, CHARACTER, COPYRIGHT, ARTIST, META, RATING, QUALITY, MODEL, YEAR = CATEGORIES = (
    "general", "species", "character", "copyright", "artist", "meta", "rating", "quality", "model", "year")
"""The categories of tags, in the words of Danbooru and e621; not every tagger has each."""


@dataclass(frozen=True)
class TagDatasetSettings:
    """The pictures that are tagged, and where their captions are."""

    train_data_dir: str = same_as(DatasetSettings, "train_data_dir")
    caption_extension: str = same_as(DatasetSettings, "caption_extension")
    caption_separator: str = same_as(DatasetSettings, "caption_separator")
    images: List[str] = setting(
        [], "Only these images are tagged, named by their paths in the folder, such as 10_penny/01.png. Empty: all.",
        label="Images", view="hidden")


@dataclass(frozen=True)
class TaggerSettings:
    """Which tagger looks at the pictures, and on what it runs."""

    model: str = setting(
        "wd-swinv2-tagger-v3",
        "The tagger: one from the list, or the path of an ONNX file with its tag list next to it.",
        label="Tagger", view="main", path=TAGGER,
        advice="The v3 taggers know more and newer tags; eva02-large is the best and the slowest.")
    models_dir: str = setting(
        "", "The folder with the taggers, each in a subfolder of its own name. Empty: models/TrainLora/taggers where "
        "the command is started.",
        label="Tagger folder", view="hidden")
    download: bool = setting(
        False,
        "Downloads the tagger from huggingface.co if it is not in the folder. Nothing is ever downloaded otherwise.",
        label="Download", view="hidden")
    provider: str = setting(
        "auto", "What the tagger runs on; auto uses the fastest available.",
        label="Runs on", choices=PROVIDERS,
        advice="If your choice cannot be used, the run continues on the CPU and says so.")
    batch_size: int = setting(
        8, "How many images are tagged at once, where the tagger's file allows it; most v2 taggers take one.",
        label="Batch size", minimum=1, maximum=128,
        advice="More is faster on a GPU and needs more of its memory.")
    decoding_threads: int = setting(
        0, "How many images are opened at the same time, ahead of the tagger; 0 follows the number of cores.",
        label="Decoding threads", minimum=0, maximum=32)


@dataclass(frozen=True)
class TagRuleSettings:
    """Which tags are kept, and how they are spelled."""

    general_threshold: Optional[float] = setting(
        None, "A tag is kept if the tagger's confidence is above this. Empty: the tagger's own threshold, 0.35 if none "
        "is known.",
        label="Tag threshold", minimum=0.0, maximum=1.0, view="main",
        advice="Higher means fewer and more reliable tags. Wrong tags do more harm than missing ones.")
    character_threshold: Optional[float] = setting(
        None, "The same for the names of characters, series and artists. Empty: the tagger's own, 0.85 if none is "
        "known.",
        label="Character threshold", minimum=0.0, maximum=1.0, view="main")
    copyright_threshold: Optional[float] = setting(
        None, "The same for series only. Empty: the character threshold, if there is one, or the tagger's own.",
        label="Series threshold", minimum=0.0, maximum=1.0)
    artist_threshold: Optional[float] = setting(
        None, "The same for artists only. Empty: the character threshold, if there is one, or the tagger's own.",
        label="Artist threshold", minimum=0.0, maximum=1.0)
    meta_threshold: Optional[float] = setting(
        None, "The same for meta tags, years and models. Empty: the tagger's own, 0.5 if none is known.",
        label="Meta threshold", minimum=0.0, maximum=1.0)
    categories: List[str] = setting(
        [GENERAL, SPECIES, CHARACTER, COPYRIGHT],
        "The kinds of tags that are written, as far as the tagger knows them. Of ratings and qualities, the likeliest "
        "one is written, at the end.",
        label="Write these kinds of tags", choices=CATEGORIES, view="main",
        advice="For a LoRA, general tags and the names of what should stay switchable. Artists are often guessed "
               "wrong, and ratings, quality, years and meta tags describe the file more than the image.")
    general_mcut: bool = setting(
        False, "Finds the threshold for each image by itself: in the middle of the widest gap between two neighboring "
        "confidences (MCut).",
        label="MCut for tags")
    character_mcut: bool = setting(
        False, "The same for names, but never below 0.15.",
        label="MCut for characters")
    replace_underscore: bool = setting(
        True, "Writes red_boots as red boots. Emoticons such as ^_^ stay unchanged.",
        label="Replace underscores")
    escape_brackets: bool = setting(
        False, "Write brackets as \\( and \\), as a prompt of the webui needs them.",
        label="Escape brackets",
        advice="Leave it off for captions: training reads brackets literally.")
    exclude_tags: List[str] = setting(
        [], "Tags that are never written; * stands for any letters, as in *background*.",
        label="Exclude tags", view="main")
    drop_implied: bool = setting(
        False, "Leaves out a tag that a longer one implies: hair and long hair beside very long hair, simple "
        "background beside white background.",
        label="Drop implied tags",
        advice="Shorter captions; what is left out can no longer be prompted by its general name alone.")
    always_first_tags: List[str] = setting(
        [], "Tags that start every caption, such as the trigger word.",
        label="Always first", view="main",
        advice="The trigger word should be the very first tag, in every file.")
    max_tags: Optional[int] = setting(
        None, "The most tags a caption gets from the tagger, by confidence. Empty: no limit.",
        label="Max tags", minimum=1, maximum=1000)


@dataclass(frozen=True)
class ProseSettings:
    """Whether images are described in sentences, by what, and where the sentence stands in the caption."""

    captioner: str = setting(
        NO_PROSE, "Describes each image in a sentence, too. florence-2-base runs beside the tagger; interrogator is "
        "the webui's own (BLIP), one image at a time, when the webui has nothing else to do.",
        label="Describe in sentences", choices=CAPTIONERS, view="main",
        advice="Anime models are trained on tags; the original SD 1.5 and SDXL, and photo models, know sentences too.")
    place: str = setting(
        BEFORE_TAGS, "Where the sentence stands: before or after the tags, or instead of them, without a tagger.",
        label="Sentence", choices=(BEFORE_TAGS, AFTER_TAGS, INSTEAD_OF_TAGS), view="main",
        advice="The tags that start every caption stay in front.")
    detail: str = setting(
        DETAILED, "How much Florence-2 writes.", label="Length", choices=(SHORT, DETAILED, PARAGRAPH), view="main",
        advice="A paragraph is often longer than the 75 to 225 tokens that are trained.")
    download: bool = setting(
        False, "Downloads what the captioner needs if it is not there. Nothing is ever downloaded otherwise.",
        label="Download the captioner", view="hidden")


@dataclass(frozen=True)
class CaptionWriteSettings:
    """What becomes of captions that are there."""

    mode: str = setting(
        IF_EMPTY,
        "if-empty: only images without a caption. append, prepend: new tags after or before the existing ones. "
        "overwrite: replaces them. confidences-only: writes no captions.",
        label="Write captions", choices=(IF_EMPTY, APPEND, PREPEND, OVERWRITE, CONFIDENCES_ONLY), view="main",
        advice="After every run this returns to if-empty, so that no run destroys captions you have edited by hand.")
