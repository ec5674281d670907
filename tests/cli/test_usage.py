"""Help and mistakes are answered at once by any Python; options stand in any order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib_lora_train.cli.mask import mask_command
from lib_lora_train.cli.usage import PARSERS, options_of
from lib_lora_train.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def bare_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run with a Python that has the standard library only, and an environment that is not there yet."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environ = {**kept, "LORA_TRAIN_ENV": str(folder / "environment"), "PIP_INDEX_URL": "http://127.0.0.1:9",
               "PIP_NO_INPUT": "1"}
    return subprocess.run([sys.executable, "-S", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True,
                          timeout=240, check=False)


@pytest.mark.parametrize("arguments, status, words", [
    *[([command, flag], 0, f"usage: {command}") for command in PARSERS for flag in ("--help", "-h")],
    (["train", "job.yaml", "--help"], 0, "--check"),
    (["train"], 2, "JOB.yaml"),
    (["train", "job.yaml", "--chekc"], 2, "--chekc"),
    (["train", "one.yaml", "two.yaml"], 2, "one job file is needed, and 2 are named"),
    (["train", "a.b=c"], 2, "none is named"),
    (["settings", "bake"], 2, "invalid choice"),
    (["trian", "job.yaml"], 1, "There is no command 'trian'"),
])
def test_help_and_mistakes_install_nothing(tmp_path, arguments, status, words):
    answer = bare_python(tmp_path, "-m", "lib_lora_train", *arguments)
    assert (answer.returncode, words in answer.stdout + answer.stderr) == (status, True), answer.stdout + answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [
    "job.yaml --check a.b=c d.e=f", "job.yaml a.b=c --check d.e=f", "--check job.yaml a.b=c d.e=f",
    "a.b=c job.yaml d.e=f --check", "a.b=c --check d.e=f job.yaml",
])
def test_options_of_train_stand_in_any_order(words):
    options = options_of("train", words.split())
    assert (options.job, options.settings, options.check) == (Path("job.yaml"), ["a.b=c", "d.e=f"], True)


@pytest.mark.parametrize("words", ["tags.yaml --runs here a.b=c", "a.b=c --runs here tags.yaml",
                                   "--runs here tags.yaml a.b=c"])
def test_options_of_mask_too(words):
    options = options_of("mask", words.split())
    assert (options.job, options.settings, options.runs) == (Path("tags.yaml"), ["a.b=c"], Path("here"))


def test_a_mask_job_that_replaces_masks_says_so_on_the_command_line(tmp_path):
    job = tmp_path / "masks.yaml"
    job.write_text(f"dataset: {{train_data_dir: {tmp_path}}}\nwrite: {{mode: replace-all}}\n")
    with pytest.raises(ConfigError, match="set it for this run only: write.mode=replace-all"):
        mask_command([str(job)])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words", ["tags.yaml --runs here a.b=c", "a.b=c --runs here tags.yaml",
                                   "--runs here tags.yaml a.b=c"])
def test_options_of_tag_too(words):
    options = options_of("tag", words.split())
    assert (options.job, options.settings, options.runs) == (Path("tags.yaml"), ["a.b=c"], Path("here"))


@pytest.mark.parametrize("words", ["a.b=c --runs here d.e=f", "--runs here a.b=c d.e=f"])
def test_options_of_demo_too(words):
    assert options_of("demo", words.split()).settings == ["a.b=c", "d.e=f"]


def test_a_job_file_with_an_equals_sign_in_its_path_is_found(tmp_path):
    job = tmp_path / "rank=8.yaml"
    job.touch()
    options = options_of("train", [str(job), "a.b=c"])
    assert (options.job, options.settings) == (job, ["a.b=c"])


def test_a_command_that_is_none_is_named():
    with pytest.raises(ConfigError, match="'trian'"):
        options_of("trian", [])


def test_the_install_command_is_one():
    from lib_lora_train.cli import run_command

    assert run_command(["install"]) == 0


def test_the_cards_line_for_the_mini_checkpoint_needs_no_package(tmp_path):
    line = next(line for line in (ROOT / "demo" / "CARD.md").read_text().splitlines() if "make_mini.install" in line)
    command = line.split("`")[1].split()
    assert command[0] == "python" and command[-1] == "WEBUI"
    webui = tmp_path / "webui"
    place = webui / "venv" / "lib" / "python3.10" / "site-packages" / "open_clip"
    place.mkdir(parents=True)
    from lib_lora_train.models.tokenizer import find_vocabulary
    (place / find_vocabulary().name).symlink_to(find_vocabulary())
    answer = bare_python(tmp_path, *command[1:-1], str(webui))
    assert answer.returncode == 0, answer.stderr
    models = webui / "models" / "Stable-diffusion"
    assert (models / "mini_sd15.safetensors").stat().st_size == (ROOT / "demo" / "mini_sd15.safetensors").stat().st_size
    assert str(models / "mini_sd15_clip") in (models / "mini_sd15.yaml").read_text()
    assert {path.name for path in (models / "mini_sd15_clip").iterdir()} == {
        "vocab.json", "merges.txt", "tokenizer_config.json", "config.json"}


def test_the_tokenizer_that_it_writes_is_the_one_that_is_trained_with(tmp_path):
    from transformers import CLIPTextConfig, CLIPTokenizer

    from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
    from tests.make_mini.networks import text_config
    from tests.make_mini.vocabulary import write_text_folder

    write_text_folder(find_vocabulary(), tmp_path)
    text = "penny, 1girl, ünïcode ✨ (red:1.2)"
    ours = Tokenizer(find_vocabulary()).count_tokens(text)
    assert len(CLIPTokenizer.from_pretrained(tmp_path)(text).input_ids) - 2 == ours
    assert CLIPTextConfig.from_pretrained(tmp_path).hidden_size == text_config().hidden_size


@pytest.mark.parametrize("webui, words", [("nowhere", "There is no folder"), ("", "CLIP's vocabulary")])
def test_what_is_missing_for_the_mini_checkpoint_is_named(tmp_path, webui, words):
    answer = bare_python(tmp_path, "-m", "tests.make_mini.install", str(tmp_path / webui))
    assert answer.returncode == 1 and words in answer.stderr and "Traceback" not in answer.stderr
