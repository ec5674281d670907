"""The mini tagger in demo/tagger: it has WD14's interface, knows its pictures, and carries the whole flow."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from lib_lora_train.captions.journal.format import Write
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.config.groups.dataset import DatasetSettings
from lib_lora_train.config.groups.tagging import TaggerSettings
from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.config.taggers import find_tagger
from lib_lora_train.pictures.images import open_picture
from lib_lora_train.pictures.scan import scan_dataset
from lib_lora_train.runs.events import read_events
from lib_lora_train.tagging.session import Tagger

from .conftest import DEMO, MINI_TAGGER, tag, tag_job

LARGEST_BYTES = 4_000_000


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(find_tagger(Path("/nowhere"), str(MINI_TAGGER)), TaggerSettings(provider="cpu"), pytest.fail)


@pytest.fixture
def hearts(tmp_path: Path) -> Path:
    """The demo's pictures without their captions."""
    folder = tmp_path / "hearts"
    shutil.copytree(DEMO / "pictures", folder, ignore=shutil.ignore_patterns("*.txt", ".lora_train"))
    return folder


def captions(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.txt"))}


def test_it_has_the_interface_of_wd14(tagger: Tagger):
    session = onnxruntime.InferenceSession(str(MINI_TAGGER), providers=["CPUExecutionProvider"])
    [given], [answer] = session.get_inputs(), session.get_outputs()
    assert (given.type, given.shape[1:]) == ("tensor(float)", [96, 96, 3])
    assert isinstance(given.shape[0], str)  # any batch
    with MINI_TAGGER.with_name("selected_tags.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert answer.shape[1] == len(rows)
    assert list(rows[0]) == ["tag_id", "name", "category", "count"]
    assert {row["category"] for row in rows} == {"0", "4", "9"}
    assert [row["name"] for row in rows[:4]] == ["general", "sensitive", "questionable", "explicit"]
    assert 150 <= len(rows) <= 300
    assert sum(path.stat().st_size for path in MINI_TAGGER.parent.iterdir()) <= LARGEST_BYTES


def test_a_batch_gives_what_single_pictures_give(tagger: Tagger):
    pictures = [tagger.prepare(open_picture(path)) for path in sorted((DEMO / "pictures").glob("*.webp"))[:8]]
    together = tagger.confidences(pictures)
    alone = np.concatenate([tagger.confidences([picture]) for picture in pictures])
    assert np.allclose(together, alone, atol=1e-5)
    assert 0 <= together.min() < together.max() <= 1


def test_it_knows_hearts_from_nothing(tagger: Tagger):
    heart = tagger.tag_list.tags.index("heart")
    pictures = {path.stem: tagger.prepare(open_picture(path)) for path in (DEMO / "pictures").glob("*_heart.webp")}
    sure = [tagger.confidences([picture])[0, heart] for picture in pictures.values()]
    assert np.median(sure) > 0.6
    grey = tagger.prepare(Image.new("RGB", (64, 64), (128, 128, 128)))
    assert tagger.confidences([grey])[0, heart] < 0.2


def test_the_colours_order_matters_to_it(tagger: Tagger):
    """As with WD14: whoever gives it RGB gets other tags."""
    red = open_picture(DEMO / "pictures" / "heart_suit.webp")
    right = tagger.prepare(red)
    found, swapped = tagger.confidences([right, right[:, :, ::-1]])
    assert np.abs(found - swapped).max() > 0.2


def test_the_whole_flow_tag_edit_undo_train(tmp_path: Path, hearts: Path):
    reported = tag(tag_job(hearts, MINI_TAGGER, tags__always_first_tags=["emoheart"]), tmp_path / "tags.jsonl")
    assert (reported.last["event"], reported.last["written"]) == ("finished", 21)
    assert reported.warnings == ["The tagger found no tag in 1 image: white_heart.webp. Lower the threshold, or "
                             "write the caption by hand."]  # white, over white
    tagged = captions(hearts)
    assert tagged.pop("white_heart") == "emoheart"
    assert all(caption.startswith("emoheart, ") for caption in tagged.values())
    assert sum(", heart" in caption for caption in tagged.values()) > 15

    journal = Journal(hearts.resolve())
    edited = [Write(f"{name}.txt", text.encode(), text.replace(", heart", "").encode())
              for name, text in tagged.items()]
    journal.do("Removed heart", [change for change in edited if change.old != change.new], {})
    assert not any(", heart" in caption for caption in captions(hearts).values())
    journal.undo()
    assert captions(hearts) == {**tagged, "white_heart": "emoheart"}

    dataset = scan_dataset(DatasetSettings(train_data_dir=str(hearts), activation_tag="emoheart"))
    assert {picture.caption_source for picture in dataset.pictures} == {"file"}
    assert trained(tmp_path, hearts).is_file()


def trained(tmp_path: Path, folder: Path) -> Path:
    """The LoRA of two steps on the mini checkpoint."""
    import torch

    from lib_lora_train.cli.train import train_command

    torch.set_num_threads(1)  # on a busy machine two wait for each other
    job = job_from({"base": {"checkpoint": str(DEMO / "mini_sd15.safetensors"), "max_token_length": 75},
                    "dataset": {"train_data_dir": str(folder), "resolution": "64", "min_bucket_reso": 64,
                                "max_bucket_reso": 64, "train_batch_size": 2},
                    "network": {"network_dim": 2, "network_alpha": 1},
                    "training": {"max_train_steps": 2}, "save": {"output_name": "hearts", "output_dir": str(tmp_path)}})
    (tmp_path / "job.yaml").write_text(job_to_yaml(job))
    assert train_command([str(tmp_path / "job.yaml"), "--runs", str(tmp_path / "runs")]) == 0
    [run] = (tmp_path / "runs").iterdir()
    assert read_events(run / "events.jsonl")[0][-1]["event"] == "finished"
    return tmp_path / "hearts.safetensors"
