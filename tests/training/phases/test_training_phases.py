"""Every setting that a training phase can change acts in it, and the rates are those that are drawn."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from lib_lora_train.advice.schedule import drawn_rates_of
from lib_lora_train.batches.timeline import timeline_of
from lib_lora_train.config.change import changed
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.groups.scheduler import LR_SCHEDULERS
from lib_lora_train.config.job import Job
from lib_lora_train.config.optimizer_args import sets_own_rate
from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from lib_lora_train.config.phases.rules import CHANGEABLE
from lib_lora_train.networks.lora import LoraModule
from lib_lora_train.networks.module import ModuleOptions
from lib_lora_train.networks.network import Network
from lib_lora_train.pictures.scan import scan_dataset
from lib_lora_train.training import run as training_run
from lib_lora_train.training.divergence import StepResult
from lib_lora_train.training.optimizers.create import RatedParameters, make_optimizer
from lib_lora_train.training.optimizers.flat import FlatOptimizer
from lib_lora_train.training.optimizers.schedules import make_schedule
from lib_lora_train.training.phases.report import what_carries_over
from lib_lora_train.training.phases.switch import PhaseSwitch, begin_phase
from tests.training.conftest import draw_pictures

KEYS = ("lora_unet_mid_block_attentions_0_proj_in", "lora_unet_up_blocks_3_attentions_0_proj_in",
        "lora_te_text_model_encoder_layers_0_mlp_fc1")
WITHOUT_OUT = "1," + ",".join(["1"] * 8 + ["0"] * 8)
"""Every block but OUT04 and later, in 17 numbers."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = draw_pictures(tmp_path_factory.mktemp("set") / "pictures", 3)
    return scan_dataset(changed(Job(), {"dataset.train_data_dir": str(folder)}).dataset)


def small_network() -> Network:
    generator = torch.Generator().manual_seed(1)
    made = {key: LoraModule(torch.nn.Linear(6, 6), 2, 1.0, generator, ModuleOptions()) for key in KEYS}
    return Network({key: made[key] for key in KEYS[:2]}, {KEYS[2]: made[KEYS[2]]})


def phased(optimizer: str, scheduler: str, phases: list) -> Job:
    adaptive = OPTIMIZERS[optimizer].adaptive
    return changed(Job(), {
        "optimizer.optimizer_type": optimizer, "optimizer.learning_rate": 1.0 if adaptive else 1e-3,
        "optimizer.text_encoder_lr": 0.5 if adaptive else 5e-4, "scheduler.lr_scheduler": scheduler,
        "scheduler.lr_warmup_steps": 2.0, "scheduler.lr_scheduler_num_cycles": 2, "scheduler.lr_decay_steps": 3.0,
        "dataset.resolution": "64", "training.max_train_epochs": None, "training.max_train_steps": 6,
        "training.phases": phases})


def learner_of(job: Job, switch: PhaseSwitch, network: Network, steps: int) -> SimpleNamespace:
    optimizer = make_optimizer(switch.groups, job.optimizer, lambda text: None, job.scheduler)
    return SimpleNamespace(model=SimpleNamespace(network=network), optimizer=optimizer, descent=None,
                           schedule=make_schedule(optimizer, job.scheduler, steps))


def rates_while_training(job: Job, dataset) -> tuple[list[tuple], object]:
    """The rates of UNet and text encoder in every step of ``job``, with the timeline."""
    timeline = timeline_of(job, pytest.fail, dataset)
    network = small_network()
    switch = PhaseSwitch(network, job)
    learner = learner_of(job, switch, network, timeline.first.curve_steps)
    seen = []
    for phase in timeline.phases:
        if phase.number > 1:
            begin_phase(learner)
        switch.apply(learner, phase, phase.first_step)
        for _ in range(phase.steps):
            now = {group["part"]: group["lr"] for group in learner.optimizer.param_groups
                   if any(parameter.requires_grad for parameter in group["params"])}
            seen.append((now.get("unet"), now.get("text_encoder")))
            learner.optimizer.zero_grad()
            sum((parameter - 1).square().sum() for parameter in network.parameters()
                if parameter.requires_grad).backward()
            learner.optimizer.step()
            learner.schedule.step()
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
    return seen, timeline


def test_the_rates_of_all_phases_are_those_drawn_with_every_optimizer_and_schedule(dataset):
    """The second phase continues the curve, the third has one of its own, and the fourth a rate of its own."""
    for number, optimizer in enumerate(OPTIMIZERS):
        for other, scheduler in enumerate(LR_SCHEDULERS):
            next_one = LR_SCHEDULERS[(number + other) % len(LR_SCHEDULERS)]
            phases = [{"steps": 4, "network": {"network_train_unet_only": True}},
                      {"steps": 5, "network": {"network_train_unet_only": False},
                       "scheduler": {"lr_scheduler": next_one, "lr_scheduler_min_lr_ratio": 0.2}},
                      {"steps": 3, "optimizer": {"learning_rate": 0.3 if OPTIMIZERS[optimizer].adaptive else 3e-4}}]
            job = phased(optimizer, scheduler, phases)
            if sets_own_rate(job.optimizer):
                continue  # refused, see tests/config/test_phases.py
            seen, timeline = rates_while_training(job, dataset)
            drawn = drawn_rates_of(timeline.phases).points
            assert [point[0] for point in drawn] == list(range(18))
            for step, (point, rates) in enumerate(zip(drawn, seen, strict=True)):
                assert point[1:] == pytest.approx(rates, abs=1e-12), (optimizer, scheduler, next_one, step)


def test_a_part_or_block_at_rest_keeps_its_weights_and_what_is_known_about_its_gradients(dataset):
    job = phased("AdamW", "constant", [
        {"steps": 2, "network": {"network_train_unet_only": True, "block_lr_weight": WITHOUT_OUT}},
        {"steps": 2, "network": {"network_train_unet_only": False, "block_lr_weight": ""}}])
    timeline = timeline_of(job, pytest.fail, dataset)
    network = small_network()
    switch = PhaseSwitch(network, job)
    learner = learner_of(job, switch, network, 10)
    switch.apply(learner, timeline.phases[1], 6)
    trains = {key: network.lora(key).is_trained for key in KEYS}
    assert trains == {KEYS[0]: True, KEYS[1]: False, KEYS[2]: False}
    switch.apply(learner, timeline.phases[2], 8)
    assert all(network.lora(key).is_trained for key in KEYS)


def test_concatenated_tensors_keep_the_state_of_parameters_at_rest():
    """On a GPU, where parameters are stepped together; here by request."""
    from lion_pytorch import Lion

    def trained(joined: bool) -> tuple[list[torch.Tensor], dict]:
        torch.manual_seed(0)
        parameters = [torch.nn.Parameter(torch.ones(4)), torch.nn.Parameter(torch.ones(3))]
        own = Lion([{"params": parameters[:1]}, {"params": parameters[1:]}], lr=0.01)
        optimizer = FlatOptimizer(own, on_cpu=True) if joined else own
        for trains_second in (True, False, True):
            if joined:
                optimizer.rejoin()
            parameters[1].requires_grad_(trains_second)
            for step in range(2):
                optimizer.zero_grad()
                sum((one * (step + 1) - 3).square().sum() for one in parameters if one.requires_grad).backward()
                optimizer.step()
        return [one.detach() for one in parameters], optimizer.state_dict()["state"]

    (alone, states), (together, joined_states) = trained(False), trained(True)
    assert all(map(torch.equal, alone, together))
    assert states.keys() == joined_states.keys() == {0, 1}
    assert all(torch.equal(states[number]["exp_avg"], joined_states[number]["exp_avg"]) for number in states)


@pytest.mark.parametrize("optimizer", [name for name, facts in OPTIMIZERS.items() if facts.averages])
def test_a_schedule_free_average_begins_anew_and_beginning_twice_changes_nothing(dataset, optimizer):
    job = phased(optimizer, "constant", [{"steps": 2}])
    timeline = timeline_of(job, pytest.fail, dataset)
    network = small_network()
    switch = PhaseSwitch(network, job)
    learner = learner_of(job, switch, network, 8)
    switch.apply(learner, timeline.first, 0)
    for _ in range(4):
        learner.optimizer.zero_grad()
        sum((parameter - 1).square().sum() for parameter in network.parameters()).backward()
        learner.optimizer.step()
    learner.optimizer.eval()
    saved = [parameter.detach().clone() for parameter in network.parameters()]
    learner.optimizer.train()
    begin_phase(learner)
    once = [parameter.detach().clone() for parameter in network.parameters()]
    begin_phase(learner)
    assert all(map(torch.equal, once, [parameter.detach() for parameter in network.parameters()]))
    assert all(map(torch.equal, once, saved))  # the phase continues from the weights that were saved
    assert {group["weight_sum"] for group in learner.optimizer.param_groups} == {0.0}
    said = what_carries_over(timeline)
    assert "average begins anew" in said and ("rate it has found" in said) == OPTIMIZERS[optimizer].adaptive


def test_the_average_of_a_part_that_rests_as_the_phase_begins_begins_anew_too():
    parts = [torch.nn.Parameter(torch.randn(4, 4)) for _ in range(2)]
    rated = [RatedParameters("unet", parts[:1], 1.0), RatedParameters("text_encoder", parts[1:], 1.0)]
    optimizer = make_optimizer(rated, OptimizerSettings(optimizer_type="ProdigyPlusScheduleFree"), pytest.fail)
    for trained in (parts, parts[:1]):
        optimizer.zero_grad()
        for one in trained:
            one.grad = torch.ones(4, 4)
        optimizer.step()
        if trained is parts:
            begin_phase(SimpleNamespace(optimizer=optimizer))
    assert [group["weight_sum"] > 0 for group in optimizer.param_groups] == [True, False]


CHANGES = [
    {"optimizer.learning_rate": 5e-4, "optimizer.unet_lr": 4e-4, "optimizer.text_encoder_lr": 3e-4,
     "optimizer.text_encoder_lr2": 2e-4, "optimizer.max_grad_norm": 0.5},
    {"scheduler.lr_scheduler": "polynomial", "scheduler.lr_warmup_steps": 0.2, "scheduler.lr_scheduler_num_cycles": 3,
     "scheduler.lr_scheduler_power": 2.0, "scheduler.lr_scheduler_min_lr_ratio": 0.1,
     "scheduler.lr_scheduler_timescale": 9, "scheduler.lr_decay_steps": 2.0},
    {"dataset.resolution": "96", "dataset.train_batch_size": 3, "dataset.dataset_repeats": 2,
     "dataset.enable_bucket": False, "dataset.min_bucket_reso": 64, "dataset.max_bucket_reso": 128,
     "dataset.bucket_reso_steps": 16, "dataset.bucket_no_upscale": True},
    {"dataset.only_folders": ["1_best"], "dataset.min_image_weight": 0.5, "dataset.concept_settings":
     ["1_best: keep_tokens=2"], "dataset.use_folder_name": True, "dataset.caption_extension": ".caption"},
    {"dataset.shuffle_caption": False, "dataset.keep_tokens": 2, "dataset.keep_tokens_separator": "|||",
     "dataset.caption_prefix": "art of", "dataset.caption_suffix": "end", "dataset.caption_dropout_rate": 0.5,
     "dataset.caption_dropout_every_n_epochs": 3, "dataset.caption_tag_dropout_rate": 0.4,
     "dataset.enable_wildcard": True, "dataset.flip_aug": True, "dataset.masked_loss": True,
     "dataset.alpha_mask": True},
    {"dataset.color_aug": True, "dataset.random_crop": True, "dataset.face_crop_aug_range": "2.0,4.0"},
    {"network.network_train_text_encoder_only": True, "network.network_dropout": 0.1, "network.rank_dropout": 0.2,
     "network.module_dropout": 0.3, "network.scale_weight_norms": 2.0},
    {"network.network_train_text_encoder_only": False, "network.network_train_unet_only": True,
     "network.block_lr_weight": WITHOUT_OUT},
    {"loss.min_snr_gamma": None, "loss.debiased_estimation_loss": True, "loss.scale_v_pred_loss_like_noise_pred": True,
     "loss.loss_type": "huber", "loss.huber_schedule": "constant", "loss.huber_c": 0.2, "loss.huber_scale": 2.0,
     "loss.prior_loss_weight": 0.5, "loss.unmasked_weight": 0.1, "loss.masked_prior_preservation_weight": 0.5,
     "loss.preservation_weight": 0.5, "loss.preservation_every_n_steps": 2, "loss.preservation_class": "fox",
     "loss.noise_offset": 0.1, "loss.adaptive_noise_scale": 0.1, "loss.ip_noise_gamma": 0.1, "loss.min_timestep": 100,
     "loss.max_timestep": 900},
    {"dataset.train_batch_size": 1, "loss.noise_offset": 0.0, "loss.multires_noise_iterations": 2,
     "loss.multires_noise_discount": 0.4,
     "training.gradient_accumulation_steps": 2,
     "save.save_every_n_epochs": 2, "save.save_every_n_steps": 100, "sample.sample_every_n_epochs": 2},
]
"""What each phase of the run changes; together every setting that can be changed."""
NEEDS_A_DETECTOR = "dataset.face_crop_aug_range"


def test_every_setting_that_can_change_acts_in_the_step_of_its_phase(train, values, tmp_path, monkeypatch):
    """Steps without their arithmetic: what they are given is recorded."""
    assert set().union(*CHANGES) == CHANGEABLE
    draw_pictures(tmp_path / "set" / "1_best", 2, seed=3)
    draw_pictures(tmp_path / "set" / "1_rest", 3, seed=4)
    steps = []

    def record(learner, batches, job, step):
        learner.optimizer.step()
        learner.schedule.step()
        options = {module.options for module in learner.model.network.loras()}
        steps.append((job, batches, learner.descent._limit, options,
                      {key: learner.model.network.lora(key).is_trained for key in (
                          learner.model.network.unet_keys[0], learner.model.network.text_encoder_keys[0])}))
        return StepResult(0.1, 0.1, 0.1, ())

    monkeypatch.setattr(training_run, "train_step", record)
    phases = []
    for change in CHANGES:
        phase: dict = {"steps": 1}
        for key, value in change.items():
            group, name = key.split(".")
            if key != NEEDS_A_DETECTOR:
                phase.setdefault(group, {})[name] = value
        phases.append(phase)
    done = train(dataset={"train_data_dir": str(tmp_path / "set"), "activation_tag": "pennyfox"},
                 training={"max_train_epochs": None, "max_train_steps": 1, "phases": phases})
    assert done.completed, done.of("error")
    assert len(steps) == 1 + len(CHANGES)
    current: dict = {}
    for (job, *_), change in zip(steps[1:], CHANGES, strict=True):
        current |= {key: value for key, value in change.items() if key != NEEDS_A_DETECTOR}
        given = {key: getattr(getattr(job, key.split(".")[0]), key.split(".")[1]) for key in current}
        assert given == current
    shapes = [tuple(step[1][0].latents.shape[2:]) for step in steps]
    assert shapes[0] != (12, 12) == shapes[3]  # 96 pixels, without buckets
    assert {picture.path.parent.name for step in steps[4:] for batch in step[1]
            for picture in batch.pictures} == {"1_best"}
    assert [step[2] for step in steps[:2]] == [1.0, 0.5] and [len(step[1]) for step in steps[-2:]] == [1, 2]
    assert {(one.dropout, one.rank_dropout, one.module_dropout) for one in steps[7][3]} == {(0.1, 0.2, 0.3)}
    assert [tuple(step[4].values()) for step in steps[6:9]] == [(True, True), (False, True), (True, False)]
    begun = done.of("training_phase")
    assert [event["number"] for event in begun] == list(range(2, 12))
    assert [event["step"] for event in begun] == [phase["first_step"] for phase in done.of(
        "started")[0]["training_phases"][1:]]


def test_a_job_without_phases_reports_and_saves_nothing_of_them(undisturbed):
    assert not undisturbed.of("training_phase") and "training_phases" not in undisturbed.of("started")[0]
    state = torch.load(undisturbed.run.state_file, weights_only=True)
    assert "phases" not in state
