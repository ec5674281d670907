"""Generated nonsense for every reader of files: each reads it, or refuses it with an error of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from lib_lora_train.blocks.presets import read_text as read_presets
from lib_lora_train.captions.confidences import read_confidences
from lib_lora_train.captions.doubtful import read_kept
from lib_lora_train.captions.journal.format import read_batch, read_state
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.captions.journal.recover import sentences
from lib_lora_train.config.load import load_job, read_file
from lib_lora_train.config.tag_job import TagJob
from lib_lora_train.config.tagger_description import described, read_description
from lib_lora_train.environment import folders as environment_folders
from lib_lora_train.environment.folders import read_stamp
from lib_lora_train.environment.interpreter import _is_complete
from lib_lora_train.errors import DatasetError, TrainLoraError
from lib_lora_train.files.confine import open_file
from lib_lora_train.files.json_file import DamagedFileError
from lib_lora_train.files.safetensors_header import read_safetensors_header
from lib_lora_train.models.prediction import declared_prediction
from lib_lora_train.networks.lora_facts import read_facts
from lib_lora_train.pictures.avif import read_avif_header, read_largest_size
from lib_lora_train.pictures.caption_files import read_caption
from lib_lora_train.pictures.facts import PictureFacts
from lib_lora_train.pictures.images import decoded, read_header
from lib_lora_train.runs.events import examine_events
from lib_lora_train.runs.folder import RunFolder
from lib_lora_train.runs.hold import HoldRequests
from lib_lora_train.runs.job import settings_of
from lib_lora_train.runs.lend_ticket import read_ticket
from lib_lora_train.runs.process import live_pid
from lib_lora_train.runs.queue import waiting_runs
from lib_lora_train.tagging.confidences import keep_confidences
from lib_lora_train.tagging.provenance import read_provenance
from lib_lora_train.tagging.results import ResultFile
from lib_lora_train.tagging.tag_list import TagList, read_tag_list
from lib_lora_train.tagging.thresholds import with_thresholds_file
from lib_lora_train.ui.captions.completions import TaggerTags
from lib_lora_train.ui.lora_files import lora_info
from lib_lora_train.ui.runs.prompts import prompts_of
from lib_lora_train.ui.runs.strip_store import Strip, read_strip, write_strip
from lib_lora_train.ui.testing.block_weights import presets_answer
from lib_lora_train.ui.testing.plot_files import read_plot
from tests.figures import count, figure
from tests.pictures.making import AVIF, AVIF_ALPHA

TRIES = count(60, 1000)
WORDS = ["on", "prompts", "picture", "checkpoint", "error", "styles", "hires", "width", "steps", "seed", "version",
         "headers", "marks", "folder", "reason", "content", "requirements", "time", "event", "step", "pid", "created",
         "token", "device", "asked", "before", "stamp", "tags", "confidences", "caption", "dataset", "network", "way",
         "lender", "revision", "files", "__metadata__", "dtype", "shape", "data_offsets", "activation text", "state"]
LEAVES = [None, True, 0, -1, 1 << 70, 1.5, 1e308, "", "²", "a" * 3000, "\0", "\ud83d", "1", "../x", "NaN"]


def value(generator: random.Random, depth: int = 0) -> object:
    kind = generator.random()
    if depth > 4 or kind < 0.4:
        return generator.choice(LEAVES)
    if kind < 0.6:
        return [value(generator, depth + 1) for _ in range(generator.randrange(4))]
    return {generator.choice(WORDS): value(generator, depth + 1) for _ in range(generator.randrange(9))}


def nonsense(generator: random.Random, good: bytes) -> bytes:
    """JSON of familiar words, a good file with bytes changed or cut off, or bytes of any kind."""
    kind = generator.randrange(5)
    if kind == 0:
        return json.dumps(value(generator)).encode()
    if kind == 1:
        return b"\n".join(json.dumps(value(generator)).encode() for _ in range(generator.randrange(1, 5)))
    if kind == 2:
        return generator.randbytes(generator.randrange(300))
    if kind == 3:
        return good[:generator.randrange(len(good) + 1)]
    changed = bytearray(good)
    for _ in range(generator.randrange(1, 6)):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    return bytes(changed)


def a_picture(kind: str) -> bytes:
    content, picture = io.BytesIO(), Image.new("RGB", (24, 16), "red")
    if kind == "PNG":
        said = PngImagePlugin.PngInfo()
        said.add_text("parameters", "penny, hat", zip=True)
        picture.save(content, kind, pnginfo=said)
    else:
        exif = Image.Exif()
        exif[0x0112], exif[0x010e] = 6, "penny"
        picture.save(content, kind, exif=exif.tobytes())
    return content.getvalue()


def a_lora() -> bytes:
    name = "lora_unet_down_blocks_0_attentions_0_proj_in"
    head = json.dumps({"__metadata__": {"ss_epoch": "3"},
                       f"{name}.lora_down.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
                       f"{name}.lora_up.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [16, 32]}}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(32)


def decode(file: Path) -> None:
    with open_file(file) as opened, decoded(file, opened):
        pass


RUN = "run/"
GOOD_STRIP = json.dumps({"on": True, "prompts": ["a"], "checkpoint": "x", "error": "", "picture": {
    "width": 8, "height": 8, "steps": 1, "cfg_scale": 7.0, "seed": 1, "clip_skip": 1, "sampler": "", "scheduler": "",
    "negative_prompt": "", "styles": [], "hires": None}}).encode()
TAG_LIST = b"tag_id,name,category,count\n1,hat,0,5\n2,penny,4,3\n"
EVENT = b'{"time": 1.0, "event": "step", "step": 1, "total_steps": 2}\n'
RESULT = b'{"picture": "a.png", "stamp": [0, 0], "caption": "a.txt", "before": "x", "tags": ["a"], "confidences": {}}\n'
MARK = b'{"pid": 1, "created": 1.0, "boot": "x", "token": "a", "device": "cpu", "asked": 1}'
HOLD = MARK[:-1] + b', "who": "webui", "why": "a picture", "gives_gpu": true}'
FACTS = b'{"version": 2, "headers": {"a.png": [1, 2, 3, 4, ""]}, "marks": {"a.png": [1, 2, 3, "0a", 0.5, ""]}}'
STAMP = b'{"folder": "x", "platform": "y", "requirements": ["a"], "content": ["b"]}'
JOB = b"dataset:\n  train_data_dir: /x\nnetwork:\n  network_dim: 4\nsample:\n  sample_prompts: [a, b]\n"

BATCH = zlib.compress(b'[["write", "a.txt", "x", null], ["move", "a.png", "b.png"]]')
STATE = json.dumps({"version": 1, "batches": [{"number": 1, "label": "x", "time": 1.0, "files": 1}], "position": 1,
                    "next_number": 2, "unsettled": [{"number": 1, "back": False, "time": 1.0, "boot": "", "leave": []}],
                    }).encode()
MODEL_YAML = b"model:\n  params:\n    parameterization: v\n    denoiser_config: {params: {}}\n"


def journal(file: Path) -> None:
    """The journal itself, and the dataset opened with it: whatever is wrong with it, the set opens."""
    folder = file.parents[2]
    (folder / "a.txt").write_text("penny")
    shutil.rmtree(folder / ".lora_train" / "damaged", ignore_errors=True)
    for read in (lambda: read_state(file.parent), lambda: read_batch(file.parent, 1)):
        with contextlib.suppress(DatasetError):
            read()
    sentences(Journal(folder).recover())
    assert (folder / "a.txt").read_text() in ("penny", "x")


def avif_header(file: Path) -> None:
    with open_file(file) as opened:
        for read in (read_avif_header, read_largest_size):
            opened.seek(0)
            try:
                read(opened)
            except ValueError as problem:
                raise DamagedFileError(str(problem)) from problem


def picture_facts(file: Path) -> None:
    facts = PictureFacts(file.parent, file)
    for held, (state, header) in facts._headers.items():
        assert isinstance(header.width + header.height + state[0] + state[1], int) and header.reason + held is not None
    for held, (state, marks) in facts._marks.items():
        assert marks.difference_hash.bit_count() >= 0 and marks.small is not None and marks.reason + held is not None
        assert marks.sharpness >= 0 and state[0] + state[1] >= 0


def presets(file: Path) -> None:
    assert json.dumps(presets_answer(read_presets(file)), allow_nan=False)


READERS: dict[str, tuple[str, bytes, Callable[[Path], object]]] = {
    "caption": ("a.txt", b"penny, hat", read_caption),
    "confidences": (".lora_train/confidences.json", b'{"a.png": {"hat": 0.5}}',
                    lambda file: read_confidences(file.parents[1])),
    "confidences, kept": (".lora_train/confidences.json", b'{"a.png": {"hat": 0.5}}',
                          lambda file: keep_confidences(file.parents[1], {"a.png": {"hat": 0.5}})),
    "doubts": (".lora_train/kept.json", b'["a"]', lambda file: read_kept(file.parents[1])),
    "facts": ("facts.json", FACTS, picture_facts),
    "journal": (".lora_train/journal/state.json", STATE, journal),
    "batch of the journal": (".lora_train/journal/000001.batch", BATCH, journal),
    "completions": ("taggers/x/selected_tags.csv", TAG_LIST, lambda file: (
        (file.parent / "model.onnx").touch(), TaggerTags(file.parents[1]).tags())),
    "plain completions": ("taggers/x/tags.txt", b"hat\npenny\n", lambda file: (
        (file.parent / "model.onnx").touch(), TaggerTags(file.parents[1]).tags())),
    "presets": ("block_presets.txt", b"OUTS:1,0,0,0,0,0,0,0,0,0,0,0,1,1,X,X+0.2,1\n", presets),
    "AVIF": ("a.avif", AVIF, avif_header),
    "AVIF picture": ("a.avif", AVIF_ALPHA, lambda file: (read_header(file), decode(file))),
    "YAML of a model": ("a.yaml", MODEL_YAML,
                        lambda file: declared_prediction(file.with_suffix(".safetensors"), (), {})),
    "events": (RUN + "events.jsonl", EVENT, examine_events),
    "strip": (RUN + "strip.json", GOOD_STRIP,
              lambda file: (strip := read_strip(RunFolder(file.parent))) and str(strip.key)),
    "prompts": (RUN + "test_prompts.txt", b"penny", lambda file: prompts_of(RunFolder(file.parent))),
    "command": (RUN + "command", b"tag", lambda file: RunFolder(file.parent).command),
    "process": (RUN + "process.json", MARK, lambda file: live_pid(RunFolder(file.parent))),
    "queue": (RUN + "queued.json", MARK, lambda file: list(waiting_runs(file.parents[1]))),
    "hold": (RUN + "control/hold-a.json", HOLD, lambda file: HoldRequests(file.parent).asked()),
    "ticket": (RUN + "lend.json", MARK, lambda file: read_ticket(file.parent)),
    "job of a run": (RUN + "job.yaml", JOB, lambda file: settings_of(RunFolder(file.parent))),
    "job": ("job.yaml", JOB, load_job),
    "tag job": ("tag.yaml", JOB, lambda file: (read_file(file), TagJob)),
    "plot": ("plots/1/plot.json", MARK, read_plot),
    "results": (RUN + "tags.jsonl", RESULT, lambda file: ResultFile(file, file.parent).results),
    "provenance": ("tagger/download.json", b'{"repository": "a/b", "revision": "' + b"1" * 40 + b'", "sha256": {}}',
                   lambda file: read_provenance(file.parent, "a/b")),
    "tag list": ("selected_tags.csv", TAG_LIST, lambda file: read_tag_list(file, described()["wd"])),
    "json tag list": ("tag_mapping.json", b'{"0": {"tag": "a", "category": "General"}, "1": {"tag": "b"}}',
                      lambda file: read_tag_list(file, described()["cl_tagger"])),
    "tagger": ("tagger.yaml", b"like: wd\nimage: {channels: rgb, mean: [0.1, 0.2, 0.3]}\n", read_description),
    "thresholds": ("threshold.json", b'{"general": {"balanced": {"threshold": 0.4}}}',
                   lambda file: with_thresholds_file(TagList(("a",), ("general",)), file, described()["camie_v1"])),
    "stamp": ("complete.json", STAMP, lambda file: (read_stamp(file.parent), _is_complete(file.parent),
                                                    environment_folders._missing_content(file.parent))),
    "failure": ("base.failure.json", b'{"folder": "base", "reason": "x"}',
                lambda file: environment_folders._last_failure("base", Path("base"))),
    "header": ("a.safetensors", a_lora(), read_safetensors_header),
    "LoRA": ("a.safetensors", a_lora(), read_facts),
    "LoRA in the form": ("a.safetensors", a_lora(), lambda file: lora_info(file, file.parent)),
    "card": ("a.json", b'{"activation text": "penny"}', lambda file: (
        file.with_suffix(".safetensors").write_bytes(a_lora()),
        lora_info(file.with_suffix(".safetensors"), file.parent))),
    "PNG": ("a.png", a_picture("PNG"), lambda file: (read_header(file), decode(file))),
    "JPEG": ("a.jpg", a_picture("JPEG"), lambda file: (read_header(file), decode(file))),
    "WebP": ("a.webp", a_picture("WEBP"), lambda file: (read_header(file), decode(file))),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_or_refuses_whatever_a_file_holds(tmp_path: Path, name: str, monkeypatch):
    place, good, read = READERS[name]
    monkeypatch.setattr(environment_folders, "environment_root", lambda: tmp_path)
    generator = random.Random(name)
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    with figure("nonsense to readers") as counted:
        for number in range(TRIES):
            content = nonsense(generator, good)
            file.write_bytes(content)
            counted.tried += 1
            try:
                read(file)
            except (TrainLoraError, DamagedFileError) as refusal:
                assert str(refusal) and "[Errno" not in str(refusal), (number, content)
            except Exception as problem:
                raise AssertionError(f"try {number}: {content[:300]!r}") from problem
    if name not in ("job", "AVIF picture"):  # a whole job needs a checkpoint, and some Pillows know no AVIF
        file.write_bytes(good)
        read(file)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda file: file.symlink_to(file.name),
                                  lambda file: file.symlink_to("/dev/zero")], ids=["pipe", "folder", "loop", "device"])
@pytest.mark.parametrize("name", READERS)
def test_a_reader_neither_waits_for_a_pipe_nor_reads_a_device(tmp_path: Path, name: str, make, monkeypatch):
    place, _, read = READERS[name]
    monkeypatch.setattr(environment_folders, "environment_root", lambda: tmp_path)
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    make(file)
    began = time.monotonic()
    try:
        read(file)
    except (TrainLoraError, DamagedFileError) as refusal:
        assert str(refusal) and "[Errno" not in str(refusal)
    except OSError:
        assert name in ("header", "PNG", "JPEG", "WebP", "AVIF", "AVIF picture")
    assert time.monotonic() - began < 30


def test_a_strip_that_is_whole_is_read(tmp_path: Path):
    (tmp_path / "strip.json").write_bytes(GOOD_STRIP)
    strip = read_strip(RunFolder(tmp_path))
    assert isinstance(strip, Strip)
    write_strip(RunFolder(tmp_path), strip)
    assert read_strip(RunFolder(tmp_path)) == strip


@pytest.mark.parametrize(("old", "new"), [('"width": 8', '"width": "8"'), ('"styles": []', '"styles": [3]'),
                                          ('["a"]', '"a"'), ('"seed": 1', '"seed": 1.5'),
                                          ('"hires": null', '"hires": {"scale": []}'), ('"steps": 1, ', "")])
def test_a_strip_with_a_value_of_another_type_is_none(tmp_path: Path, old: str, new: str):
    assert old in GOOD_STRIP.decode()
    (tmp_path / "strip.json").write_text(GOOD_STRIP.decode().replace(old, new, 1))
    assert read_strip(RunFolder(tmp_path)) is None
