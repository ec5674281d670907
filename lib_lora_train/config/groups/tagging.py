"""What a tagging run is told: the pictures, the tagger, which of its tags are kept, and how captions are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..setting import same_as, setting
from .dataset import DatasetSettings

IF_EMPTY, APPEND, PREPEND, OVERWRITE, LOOK_ONLY = "if-empty", "append", "prepend", "overwrite", "look-only"
PROVIDERS = ("auto", "cuda", "rocm", "directml", "cpu")


@dataclass(frozen=True)
class TagDatasetSettings:
    """The pictures that are tagged, and where their captions are."""

    train_data_dir: str = same_as(DatasetSettings, "train_data_dir")
    caption_extension: str = same_as(DatasetSettings, "caption_extension")
    caption_separator: str = same_as(DatasetSettings, "caption_separator")


@dataclass(frozen=True)
class TaggerSettings:
    """Which tagger looks at the pictures, and on what it runs."""

    model: str = setting(
        "wd-swinv2-tagger-v3", "The tagger: one of the list, or the path of an ONNX file with its list of tags beside "
        "it.", view="main", label="Tagger",
        advice="The v3 taggers know more and newer tags; eva02-large is the best and slowest.")
    models_dir: str = setting(
        "", "The folder that holds the taggers, each in a folder of its own name. Empty: models/TrainLora/taggers "
        "where the command is started.", view="hidden")
    download: bool = setting(
        False, "Fetch the tagger from huggingface.co if it is not in the folder. Nothing is ever fetched otherwise.",
        view="hidden")
    provider: str = setting(
        "auto", "What the tagger runs on; auto takes the fastest that is there.", choices=PROVIDERS, label="Runs on",
        advice="If the one you choose cannot be used, the run goes on with the CPU and says so.")
    batch_size: int = setting(
        8, "How many pictures the tagger looks at in one go, where its file allows it; most v2 taggers take one.",
        minimum=1, maximum=128, advice="More is faster on a GPU and needs more of its memory.")
    decoding_threads: int = setting(
        0, "How many pictures are opened at the same time, ahead of the tagger; 0 follows the number of cores.",
        minimum=0, maximum=32)


@dataclass(frozen=True)
class TagRuleSettings:
    """Which tags are kept, and how they are spelled."""

    general_threshold: float = setting(
        0.35, "A tag is kept if the tagger is surer of it than this.", minimum=0.0, maximum=1.0, view="main",
        label="Threshold for tags",
        advice="Higher means fewer and surer tags. Bad tags do more harm than missing ones.")
    character_threshold: float = setting(
        0.85, "The same for the names of characters, series and artists.", minimum=0.0, maximum=1.0, view="main",
        label="Threshold for names")
    general_mcut: bool = setting(
        False, "Find the threshold for each picture: in the middle of the widest gap between two neighbouring "
        "confidences (MCut).", label="MCut for tags")
    character_mcut: bool = setting(
        False, "The same for names, but never below 0.15.", label="MCut for names")
    rating_tag: bool = setting(False, "Put the likeliest rating (general, sensitive …) last.",
                               label="Rating at the end")
    replace_underscore: bool = setting(
        True, "Write red_boots as red boots. Faces such as ^_^ stay as they are.", label="Underscores as spaces")
    escape_brackets: bool = setting(
        False, "Write brackets as \\( and \\), as a prompt of the webui needs them.",
        advice="Leave it off for captions: training reads brackets as they are.")
    exclude_tags: List[str] = setting(
        [], "Tags that are never written; * stands for any letters, as in *background*.", view="main",
        label="Leave out")
    always_first_tags: List[str] = setting(
        [], "Tags that begin every caption, such as the activation tag.", view="main", label="Always first",
        advice="The activation tag should be the very first tag, and in every file.")
    max_tags: Optional[int] = setting(
        None, "The most tags a caption gets from the tagger, the surest first. Empty: no limit.", minimum=1,
        maximum=1000, label="Most tags")


@dataclass(frozen=True)
class CaptionWriteSettings:
    """What becomes of captions that are there."""

    mode: str = setting(
        IF_EMPTY, "if-empty: only pictures without a caption. append, prepend: new tags after or before those that are "
        "there. overwrite: in place of them. look-only: write nothing, keep the confidences.",
        choices=(IF_EMPTY, APPEND, PREPEND, OVERWRITE, LOOK_ONLY), view="main", label="Write captions",
        advice="Think of it as the safety of a gun: after every run it is back at if-empty, so that no run destroys "
               "what you have edited by hand.")
