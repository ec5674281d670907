"""Files of others, damaged or made to harm: read in bounds, or refused with a clause that says why."""

from __future__ import annotations

import json
import random
import struct
import time
import tracemalloc
from pathlib import Path

import pytest
import yaml

from lib_lora_train.config.load import load_job
from lib_lora_train.config.tagger_description import described
from lib_lora_train.config.text_yaml import check_yaml, read_typed, read_yaml
from lib_lora_train.errors import CheckpointError, ConfigError, TaggerError
from lib_lora_train.files.json_file import DamagedFileError, parse
from lib_lora_train.files.safetensors_header import MOST_TENSORS, read_safetensors_header
from lib_lora_train.models.prediction import declared_prediction
from lib_lora_train.networks.lora_facts import read_facts
from lib_lora_train.tagging.tag_list import read_tag_list
from lib_lora_train.ui.captions.completions import _merged
from lib_lora_train.ui.lora_files import is_for_sdxl, lora_info, why_not_trained
from tests.figures import count, figure

DOWN = "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight"
UP = DOWN.replace("down.weight", "up.weight")
ALPHA = DOWN.replace("lora_down.weight", "alpha")
GOOD = {DOWN: {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        UP: {"dtype": "F32", "shape": [2, 2], "data_offsets": [16, 32]},
        ALPHA: {"dtype": "F32", "shape": [], "data_offsets": [32, 36]}}
DATA = bytes(32) + struct.pack("<f", 1.0)
SECONDS_AT_MOST = 5
BYTES_AT_MOST = 400_000_000


def put(path: Path, header: object, data: bytes = DATA) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def with_entry(name: str, **values: object) -> dict[str, object]:
    return {**GOOD, name: {**GOOD[name], **values}}


HOSTILE_HEADERS = {
    "overlapping": with_entry(UP, data_offsets=[8, 24]), "overlong": with_entry(UP, data_offsets=[16, 1 << 40]),
    "negative": with_entry(UP, data_offsets=[-16, 0]), "backwards": with_entry(UP, data_offsets=[32, 16]),
    "three offsets": with_entry(UP, data_offsets=[16, 32, 48]), "offsets are text": with_entry(UP, data_offsets="ab"),
    "offsets are fractions": with_entry(UP, data_offsets=[16.5, 32.5]),
    "no offsets": {UP: {"dtype": "F32", "shape": []}},
    "offsets are true": with_entry(UP, data_offsets=[False, True]), "negative shape": with_entry(UP, shape=[-2, -2]),
    "huge shape": with_entry(UP, shape=[1 << 40, 1 << 40]), "shape is text": with_entry(UP, shape="2x2"),
    "shape does not fit": with_entry(UP, shape=[3, 3]), "many axes": with_entry(UP, shape=[1] * 5000),
    "dtype is a list": with_entry(UP, dtype=[]), "a list": [GOOD], "a number": 3, "null": None, "text": "a",
    "an entry that is null": {**GOOD, UP: None}, "an entry that is a list": {**GOOD, UP: [1]},
    "metadata are a list": {**GOOD, "__metadata__": [1]}, "no JSON": b"{\xff", "deep": b"[" * 1_000_000,
    "deep and closed": b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", "NaN": b'{"a": NaN}',
    "a long number": b'{"a": ' + b"9" * 100_000 + b"}",
    "too many tensors": b"{" + b",".join(
        b'"lora_unet_%d.alpha":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % number
        for number in range(count(MOST_TENSORS + 1, 200_000))) + b"}"}


@pytest.mark.parametrize("name", HOSTILE_HEADERS)
def test_a_hostile_header_is_refused_with_a_clause_in_bounded_time_and_memory(tmp_path: Path, name: str):
    path = put(tmp_path / "a.safetensors", HOSTILE_HEADERS[name])
    began = time.process_time()
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged"):
        read_facts(path)
    assert time.process_time() - began < SECONDS_AT_MOST
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError):
            read_safetensors_header(path)
        assert tracemalloc.get_traced_memory()[1] < BYTES_AT_MOST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [0, 2, 1 << 30, (1 << 63), (1 << 64) - 1])
def test_a_length_that_is_wrong_is_refused_before_anything_is_read(tmp_path: Path, length: int):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    if length == 2:
        assert read_safetensors_header(path).tensors == {}
    else:
        with pytest.raises(DamagedFileError):
            read_safetensors_header(path)
    path.write_bytes(b"\1\2")
    with pytest.raises(DamagedFileError, match="ends before its header"):
        read_safetensors_header(path)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("dtype", ["F16", "F32", "F64"])
def test_an_alpha_that_is_no_number_is_refused_with_its_name(tmp_path: Path, value: str, dtype: str):
    data = struct.pack({"F16": "<e", "F32": "<f", "F64": "<d"}[dtype], float(value))
    path = put(tmp_path / "a.safetensors", with_entry(ALPHA, dtype=dtype, data_offsets=[32, 32 + len(data)]),
               bytes(32) + data)
    with pytest.raises(CheckpointError, match=rf"alpha is {value}"):
        read_facts(path)


def test_an_alpha_of_many_numbers_is_refused(tmp_path: Path):
    path = put(tmp_path / "a.safetensors", with_entry(ALPHA, shape=[4], data_offsets=[32, 48]), bytes(48))
    with pytest.raises(CheckpointError, match="one number belongs"):
        read_facts(path)


@pytest.mark.parametrize("text", ["²", "٣", "9" * 5000, "-1", "1e3", "", "NaN", "[" * 100_000, "\ud83d",
                                  None, 3, [], {}])
@pytest.mark.parametrize("key", ["ss_epoch", "ss_steps", "ss_network_args", "ss_tag_frequency", "train_lora_job",
                                 "ss_base_model_version", "modelspec.trigger_phrase"])
def test_metadata_of_any_kind_are_shown_or_left_out(tmp_path: Path, key: str, text: object):
    path = put(tmp_path / "a.safetensors", {**GOOD, "__metadata__": {key: text}})
    info = lora_info(path, tmp_path)
    assert (info["epochs"] is None and info["steps"] is None) or text == 3
    for card in ("[" * 100_000, "[]", "3", '{"activation text": [1]}', "\0"):
        path.with_suffix(".json").write_text(card)
        lora_info(path, tmp_path)


def test_generated_headers_never_raise_anything_else(tmp_path: Path):
    generator = random.Random(12)
    values = [None, -1, 0, 1 << 70, 1.5, True, "", "F32", [], [0], [0, 16], {}, {"a": 1}, "²", [[]]]
    refused = 0
    with figure("broken safetensors") as counted:
        for number in range(700):
            header = json.loads(json.dumps(GOOD))
            for _ in range(generator.randint(1, 3)):
                name = generator.choice([*GOOD, "__metadata__"])
                if generator.random() < 0.3 or name == "__metadata__":
                    header[name] = generator.choice(values)
                elif isinstance(header.get(name), dict):
                    header[name][generator.choice(["dtype", "shape", "data_offsets"])] = generator.choice(values)
            content = bytearray(json.dumps(header).encode())
            if number % 3 == 0:
                content[generator.randrange(len(content))] = generator.randrange(256)
            path = put(tmp_path / "a.safetensors", bytes(content))
            for read in (read_facts, why_not_trained, is_for_sdxl):
                try:
                    read(path)
                except CheckpointError as problem:
                    refused += 1
                    assert str(path) in str(problem)
            counted.tried += 1
    assert refused > 300


BOMBS = {
    "billion laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)),
    "itself": "a: &a [*a]", "itself in a mapping": "a: &a {b: {c: *a}}", "deep": "a: " + "[" * 10_000,
    "deep and closed": "a: " + "[" * 400 + "]" * 400, "deep mappings": "{a: " * 2000,
    "long": "a: " + "x" * 2_000_000, "many": "a: [" + "x," * 100_000 + "x]",
    "aliases of a long list": "a: &a [" + "x," * 5000 + "x]\nb: [" + "*a," * 1000 + "*a]"}


@pytest.mark.parametrize("name", BOMBS)
def test_every_reader_of_yaml_refuses_a_bomb_in_bounded_time_and_memory(tmp_path: Path, name: str):
    job, model = tmp_path / "job.yaml", tmp_path / "model.safetensors"
    job.write_text(BOMBS[name])
    model.with_suffix(".yaml").write_text(BOMBS[name])
    began = time.process_time()
    for read in (check_yaml, read_yaml):
        with pytest.raises(yaml.YAMLError):
            read(BOMBS[name])
    with pytest.raises(ConfigError, match=r"job\.yaml"):
        load_job(job)
    with pytest.raises(CheckpointError, match=r"model\.yaml"):
        declared_prediction(model, (), {})
    assert isinstance(read_typed(f"'{BOMBS[name]}'"), str)
    assert time.process_time() - began < SECONDS_AT_MOST


def test_aliases_in_a_sensible_number_are_read():
    assert read_yaml("a: &a [x, y]\nb: [*a, *a]")["b"] == [["x", "y"], ["x", "y"]]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 500 + "1" + "}" * 500, "NaN", "[Infinity]", "9" * 10_000,
                                  "\ud83d", "", "{", "[1,]"])
def test_json_of_any_kind_is_refused_with_one_kind_of_error(text: str):
    with pytest.raises(DamagedFileError):
        parse(text)


@pytest.mark.parametrize("row", ["a," + "9" * 5000, "a,²", "a,-1", "x" * 200_000 + ",0", "a," + "0" * 200_000, ",0",
                                 "a,nan", '"' + "a\n" * 100_000])
def test_a_tag_list_with_huge_fields_or_numbers_is_refused_in_a_short_sentence(tmp_path: Path, row: str):
    tags = tmp_path / "selected_tags.csv"
    tags.write_text(f"name,category\nred,0\n{row}\n")
    with pytest.raises(TaggerError, match=r"selected_tags\.csv") as raised:
        read_tag_list(tags, described()["wd"])
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("count", ["1e400", "nan", "inf", "9" * 5000, "-3", "²", ""])
def test_a_count_that_is_no_number_does_not_lose_the_list(tmp_path: Path, count: str):
    (tmp_path / "tags.csv").write_text(f"name,category,count\nred hat,0,{count}\nblue hat,0,7\n")
    assert sorted(_merged([tmp_path / "tags.csv"])) == ["blue hat", "red hat"]
