"""``plan``: a job file for a goal, readable as a job, with each reason as a comment."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.advice.notes import notes_on
from lib_lora_train.cli.check import _surroundings
from lib_lora_train.cli.complete import complete
from lib_lora_train.cli.plan import plan_command
from lib_lora_train.config.load import load_job, read_job
from lib_lora_train.config.text_yaml import read_yaml
from lib_lora_train.errors import ConfigError
from tests.standin.checkpoint_file import SDXL, write_header

MINI = Path(__file__).resolve().parents[2] / "demo" / "mini_sd15.safetensors"


def test_a_plan_is_a_job_file_whose_comments_say_why(tmp_path, capsys):
    (tmp_path / "images" / "2_penny").mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (64, 64)).save(tmp_path / "images" / "2_penny" / f"{number}.png")
    assert plan_command([f"checkpoint={MINI}", f"train_data_dir={tmp_path / 'images'}", "output_name=penny",
                         "category=F", "matters=[likeness,clothes]"]) == 0
    text = capsys.readouterr().out
    file = tmp_path / "job.yaml"
    file.write_text(text, encoding="utf-8")
    job = load_job(file, [f"save.output_dir={tmp_path}"])
    assert job.network.network_dim == 64 and job.training.max_train_epochs >= 1600 / 6  # 3 images: few
    assert "rule rank-poor" in text
    assert "Rank 96 instead: " in text and "Rank 48 instead" not in text and "a file of" in text and "(advice: " in text


def test_a_family_is_enough_and_without_answers_the_questions_are_printed(capsys):
    assert plan_command(["kind=style", "images=200", "family=NoobAI v-pred", "vram_gb=8"]) == 0
    job, problems = read_job(read_yaml(capsys.readouterr().out))
    assert problems == [] and job.base.v_parameterization and job.dataset.resolution == "1024"
    assert plan_command([]) == 0
    assert "made_into" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["style", "character"])
@pytest.mark.parametrize(("name", "marks"), [("NoobAI-XL", {}), ("NoobAI-XL-Vpred", {}),
                                             ("NoobAI-XL-Vpred", {"v_pred": (0,)})])
def test_a_plan_sets_nothing_that_has_no_effect(tmp_path, capsys, kind, name, marks):
    path = write_header(tmp_path / f"{name}.safetensors", {**SDXL, **marks})
    assert plan_command([f"kind={kind}", "images=40", f"checkpoint={path}"]) == 0
    values = read_yaml(capsys.readouterr().out)
    job, problems = read_job(values)
    assert problems == []
    assert [note.text for note in notes_on(job, _surroundings(job)) if "no effect" in note.text] == []
    assert job.base.v_parameterization == job.loss.zero_terminal_snr == ("Vpred" in name)
    values["sample"] = {"sample_prompts": ["penny"]}
    complete(values)
    assert values["sample"]["cfg_scale"] == 5.0


@pytest.mark.parametrize(("answers", "words"), [
    (["kind=horse"], "kind is 'horse'. Choose one of"), (["likeness"], "Write each answer as name=value"),
    (["family=SD3"], "family is 'SD3'. Choose one of"), (["matters=[speed]"], "matters is 'speed'"),
    (["images=-3"], "images is -3")])
def test_a_wrong_answer_is_named_with_the_way_out(answers, words):
    with pytest.raises(ConfigError, match=words.replace("[", "\\[")):
        plan_command(answers)
