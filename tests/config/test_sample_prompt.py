"""Options at the end of a sample prompt are read as sd-scripts writes them."""

from __future__ import annotations

import re

import pytest

from lib_lora_train.config.load import job_from
from lib_lora_train.config.sample_prompt import SamplePrompt, read_prompt
from lib_lora_train.errors import ConfigError

COMPLETE = {"base": {"checkpoint": "model.safetensors"}, "dataset": {"train_data_dir": "pictures"},
            "save": {"output_name": "penny", "output_dir": "Lora"}}


def sd_scripts(line):
    """``line_to_prompt_dict`` of sd-scripts (library/train_util.py), for the options that are read here."""
    parts = line.split(" --")
    found = {"prompt": parts[0]}
    for part in parts[1:]:
        for pattern, name, kind in ((r"w (\d+)", "width", int), (r"h (\d+)", "height", int), (r"d (\d+)", "seed", int),
                                    (r"s (\d+)", "steps", int), (r"l ([\d\.]+)", "scale", float),
                                    (r"n (.+)", "negative", str)):
            if match := re.match(pattern, part, re.IGNORECASE):
                found[name] = kind(match[1])
                break
    return found


@pytest.mark.parametrize("line", [
    "penny --n blurry, bad hands --w 640 --h 448 --d 7 --s 12 --l 5.5", "penny, red boots", "penny --W 512 --S 9",
    "a well-known cat -- sitting --l 3", "penny --n lowres --d 0", "penny --w 64"])
def test_options_are_those_of_sd_scripts(line):
    read, theirs = read_prompt(line), sd_scripts(line)
    assert (read.width, read.height, read.seed, read.steps, read.cfg_scale, read.negative) == tuple(
        theirs.get(name) for name in ("width", "height", "seed", "steps", "scale", "negative"))
    if " -- " not in line:
        assert read.text == theirs["prompt"]


def test_options_alone_draw_an_empty_prompt():
    assert read_prompt("--w 512") == SamplePrompt("", width=512)


@pytest.mark.parametrize("line, words", [("penny --w big", "--w is 'big'"), ("penny --s 0", "--s is '0'"),
                                         ("penny --l x", "--l is 'x'"), ("penny --q 3", "--q is not an option")])
def test_what_cannot_be_read_is_an_error_with_the_prompts_number(line, words):
    with pytest.raises(ConfigError, match=f"prompt 2: {words}"):
        job_from({**COMPLETE, "sample": {"sample_prompts": ["x", line]}})
