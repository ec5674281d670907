"""Scripts and command lines are followed as text: variables, sums, lists, conditions; nothing is run."""

from __future__ import annotations

import pytest

from lib_lora_train.config.importing.report import CHANGED, NOT_KNOWN, NOT_NEEDED, TAKEN, report_text
from lib_lora_train.errors import ConfigError

from .reading import answer_to, read, values_of

POWERSHELL = r'''
# Config:
$model = "D:\models\anything.ckpt"; # the base
$images = "D:\sets\my set"
$batch = 2      # images a step
$rate = 0.0002
$optimizer = "Lion" # one of many
$rate = $rate * $batch / 4 # less of it
.\venv\Scripts\activate
accelerate launch --num_cpu_threads_per_process 8 `
    --network_module="networks.lora" `
    --pretrained_model_name_or_path=$model --train_data_dir=$images `
    --caption_extension=".txt" --shuffle_caption --keep_tokens=1`
    --resolution="$batch`12" --learning_rate="$rate" --train_batch_size=$batch `
    --optimizer_type="$optimizer" --xformers `
    --output_name="${optimizer}_b$($batch)" --max_train_epochs=3 `
'''
BASH = r'''#!/usr/bin/env bash
HOME_OF_MODELS="/models/" # all of them
function train {
    cd "/scripts" || { echo "not there"; exit 1
    local name="penny" # the character
    local epochs="6" dim="16"
    . venv/bin/activate
    accelerate launch train_network.py --pretrained_model_name_or_path="$HOME_OF_MODELS/base.safetensors" \
      --train_data_dir="/sets/$name/" --output_name="${name}_e${epochs}" --max_train_epochs=$((epochs * 2)) \
      --network_dim=$dim --network_alpha=$dim --training_comment="a $name (made 'here')" \
      --network_args conv_dim=4 conv_alpha=2 --learning_rate 1e-4
train "$@"
'''
BATCH = r'''@echo off
rem the base
set MODEL=C:\models\base.safetensors
set /a DIM=8*4
accelerate launch sdxl_train_network.py --pretrained_model_name_or_path="%MODEL%" ^
  --train_data_dir="C:\sets\penny" --network_dim=%DIM% --network_alpha=8 ^
  --max_train_steps=500 --network_train_unet_only
'''


def test_powershell_variables_sums_comments_and_backticks():
    values = values_of(read(POWERSHELL, there=[r"D:\models\anything.ckpt", r"D:\sets\my set"]))
    assert values["base.checkpoint"] == r"D:\models\anything.ckpt"
    assert values["dataset.train_data_dir"] == r"D:\sets\my set"
    assert values["optimizer.learning_rate"] == pytest.approx(0.0001)
    assert values["dataset.keep_tokens"] == 1
    assert values["optimizer.optimizer_type"] == "Lion"
    assert values["save.output_name"] == "Lion_b2"
    assert values["dataset.train_batch_size"] == 2


def test_bash_functions_locals_continuations_and_sums():
    imported = read(BASH, there=["/models//base.safetensors"])
    values = values_of(imported)
    assert values["base.checkpoint"] == "/models//base.safetensors"
    assert values["save.output_name"] == "penny_e6"
    assert values["training.max_train_epochs"] == 12
    assert values["save.training_comment"] == "a penny (made 'here')"
    assert (values["network.network_type"], values["network.conv_dim"]) == ("LoRA-C3Lier", 4)
    assert "/sets/penny/" in answer_to(imported, "train_data_dir").reason
    assert answer_to(imported, "train_data_dir").answer == CHANGED


def test_batch_files_of_windows():
    values = values_of(read(BATCH, there=[r"C:\models\base.safetensors"]))
    assert values["base.checkpoint"] == r"C:\models\base.safetensors"
    assert values["network.network_dim"] == 32
    assert values["training.max_train_steps"] == 500
    assert "base.clip_skip" not in values or values["base.clip_skip"] == 1


def test_a_windows_path_pasted_without_quotes_keeps_its_backslashes():
    text = r"accelerate launch train_network.py --train_data_dir=D:\new\sets --network_dim=8 --resolution=512"
    assert values_of(read(text, there=[r"D:\new\sets"]))["dataset.train_data_dir"] == r"D:\new\sets"


@pytest.mark.parametrize("script", [
    'sdxl=1\nargs=()\nif [[ $sdxl == 1 ]]; then args+=("--gradient_checkpointing"); else args+=("--flip_aug"); fi\n'
    'args+=("--clip_skip $((1 + 1))")\n'
    'accelerate launch train_network.py --network_dim=8 --resolution=512 ${args[@]}\n',
    '$sdxl = 1\n$more = [System.Collections.ArrayList]::new()\nif ($sdxl -eq 1) {\n'
    '  [void]$more.Add("--gradient_checkpointing")\n}\nelse {\n  [void]$more.Add("--flip_aug")\n}\n'
    '[void]$more.Add("--clip_skip=" + 2)\n'
    'accelerate launch train_network.py --network_dim=8 --resolution=512 $more\n',
    'args=(\n  --gradient_checkpointing\n  --clip_skip=2 # like NAI\n)\n'
    'accelerate launch train_network.py --network_dim=8 --resolution=512 "${args[@]}"\n'])
def test_lists_of_options_and_plain_conditions(script):
    values = values_of(read(script))
    assert values["training.gradient_checkpointing"] is True
    assert values["base.clip_skip"] == 2
    assert values.get("dataset.flip_aug") is not True


@pytest.mark.parametrize("condition, holds", [
    ('[[ $kind != *lora ]]', False), ('[[ $kind == sd* ]]', True), ('[ "$count" -gt 3 ]', True),
    ('[[ $kind == "x" ]] || [[ $count -eq 4 ]]', True), ('[ -z "$empty" ]', True), ('[ -n "$empty" ]', False)])
def test_conditions_of_bash(condition, holds):
    script = (f'kind=sdxl_lora\ncount=4\nempty=""\nmore=""\nif {condition}; then more="--flip_aug"; fi\n'
              "accelerate launch train_network.py --network_dim=8 --resolution=512 $more\n")
    assert values_of(read(script)).get("dataset.flip_aug", False) is holds


def test_a_condition_that_only_the_machine_could_answer_is_named():
    script = ('more=()\nif [ -d /data ]; then more+=("--flip_aug"); fi\n'
              "accelerate launch train_network.py --network_dim=8 --resolution=512 ${more[@]}\n")
    imported = read(script)
    assert "dataset.flip_aug" not in values_of(imported)
    assert any("condition" in answer.reason for answer in imported.answers)


@pytest.mark.parametrize("script, name", [
    ('accelerate launch train_network.py --network_dim=8 --resolution=512 --output_dir="$HOME/lora"\n', "$HOME"),
    ('$x = 1\naccelerate launch train_network.py --network_dim=8 --resolution=512 --output_dir="$env:USERPROFILE\\l"\n',
     "$env:USERPROFILE"),
    ("set A=1\naccelerate launch train_network.py --network_dim=8 --resolution=512 --output_dir=%TEMP%\\l ^\n\n",
     "%TEMP%"),
    ('accelerate launch train_network.py --network_dim=8 --resolution=512 --output_dir="$(cat /etc/passwd)"\n',
     "$(cat /etc/passwd)")])
def test_variables_of_the_system_are_left_and_named(monkeypatch, script, name):
    monkeypatch.setenv("HOME", "/secret")
    monkeypatch.setenv("TEMP", "/secret")
    answer = answer_to(read(script), "output_dir")
    assert (answer.answer, name in answer.reason) == (CHANGED, True), answer
    assert "/secret" not in report_text(read(script))


def test_nothing_is_run(tmp_path):
    canary = tmp_path / "canary"
    script = (f'touch {canary}\nx=$(touch {canary})\ny=`touch {canary}`\n'
              f'accelerate launch train_network.py --network_dim=$(touch {canary}) --resolution=512\n')
    read(script)
    assert not canary.exists()


def test_every_option_of_a_command_has_one_answer():
    imported = read("accelerate launch --mixed_precision bf16 train_network.py --network_dim=8 --resolution=512,768 "
                    "--lowram --no_metadata --sparkle=3 --sparkle_on --max_train_epoch 4 --seed=1 --seed=2 "
                    "--text_encoder_lr 1e-5 2e-5")
    assert answer_to(imported, "lowram").answer == NOT_NEEDED
    assert answer_to(imported, "no_metadata").answer == CHANGED
    assert answer_to(imported, "sparkle").answer == NOT_KNOWN
    assert answer_to(imported, "max_train_epoch").settings["training.max_train_epochs"] == 4
    assert [answer.answer for answer in imported.answers if answer.option == "--seed"] == [NOT_NEEDED, TAKEN]
    values = values_of(imported)
    assert (values["training.seed"], values["dataset.resolution"]) == (2, "512x768")
    assert (values["optimizer.text_encoder_lr"], values["optimizer.text_encoder_lr2"]) == (1e-5, 2e-5)


def test_what_sd_scripts_does_where_an_option_is_left_out():
    values = values_of(read("python train_network.py --network_module=networks.lora --train_data_dir=x"))
    assert values["loss.min_snr_gamma"] is None
    assert values["dataset.shuffle_caption"] is False
    assert values["base.max_token_length"] == 75
    assert values["base.clip_skip"] == 1
    assert (values["network.network_dim"], values["network.network_alpha"]) == (4, 1.0)
    assert values["dataset.caption_extension"] == ".caption"
    assert values["dataset.enable_bucket"] is False
    assert (values["training.max_train_steps"], values["training.max_train_epochs"]) == (1600, None)
    assert (values["optimizer.optimizer_type"], values["optimizer.learning_rate"]) == ("AdamW", 2e-6)


@pytest.mark.parametrize("arguments, effective", [
    ("--optimizer_type=Prodigy", {"weight_decay": 0.0, "d_coef": 1.0, "use_bias_correction": False}),
    ("--optimizer_type=Prodigy --lr_warmup_steps=10", {"safeguard_warmup": False}),
    ("--optimizer_type=DAdaptAdam", {"decouple": False, "weight_decay": 0.0}),
    ("--optimizer_type=AdaFactor --optimizer_args relative_step=False", {"scale_parameter": True}),
    ("--optimizer_type=Lion --optimizer_args weight_decay=0.5 betas=0.9,0.98",
     {"weight_decay": 0.5, "betas": (0.9, 0.98)}),
    ("--optimizer_type=prodigyplus.ProdigyPlusScheduleFree", {"d_coef": 1.0, "split_groups": True,
                                                              "betas": (0.9, 0.99)}),
    ("--optimizer_type=ProdigyPlusScheduleFree --optimizer_args d_coef=3 d0=1e-4 prodigy_steps=200 "
     "fused_back_pass=True", {"d_coef": 3.0, "d0": 1e-4, "prodigy_steps": 200, "fused_back_pass": None}),
    ("--optimizer_type=AdamW", {"weight_decay": 0.01})])
def test_optimizers_run_with_what_their_libraries_default_to(arguments, effective):
    from lib_lora_train.config.load import read_job
    from lib_lora_train.config.optimizer_args import arguments_of

    job, problems = read_job(read(f"python train_network.py --network_dim=8 --resolution=512 {arguments}").values)
    assert problems == []
    found = arguments_of(job.optimizer, job.scheduler)
    assert {name: found.get(name) for name in effective} == effective


@pytest.mark.parametrize("text", [
    'optimizer_type = "prodigyplus.ProdigyPlusScheduleFree"\nnetwork_dim = 8\n',
    '{"optimizer_type": "ProdigyPlusScheduleFree", "network_dim": 8}',
    '{"optimizer_type": "prodigyplus.prodigy_plus_schedulefree.ProdigyPlusScheduleFree", "network_dim": 8}'])
def test_prodigy_plus_is_not_replaced(text):
    imported = read(text)
    assert values_of(imported)["optimizer.optimizer_type"] == "ProdigyPlusScheduleFree"
    assert values_of(imported)["optimizer.d_coef"] == 1.0
    assert not any("nearest" in answer.reason for answer in imported.answers if answer.option == "optimizer_type")


def test_a_command_for_another_kind_of_model_is_refused():
    with pytest.raises(ConfigError, match=r"flux_train_network\.py.*another kind of model"):
        read("accelerate launch flux_train_network.py --network_module=networks.lora_flux --network_dim=4")


def test_a_config_file_that_is_named_is_read_and_the_command_line_wins():
    text = "python train_network.py --config_file=job.toml --network_dim=8"
    imported = read(text, texts={"job.toml": 'network_dim = 4\nnetwork_alpha = 2\nresolution = "576"\n'})
    values = values_of(imported)
    assert (values["network.network_dim"], values["network.network_alpha"]) == (8, 2.0)
    assert values["dataset.resolution"] == "576"
    with pytest.raises(ConfigError, match=r"job\.toml, which could not be read"):
        read("python train_network.py --config_file=job.toml")
