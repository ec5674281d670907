"""The guide's numbers by hand: what a goal must be planned as, whatever the rules are called."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lib_lora_train.advice.families import FAMILIES, SD1
from lib_lora_train.advice.goals.costs import cost_of, steps_around
from lib_lora_train.advice.goals.plan import plan_for
from lib_lora_train.advice.goals.rule import Facts, TestBake
from lib_lora_train.config.concepts import AS_FOR_ALL
from lib_lora_train.config.groups.goal import GoalSettings

FORM = {"base": {"checkpoint": "m.safetensors"}, "dataset": {"train_data_dir": "x"},
        "save": {"output_name": "a", "output_dir": "b"}}


def plan(images=50, facts=None, **answers):
    given = {"images_per_epoch": images, "form": FORM, **(facts or {})}
    return plan_for(GoalSettings(images=images, **answers), Facts(**given))


def value(made, name):
    return next(one for key, one in made.values.items() if key.endswith(f".{name}"))


@pytest.mark.parametrize(("answers", "expected"), [
    # Character difficulty: the ranks of each category, LoRA-LierLa; 1000 steps, from scratch 1500
    ({"category": "A"}, {"network_dim": (4, 8), "network_type": "LoRA-LierLa", "seen": (1000, 1000)}),
    ({"category": "B"}, {"network_dim": (4, 16), "seen": (1000, 1000)}),
    ({"category": "C"}, {"network_dim": (8, 32), "seen": (1000, 1000)}),
    ({"category": "D"}, {"network_dim": (32, 64), "seen": (1000, 1000)}),
    ({"category": "E"}, {"network_dim": (64, 64), "seen": (1500, 1500)}),
    ({"category": "F"}, {"network_dim": (64, 128), "seen": (1500, 1500)}),
    ({"category": "G"}, {"network_dim": (128, 128), "network_type": "LoRA-LierLa", "seen": (1500, 1500)}),
    ({"category": "H"}, {"network_dim": (128, 192), "seen": (1500, 1500)}),
    ({"category": "I"}, {"network_dim": (192, 256), "seen": (1500, 1500)}),
    # The Easy settings: adaptive at 1, constant, alpha 1, rank 32 to 64, 512 px, gamma 5, 225 tokens, 1000 steps
    ({}, {"optimizer_type": "Prodigy", "learning_rate": 1.0, "lr_scheduler": "constant", "network_alpha": 1.0,
          "network_dim": (32, 64), "resolution": "512", "min_snr_gamma": 5.0, "max_token_length": 225, "d_coef": 2.0,
          "seen": (1000, 1000)}),
    # Bad inputs: 15 to 30 images, rank 32 to 64, 1600 or more
    ({"category": "F", "images": 20, "quality": "poor"}, {"network_dim": (32, 64), "seen": (1600, 1700)}),
    # Styles: rank 64 or 92 with few images, 128 with 10,000; alpha up to half; 3000; 576 to 768 px; gamma of 5 or more
    ({"kind": "style", "images": 60}, {"network_dim": (64, 92), "network_type": "LyCORIS-LoCon", "resolution": "576",
                                       "min_snr_gamma": (5, 20), "seen": (3000, 3200)}),
    ({"kind": "style", "images": 500}, {"network_dim": (92, 192), "network_alpha": (1, 96), "seen": (3000, 3200)}),
    ({"kind": "style", "images": 12000}, {"network_dim": (128, 128)}),
    # Concepts: as low as 8 if they are simple, up to 128
    ({"kind": "concept"}, {"network_dim": (8, 8)}),
    ({"kind": "outfit", "elaborate": True}, {"network_dim": (9, 128), "network_type": "LyCORIS-LoCon"}),
    # Vehicles: C to G, rounded up; 128 for full realism; 32 or 64 as a drawing; LoKR at 64 with more time
    ({"kind": "vehicle", "category": "D"}, {"network_dim": (64, 64)}),
    ({"kind": "vehicle", "matters": ["likeness"]}, {"network_dim": (128, 128), "network_type": "LoRA-LierLa"}),
    ({"kind": "vehicle", "made_into": "drawing"}, {"network_dim": (32, 64)}),
    ({"kind": "vehicle", "matters": ["small_file"]}, {"network_type": "LyCORIS-LoKR", "network_dim": (64, 64),
                                                      "seen": (3000, 3000)}),
    # Intended results: humanoid with less rate, fewer epochs and weighted blocks; as it is with more epochs
    ({"kind": "creature", "made_into": "humanoid"}, {"network_dim": (32, 64), "d_coef": (0.5, 1.9), "seen": (800, 999),
                                                     "block_lr_weight": "style: OUT"}),
    ({"kind": "creature", "made_into": "humanoid", "images": 20}, {"seen": (800, 999)}),
    ({"kind": "creature"}, {"network_dim": (64, 128), "seen": (1501, 3000), "block_lr_weight": ""}),
    # Prior training: 800 at the least; Scale weight norms: 1
    ({"known": True, "category": "B"}, {"seen": (800, 800), "network_dim": (4, 16)}),
    ({"matters": ["flexibility"]}, {"scale_weight_norms": 1.0}),
    # LoKR for A to C only
    ({"category": "C", "matters": ["small_file"]}, {"network_type": "LyCORIS-LoKR", "d_coef": (2, 10),
                                                    "seen": (2000, 2000), "min_snr_gamma": (1, 5)}),
    ({"category": "D", "matters": ["small_file"]}, {"network_type": "LoRA-LierLa", "network_dim": (32, 32)}),
])
def test_a_goal_gets_the_guides_numbers(answers, expected):
    made = plan(**{"images": 50, **answers})
    for name, wanted in expected.items():
        found = made.images_seen if name == "seen" else value(made, name)
        if isinstance(wanted, tuple):
            assert wanted[0] <= found <= wanted[1], (name, found)
        else:
            assert found == wanted, name


@pytest.mark.parametrize("letter", "ABCD")
def test_a_male_character_gets_the_upper_end_and_the_harder_ones_do_not_change(letter):
    girl, boy = plan(category=letter), plan(category=letter, male=True)
    assert value(boy, "network_dim") == {"A": 8, "B": 16, "C": 32, "D": 64}[letter] > value(girl, "network_dim")
    assert plan(category="F", male=True).values == plan(category="F").values


@pytest.mark.parametrize(("answers", "text_encoder"), [
    ({}, 5e-5), ({"quality": "poor"}, 4.5e-5), ({"kind": "style"}, 4e-5), ({"kind": "concept"}, 4.5e-5)])
def test_with_less_than_the_memory_that_an_adaptive_optimizer_needs_the_rates_are_fixed(answers, text_encoder):
    made = plan(vram_gb=5.0, **answers)
    assert value(made, "optimizer_type") == "AdamW8bit" and value(made, "fit_in_gb") == 5.0
    assert (value(made, "learning_rate"), value(made, "text_encoder_lr")) == (1e-4, text_encoder)
    assert (value(made, "lr_scheduler"), value(made, "lr_scheduler_num_cycles")) == ("cosine_with_restarts", 3)
    assert value(made, "d_coef") is None
    pony = plan(vram_gb=11.5, facts={"family": FAMILIES["Pony"], "device": "mps"}, **answers)
    assert value(pony, "optimizer_type") == "Prodigy" and not value(pony, "network_train_unet_only")


def test_what_only_the_user_can_do_is_said():
    said = [one.id for one in plan(4, quality="poor", facts={"trigger_word": False}).todo]
    assert {"regularization", "grow", "trigger", "artists-mistakes"} <= set(said)
    uneven = plan(facts={"concepts": {"penny": 10, "fox": 30}})
    assert next(one.reason for one in uneven.todo if one.id == "balance").endswith("penny 3, fox 1.")
    assert value(plan(kind="style", facts={"regularization": True}), "reg_data_dir") is None
    assert "reg_data_dir" not in {key.split(".")[1] for key in plan(facts={"regularization": True}).values}


def paced(seconds):
    return {"pace": lambda job, steps: seconds * steps}


def test_time_shortens_a_run_but_not_below_what_sticks_and_a_night_lengthens_it():
    free = plan(facts=paced(2.0))
    short = plan(minutes=30, facts=paced(2.0))
    assert value(short, "max_train_epochs") == 18 < value(free, "max_train_epochs")  # 900 steps in 30 minutes
    assert 700 <= short.images_seen <= 900 and "minutes are enough" in short.rule_of("training.max_train_epochs").reason
    assert "too-late" not in [one.id for one in short.todo]
    late = plan(minutes=10, facts=paced(2.0))
    assert "As short as it can be" in late.rule_of("training.max_train_epochs").reason
    assert value(late, "max_train_epochs") == 16 and "too-late" in [one.id for one in late.todo]
    assert plan(minutes=480).images_seen == 1500 and value(plan(minutes=480), "validation_split") == 0.1


@pytest.mark.parametrize(("tested", "changes"), [
    (TestBake("1", "a-test", diverged=True), {"d_coef": 1.0}),
    (TestBake("1", "a-test", fast="It rises."), {"d_coef": 1.0}),
    (TestBake("1", "a-test", slow="Only 1 %."), {"seen": 1500}),
    (TestBake("1", "a-test", share_learned=0.3), {"d_coef": 2.0, "seen": 1000})])
def test_a_test_bake_corrects_rate_and_length(tested, changes):
    made = plan(facts={"tested": tested})
    assert {name: made.images_seen if name == "seen" else value(made, name) for name in changes} == changes
    fixed = plan(vram_gb=5.0, facts={"tested": tested})
    factor = 1 / 8 if tested.diverged else 0.5 if tested.fast else 1.5 if tested.slow else 1
    assert value(fixed, "learning_rate") == pytest.approx(1e-4 * factor)


def test_suspicious_images_and_tags_of_a_test_bake_are_named():
    names = ("a.png", "b.png", "c.png", "d.png")
    made = plan(facts={"tested": TestBake("1", "a-test", suspicious=names, tags=("hat",))})
    said = {one.id: one.reason for one in made.todo}
    assert "a.png, b.png, c.png and 1 more" in said["test-suspicious"] and "hat" in said["test-tags"]


def test_a_replaced_value_says_by_whom_and_every_step_away_says_what_it_costs():
    made = plan(category="F", matters=["likeness"])
    rule = made.rule_of("network.network_dim")
    assert rule.id == "rank-likeness" and rule.replaced["network.network_dim"] == (96, "rank-category")
    facts = Facts(SD1, 50, form=FORM, **paced(1.0))
    job = made.job(FORM)
    steps = {step.label: step.cost for step in steps_around(made, facts)}
    plan_cost = cost_of(job, facts)
    assert plan_cost.steps == plan_cost.seconds == 50 * value(made, "max_train_epochs")
    assert {"Rank 96", "Rank 192", "448 px", "576 px"} < set(steps)
    shorter, longer = (cost.seconds for label, cost in steps.items() if label.endswith("epochs"))
    assert shorter < plan_cost.seconds < longer


@pytest.mark.parametrize(("category", "family"), [("B", "SD 1.x"), ("C", "Pony"), ("B", "NoobAI v-pred")])
def test_a_step_to_another_rank_keeps_the_rate_that_suits_it(category, family):
    made = plan(category=category, facts={"family": FAMILIES[family]})
    for step in steps_around(made, Facts(FAMILIES[family], 50, form=FORM)):
        if step.what == "rank":
            rank = step.changes["network.network_dim"]
            d_coef = step.changes.get("optimizer.d_coef", value(made, "d_coef"))
            assert (d_coef > 2) == (rank <= 8), rank
    if family == "NoobAI v-pred":
        assert value(made, "network_dim") == 8 and value(plan(category="B"), "network_dim") == 8


@pytest.mark.parametrize("kind", ["character", "vehicle", "creature", "outfit", "concept"])
def test_what_is_known_shortens_every_kind_of_subject_and_says_why(kind):
    long, short = plan(kind=kind), plan(kind=kind, known=True)
    assert short.images_seen == 800 <= long.images_seen
    reason = short.reason_of("training.max_train_epochs")
    assert "knows it already" in reason and "1500" not in reason
    assert "1000 images seen is what it usually takes" in plan().reason_of("training.max_train_epochs")


@pytest.mark.parametrize(("images", "answers", "facts", "repeats", "most"), [
    (4, {"quality": "poor"}, {}, 35, 12), (1, {}, {}, 135, 12), (15, {"quality": "poor"}, {}, 11, 12),
    (4, {"quality": "poor"}, {"follows_repeats": False}, 1, 500),  # a folder like 1_penny
    (25, {}, {}, 1, 90), (50, {}, {}, 1, 40),
    (4, {"quality": "poor"}, {"concepts": {"penny": 2, "fox": 2}, "form": {
        **FORM, "dataset": {"train_data_dir": "x", "dataset_repeats": 10}}}, 10, 50)])
def test_few_images_are_repeated_so_that_a_dozen_epochs_can_be_compared(images, answers, facts, repeats, most):
    made = plan(images, facts=facts, **answers)
    asked = Facts(**{"images_per_epoch": images, "form": FORM, **facts})
    job = made.job(asked.form)
    epochs, seen = job.training.max_train_epochs, asked.images_with(job.dataset.dataset_repeats)
    assert job.dataset.dataset_repeats == pytest.approx(repeats, rel=0.2) and most / 2 < epochs <= most
    assert 5 <= epochs // job.save.save_every_n_epochs <= 20
    assert made.images_seen <= seen * epochs < 1.3 * made.images_seen  # what slows learning makes it longer
    assert cost_of(job, asked).steps == seen * epochs


def test_repeats_of_the_form_that_a_plan_resets_do_not_count():
    """The plan sets the repeats of a single concept to 1, so 10 in the form must not make it ten times as short."""
    images = [SimpleNamespace(concept="", own=AS_FOR_ALL, repeats=10)] * 20
    form = {**FORM, "dataset": {"train_data_dir": "x", "dataset_repeats": 10}}
    made = plan_for(GoalSettings(images=20), Facts(form=form).with_images(images, 10))
    assert made.images_seen <= 20 * value(made, "dataset_repeats") * value(made, "max_train_epochs")
    numbered = [SimpleNamespace(concept="penny", own=AS_FOR_ALL, repeats=10)] * 20
    facts = Facts().with_images(numbered, 3)
    assert (facts.images_per_epoch, facts.follows_repeats) == (200, False)
