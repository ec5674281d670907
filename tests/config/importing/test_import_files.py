"""Configuration files of sd-scripts, kohya_ss, OneTrainer and LoRA_Easy_Training_Scripts."""

from __future__ import annotations

import json

import pytest

from lib_lora_train.config.importing.read import read_together
from lib_lora_train.config.importing.report import ANSWERS, CHANGED, NOT_KNOWN, NOT_NEEDED, TAKEN
from lib_lora_train.config.load import read_job
from lib_lora_train.config.optimizer_args import arguments_of
from lib_lora_train.errors import ConfigError

from .reading import Machine, answer_to, read, values_of

GUI = {"LoRA_type": "LyCORIS/LoHa", "LyCORIS_preset": "full", "conv_dim": 4, "conv_alpha": 2, "network_dim": 16,
       "network_alpha": 8, "max_resolution": "512,640", "epoch": 7, "max_train_epochs": "", "max_train_steps": "",
       "lr_warmup": 10, "lr_scheduler": "cosine_with_restarts", "lr_scheduler_num_cycles": "", "optimizer": "Lion",
       "optimizer_args": "", "learning_rate": 1e-4, "unet_lr": 2e-4, "text_encoder_lr": 0, "min_snr_gamma": 0,
       "max_token_length": "150", "caption_extension": ".txt", "clip_skip": "2", "noise_offset_type": "Original",
       "noise_offset": 0.05, "multires_noise_iterations": 6, "xformers": "xformers", "sdxl": False, "seed": "",
       "pretrained_model_name_or_path": "runwayml/stable-diffusion-v1-5", "save_every_n_epochs": 2,
       "additional_parameters": "--prior_loss_weight 0.5 --sparkle", "use_tucker": False,
       "stop_text_encoder_training": 0,
       "flux1_checkbox": False, "wandb_api_key": "abc123", "save_precision": "fp16", "mixed_precision": "fp16"}


def test_the_gui_of_kohya_ss():
    imported = read(json.dumps(GUI))
    values = values_of(imported)
    assert (values["network.network_type"], values["network.conv_dim"]) == ("LyCORIS-LoHa", 4)
    assert values["dataset.resolution"] == "512x640"
    assert (values["training.max_train_epochs"], values["training.max_train_steps"]) == (7, None)
    assert values["scheduler.lr_warmup_steps"] == 0.1
    assert values["scheduler.lr_scheduler_num_cycles"] == 7
    assert values["network.network_train_unet_only"] is True
    assert values["loss.min_snr_gamma"] is None
    assert values["loss.noise_offset"] == 0.05
    assert values["loss.prior_loss_weight"] == 0.5
    assert "Hugging Face" in answer_to(imported, "pretrained_model_name_or_path").reason
    assert answer_to(imported, "multires_noise_iterations").answer == NOT_NEEDED
    assert answer_to(imported, "sparkle").answer == NOT_KNOWN
    assert answer_to(imported, "flux1_checkbox").answer == NOT_NEEDED
    assert answer_to(imported, "wandb_api_key").value == "(hidden)"


@pytest.mark.parametrize("changes, values", [
    ({"LoRA_type": "Standard", "unet_lr": 0, "text_encoder_lr": 0}, {"network.network_type": "LoRA-LierLa"}),
    ({"LoRA_type": "Kohya LoCon"}, {"network.network_type": "LoRA-C3Lier", "network.conv_alpha": 2}),
    ({"LoRA_type": "LyCORIS/LoKr", "factor": 8}, {"network.network_type": "LyCORIS-LoKR", "network.lokr_factor": 8}),
    ({"max_train_steps": 900}, {"training.max_train_steps": 900, "training.max_train_epochs": None}),
    ({"max_train_epochs": "3"}, {"training.max_train_epochs": 3}),
    ({"unet_lr": 0, "text_encoder_lr": 1e-5}, {"network.network_train_text_encoder_only": True}),
    ({"noise_offset_type": "Multires"}, {"loss.multires_noise_iterations": 6}),
    ({"caption_extension": ""}, {"dataset.caption_extension": ".caption"})])
def test_ways_of_the_gui(changes, values):
    found = values_of(read(json.dumps({**GUI, **changes})))
    assert {key: found[key] for key in values} == values


def test_a_gui_configuration_for_flux_is_refused():
    with pytest.raises(ConfigError, match="flux1_checkbox is on"):
        read(json.dumps({**GUI, "flux1_checkbox": True}))


def test_every_option_of_a_file_has_an_answer():
    imported = read(json.dumps(GUI))
    answered = {answer.option.split(" ")[0].lstrip("-") for answer in imported.answers}
    beside = {"LyCORIS_preset", "additional_parameters"}  # within LoRA_type's, and each of its own
    assert set(GUI) - beside <= answered
    assert {answer.answer for answer in imported.answers} <= set(ANSWERS)


SD_SCRIPTS = """
[model]
pretrained_model_name_or_path = "/models/base.safetensors"
[network]
network_module = "networks.lora"
network_dim = 8
network_alpha = 4.0
network_args = ["rank_dropout=0.1"]
[rest]
train_data_dir = "/sets/penny"
resolution = "512"
shuffle_caption = true
optimizer_args = ["weight_decay=0.1", "betas=0.9,0.99"]
optimizer_type = "AdamW8bit"
learning_rate = 1e-4
max_train_epochs = 5
weighted_captions = false
"""


def test_a_config_file_of_sd_scripts():
    imported = read(SD_SCRIPTS, there=["/models/base.safetensors", "/sets/penny"])
    values = values_of(imported)
    assert values["base.checkpoint"] == "/models/base.safetensors"
    assert values["optimizer.optimizer_args"] == ["weight_decay=0.1", "betas=0.9,0.99"]
    assert values["network.rank_dropout"] == 0.1
    assert values["training.max_train_epochs"] == 5
    assert answer_to(imported, "weighted_captions").answer == NOT_NEEDED


DATASETS = """
[general]
shuffle_caption = true
caption_extension = ".txt"
keep_tokens = 1
[[datasets]]
resolution = [512, 768]
batch_size = 4
  [[datasets.subsets]]
  image_dir = "/sets/all/10_red"
  num_repeats = 3
  keep_tokens = 2
  color_aug = true
  [[datasets.subsets]]
  image_dir = "/sets/all/5_blue"
  num_repeats = 4
  flip_aug = true
  color_aug = true
  [[datasets.subsets]]
  image_dir = "/elsewhere/1_green"
  [[datasets.subsets]]
  image_dir = "/sets/reg"
  is_reg = true
[[datasets]]
resolution = 1024
  [[datasets.subsets]]
  image_dir = "/sets/all/2_gray"
  caption_dropout_rate = 0.3
"""


def test_a_dataset_configuration_with_subsets_of_their_own():
    imported = read(DATASETS, there=["/sets/all", "/sets/reg"])
    job, problems = read_job(imported.values)
    assert problems == []
    assert job.dataset.train_data_dir == "/sets/all"
    assert job.dataset.reg_data_dir == "/sets/reg"
    own = job.dataset.by_folder
    assert (own["10_red"].dataset_repeats, own["10_red"].keep_tokens) == (3, 2)
    assert (own["5_blue"].dataset_repeats, own["5_blue"].flip_aug) == (4, True)
    assert (job.dataset.size, job.dataset.train_batch_size) == ((512, 768), 4)
    assert job.dataset.color_aug and job.dataset.shuffle_caption
    reasons = " ".join(answer.reason for answer in imported.answers if answer.answer == CHANGED)
    assert "Move this one there" in reasons
    dropped = {answer.option for answer in imported.answers if answer.answer == CHANGED}
    assert {"datasets[2].resolution", "caption_dropout_rate of 2_gray", "color_aug of 2_gray"} <= dropped


def test_a_dataset_configuration_with_one_folder():
    text = '[[datasets]]\nresolution = 512\n[[datasets.subsets]]\nimage_dir = "/sets/penny"\nnum_repeats = 4\n' \
           'class_tokens = "penny girl"\n'
    imported = read(text, there=["/sets/penny"])
    values = values_of(imported)
    assert (values["dataset.train_data_dir"], values["dataset.dataset_repeats"]) == ("/sets/penny", 4)
    assert values["dataset.shuffle_caption"] is False
    assert answer_to(imported, "class_tokens").answer == CHANGED


FOLDERS = """
[general]
keep_tokens = 1
[[datasets]]
  [[datasets.subsets]]
  image_dir = "/sets/all/10_red"
  num_repeats = 10
  class_tokens = "red"
  [[datasets.subsets]]
  image_dir = "/sets/all/5_blue"
  keep_tokens = 3
  class_tokens = "sky"
  [[datasets.subsets]]
  image_dir = "/sets/reg/2_girl"
  is_reg = true
  num_repeats = 4
"""


def test_only_what_differs_from_the_folder_names_and_the_general_settings_becomes_a_line():
    imported = read(FOLDERS, there=["/sets/all", "/sets/reg/2_girl"])
    values = values_of(imported)
    assert values["dataset.concept_settings"] == ["5_blue: dataset_repeats=1 keep_tokens=3"]  # sd-scripts repeats once
    assert values["dataset.keep_tokens"] == 1
    assert answer_to(imported, "class_tokens of 10_red").answer == NOT_NEEDED
    assert answer_to(imported, "class_tokens").answer == CHANGED
    assert "2 for 2_girl" in answer_to(imported, "num_repeats (is_reg)").reason


def test_repeats_of_a_single_numbered_folder_override_its_name():
    text = '[[datasets]]\n[[datasets.subsets]]\nimage_dir = "/sets/10_penny"\nnum_repeats = {}\n'
    values = values_of(read(text.format(3), there=["/sets/10_penny"]))
    assert values["dataset.concept_settings"] == ["10_penny: dataset_repeats=3"]
    assert "dataset.dataset_repeats" not in values
    same = read(text.format(10), there=["/sets/10_penny"])
    assert "dataset.concept_settings" not in values_of(same)
    assert "names of the folders" in answer_to(same, "num_repeats").reason


def test_a_dataset_configuration_overrides_the_command_line():
    text = "train_network.py --dataset_config=set.toml --network_dim=8 --keep_tokens=4 --resolution=768"
    dataset = '[[datasets]]\nresolution = 640\nenable_bucket = true\n[[datasets.subsets]]\n' \
              'image_dir = "/sets/penny"\nkeep_tokens = 2\n'
    values = values_of(read(text, there=["/sets/penny"], texts={"set.toml": dataset}))
    assert (values["dataset.resolution"], values["dataset.keep_tokens"]) == ("640", 2)
    assert values["dataset.min_bucket_reso"] == 256


def test_missing_prompts_are_not_read_from_the_dataset_configuration():
    files = {"text 1": "train_network.py --sample_prompts=p.txt --dataset_config=set.toml --network_dim=8",
             "text 2": '[[datasets]]\n[[datasets.subsets]]\nimage_dir = "/sets/penny"\n'}
    imported = read_together(files, Machine(["/sets/penny"]))
    assert values_of(imported)["dataset.train_data_dir"] == "/sets/penny"
    assert answer_to(imported, "sample_prompts").answer == CHANGED


EASY = """
[[subsets]]
num_repeats = 10
keep_tokens = 1
caption_extension = ".txt"
shuffle_caption = true
image_dir = "/sets/10_penny"
[noise_args]
[sample_args]
[train_mode]
train_mode = "lora"
[general_args.args]
pretrained_model_name_or_path = "/models/base.safetensors"
mixed_precision = "bf16"
seed = 23
clip_skip = 2
xformers = true
max_token_length = 225
max_train_epochs = 2
[general_args.dataset_args]
resolution = 768
batch_size = 2
[network_args.args]
network_dim = 8
network_alpha = 1.0
[network_args.args.network_args]
algo = "loha"
conv_dim = 4
[optimizer_args.args]
optimizer_type = "AdamW8bit"
lr_scheduler = "cosine"
learning_rate = 0.0001
warmup_ratio = 0.05
[optimizer_args.args.optimizer_args]
weight_decay = "0.1"
betas = "0.9,0.99"
[saving_args.args]
output_name = "test"
save_precision = "fp16"
save_every_n_epochs = 1
[bucket_args.dataset_args]
enable_bucket = true
min_bucket_reso = 256
max_bucket_reso = 1024
"""


def test_lora_easy_training_scripts():
    imported = read(EASY, there=["/sets/10_penny", "/models/base.safetensors"])
    values = values_of(imported)
    assert imported.source == "a TOML of LoRA_Easy_Training_Scripts"
    assert values["dataset.train_data_dir"] == "/sets/10_penny"
    assert (values["dataset.resolution"], values["dataset.train_batch_size"]) == ("768", 2)
    assert (values["network.network_type"], values["network.conv_alpha"]) == ("LyCORIS-LoHa", 1.0)
    assert values["optimizer.optimizer_args"] == ["weight_decay=0.1", "betas=0.9,0.99"]
    assert values["scheduler.lr_warmup_steps"] == 0.05
    assert values["dataset.keep_tokens"] == 1
    assert values["loss.min_snr_gamma"] is None
    assert [answer for answer in imported.answers if answer.answer == NOT_KNOWN] == []


ONE_TRAINER = {"training_method": "LORA", "model_type": "STABLE_DIFFUSION_15", "base_model_name": "/models/base.ckpt",
               "layer_filter_preset": "attn-mlp", "learning_rate": 3e-4, "batch_size": 4, "epochs": 20,
               "resolution": "512", "lora_rank": 16, "lora_alpha": 1.0, "train_dtype": "BFLOAT_16",
               "output_dtype": "FLOAT_16", "output_model_destination": "models/penny.safetensors",
               "loss_weight_fn": "MIN_SNR_GAMMA", "loss_weight_strength": 7.0, "text_encoder_layer_skip": 1,
               "optimizer": {"optimizer": "PRODIGY", "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, "d_coef": 1.5,
                             "decouple": True, "use_bias_correction": True, "safeguard_warmup": False},
               "text_encoder": {"train": True, "learning_rate": 5e-5, "weight_dtype": "FLOAT_16"},
               "unet": {"train": True, "weight_dtype": "FLOAT_8"}, "ema": "OFF", "offset_noise_weight": 0.05,
               "max_noising_strength": 0.8, "learning_rate_scheduler": "COSINE", "learning_rate_warmup_steps": 100,
               "concepts": [{"path": "/sets/penny", "balancing": 3.0, "enabled": True, "type": "STANDARD",
                             "image": {"enable_random_flip": True},
                             "text": {"enable_tag_shuffling": True, "keep_tags_count": 2}}],
               "samples": [{"enabled": True, "prompt": "penny", "width": 512, "height": 768, "seed": 5,
                            "diffusion_steps": 25, "cfg_scale": 6.0, "negative_prompt": "blurry"}],
               "backup_after": 10, "sparkle": 1, "secrets": {"huggingface_token": "x"}}


def test_prodigy_plus_of_one_trainer_is_not_replaced():
    optimizer = {"optimizer": "PRODIGY_PLUS_SCHEDULE_FREE", "beta1": 0.95, "beta2": 0.99, "d_coef": 2.0, "d0": 1e-5,
                 "weight_decay": 0.1, "split_groups": True, "use_speed": False, "prodigy_steps": 300}
    imported = read(json.dumps({**ONE_TRAINER, "optimizer": optimizer}), there=["/models/base.ckpt", "/sets/penny"])
    job = read_job(imported.values)[0]
    assert job.optimizer.optimizer_type == "ProdigyPlusScheduleFree" and job.optimizer.d_coef == 2.0
    wanted = {"betas": (0.95, 0.99), "d0": 1e-5, "weight_decay": 0.1, "split_groups": True, "use_speed": False,
              "prodigy_steps": 300}
    assert arguments_of(job.optimizer).items() >= wanted.items()


def test_one_trainer():
    imported = read(json.dumps(ONE_TRAINER), there=["/models/base.ckpt", "/sets/penny"])
    values = values_of(imported)
    assert (values["network.network_type"], values["network.network_dim"]) == ("LoRA-LierLa", 16)
    assert values["training.base_weights"] == "fp8"
    assert values["optimizer.text_encoder_lr"] == 5e-5
    assert values["loss.min_snr_gamma"] == 7.0
    assert values["base.clip_skip"] == 2
    assert (values["optimizer.d_coef"], values["loss.max_timestep"]) == (1.5, 800)
    assert values["dataset.train_data_dir"] == "/sets/penny"
    assert (values["dataset.dataset_repeats"], values["dataset.keep_tokens"]) == (3, 2)
    assert values["dataset.flip_aug"] and values["dataset.shuffle_caption"]
    assert values["save.output_name"] == "penny"
    assert values["sample.sample_prompts"] == ["penny --w 512 --h 768 --d 5 --s 25 --l 6.0 --n blurry"]
    assert answer_to(imported, "sparkle").answer == NOT_KNOWN
    assert answer_to(imported, "backup_after").answer == NOT_NEEDED
    assert answer_to(imported, "training_method").answer == TAKEN
    assert read_job(imported.values)[1] == []


def test_a_short_preset_of_one_trainer_has_its_own_defaults():
    values = values_of(read(json.dumps({"training_method": "LORA", "model_type": "STABLE_DIFFUSION_XL_10_BASE",
                                        "text_encoder": {"train": False}, "text_encoder_2": {"train": False}})))
    assert (values["training.max_train_epochs"], values["network.network_dim"]) == (100, 16)
    assert (values["optimizer.learning_rate"], values["optimizer.optimizer_type"]) == (3e-6, "AdamW")
    assert values["network.network_train_unet_only"] is True
    assert values["loss.min_snr_gamma"] is None


def test_one_trainer_for_another_model_is_refused():
    with pytest.raises(ConfigError, match="FLUX_DEV_1"):
        read(json.dumps({**ONE_TRAINER, "model_type": "FLUX_DEV_1"}))


def test_a_job_of_this_program():
    imported = read("network:\n  network_dim: 64\n  sparkle: 1\nloss:\n  min_snr_gamma: null\n")
    assert values_of(imported) == {"network.network_dim": 64, "loss.min_snr_gamma": None}
    assert answer_to(imported, "network.sparkle").answer == NOT_KNOWN


def test_an_old_configuration_of_the_gui_has_the_gui_s_defaults():
    imported = read(json.dumps({"LoRA_type": "Standard", "lora_network_weights": "", "network_dim": 16}))
    values = values_of(imported)
    assert (values["dataset.caption_extension"], values["dataset.enable_bucket"]) == (".txt", True)
    assert (values["network.network_dim"], values["network.network_alpha"]) == (16, 1.0)
    assert (values["training.max_train_epochs"], values["optimizer.optimizer_type"]) == (1, "AdamW8bit")
    assert not answer_to(imported, "caption_extension").given
