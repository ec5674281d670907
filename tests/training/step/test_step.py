"""What a training step does around the formulas: modes, what is clipped, and losses that are not numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from accelerate import Accelerator
from torch.utils._python_dispatch import TorchDispatchMode

from lib_lora_train.batches.batches import Batch
from lib_lora_train.config.groups.loss import LossSettings
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.config.job import Job
from lib_lora_train.errors import DivergedError
from lib_lora_train.models.load import load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.network import Network
from lib_lora_train.training.divergence import StepFigures, StepResult
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.setup import make_learner
from lib_lora_train.training.step import Learner, train_step
from lib_lora_train.training.validation import validation_loss

SGD = {"optimizer_type": "SGDNesterov", "optimizer_args": ["momentum=0.9"]}
LATENTS = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
BATCH = Batch(LATENTS, ["penny"], ())


@pytest.fixture
def learner_of(checkpoint) -> Callable[[Job], Learner]:
    def make(job: Job) -> Learner:
        base = load_base(checkpoint, None, dtype=torch.float32, device="cpu")
        network = create_network(job.network, base.unet, base.text_encoder, seed=1)
        model = TrainedModel(base, network, Tokenizer(find_vocabulary()), Accelerator(cpu=True),
                             noise_schedule("epsilon"), 1, 75, network.trains_text_encoder)
        return make_learner(model, job, 9, pytest.fail)

    return make


def test_modes_change_once_a_phase_and_not_once_a_step(learner_of, monkeypatch):
    job = Job(network=NetworkSettings(network_dim=2))
    learner, walks, real = learner_of(job), [], Network.train

    def counted(network: Network, mode: bool = True) -> Network:
        walks.append(mode)
        return real(network, mode)

    monkeypatch.setattr(Network, "train", counted)
    for step in (1, 2, 3):
        train_step(learner, [BATCH], job, step)
    assert walks == [True] and learner.model.network.training
    validation_loss(learner.model, [BATCH], 0)
    train_step(learner, [BATCH], job, 4)
    assert walks == [True, False, True]


def test_validation_drops_nothing_in_the_middle_of_training(learner_of):
    job = Job(network=NetworkSettings(network_dim=2, network_dropout=0.9))
    learner = learner_of(job)
    for step in (1, 2):
        train_step(learner, [BATCH], job, step)
    assert validation_loss(learner.model, [BATCH], 0) == validation_loss(learner.model, [BATCH], 0)


@pytest.mark.parametrize("rates", [{"unet_lr": 1e-6, "text_encoder_lr": 0.0},
                                   {"unet_lr": 0.0, "text_encoder_lr": 1e-6}])
def test_a_part_at_rate_0_does_not_count_in_the_norm_that_is_clipped(learner_of, rates):
    job = Job(network=NetworkSettings(network_dim=2), optimizer=OptimizerSettings(**SGD, **rates, max_grad_norm=1.0))
    learner = learner_of(job)
    with torch.no_grad():
        for parameter in learner.model.network.parameters():
            parameter.add_(0.05)
    for step in (1, 2, 3):  # gradients of the part at rate 0 are never freed, and so add up
        train_step(learner, [BATCH], job, step)
    fresh = learner_of(job)  # the same weights, without gradients of earlier steps
    with torch.no_grad():
        for parameter, trained in zip(fresh.model.network.parameters(), learner.model.network.parameters(),
                                      strict=True):
            parameter.copy_(trained)
    again = train_step(fresh, [BATCH], job, 4)
    assert train_step(learner, [BATCH], job, 4).gradient_norm == again.gradient_norm


@pytest.mark.parametrize("fused", [False, True])
def test_a_loss_that_is_no_number_ends_the_run(learner_of, fused):
    job = Job(network=NetworkSettings(network_dim=2), optimizer=OptimizerSettings(**SGD, max_grad_norm=0.0),
              training=TrainingSettings(fused_backward_pass=fused))
    learner = learner_of(job)
    with pytest.raises(DivergedError, match="The loss became nan in step 3"):
        train_step(learner, [Batch(LATENTS * math.nan, ["penny"], ())], job, 3)


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for a device: a value read from a tensor, or a shape that depends on values.

    On the CPU nothing waits, so the operations are counted that would on a GPU.
    """

    OPERATIONS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default,
                  torch.ops.aten.masked_select.default, torch.ops.aten.equal.default)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in self.OPERATIONS:
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


LOSSES = [LossSettings(), LossSettings(min_snr_gamma=5.0, loss_type="huber"), LossSettings(noise_offset=0.1,
          adaptive_noise_scale=0.1), LossSettings(debiased_estimation_loss=True, ip_noise_gamma=0.1)]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("fused", [False, True])
def test_the_host_waits_for_the_device_only_to_read_the_figures(learner_of, fused, loss, monkeypatch):
    job = Job(network=NetworkSettings(network_dim=2, network_dropout=0.1), loss=loss, optimizer=OptimizerSettings(
        **SGD, max_grad_norm=0.0 if fused else 1.0), training=TrainingSettings(fused_backward_pass=fused))
    learner, reads = learner_of(job), []
    real = StepFigures.read

    def counted(figures: StepFigures, norm: torch.Tensor) -> StepResult:
        reads.append(norm)
        return real(figures, norm)

    monkeypatch.setattr(StepFigures, "read", counted)
    with Waits() as waits:
        for step in (1, 2):
            train_step(learner, [BATCH, BATCH], job, step)
    assert waits.seen == [] and len(reads) == 2
    with Waits() as waits:
        assert float(reads[0]) >= 0
    assert waits.seen  # a value that is read is seen
