"""The proposed epoch on curves whose answer is known, the signs of overfitting, and the file they are read from."""

from __future__ import annotations

import dataclasses
import json
import math
import random

import pytest

from lib_lora_train.config.job import Job, setting_named
from lib_lora_train.config.load import job_from
from lib_lora_train.files.json_file import DamagedFileError
from lib_lora_train.runs.diagnosis.epochs import (
    ENLARGED,
    EPOCHS_FILE,
    HELD_OUT,
    MIRRORED,
    NOTHING,
    VERSIONS,
    EpochMeasures,
    FileMeasures,
    StrengthMeasure,
    read_measures,
    write_measures,
)
from lib_lora_train.runs.diagnosis.proposal import FLAT, GUESS, NONE, SINGLE, propose
from lib_lora_train.runs.diagnosis.records import Measurement, measurement_json
from lib_lora_train.runs.diagnosis.remedies import remedies_for
from lib_lora_train.runs.diagnosis.signs import signs_of
from lib_lora_train.runs.diagnosis.which_epoch import which_epoch

IMAGES = 8
FALLING = (0.09, 0.08, 0.07, 0.06, 0.05, 0.04)
VALLEY = (0.09, 0.07, 0.05, 0.06, 0.07, 0.08)


def losses(mean, noise=0.0, images=IMAGES, seed=0):
    """Of each image at five timesteps: images differ far more than epochs do, as real ones."""
    rng = random.Random(seed)
    return tuple(tuple(mean + 0.02 * image + noise * rng.gauss(0, 1) for _ in range(5)) for image in range(images))


def measured(curve, base=0.1, noise=0.0, images=IMAGES, source=HELD_OUT, trained=(), seed=0, **more):
    files = tuple(FileMeasures(f"penny-{epoch:06d}", f"/loras/penny-{epoch:06d}.safetensors", 10 * epoch, epoch,
                               epoch == len(curve), losses(mean, noise, images, 1000 * seed + epoch),
                               losses(trained[epoch - 1]) if trained else (),
                               **{name: values[epoch - 1] for name, values in more.items()})
                  for epoch, mean in enumerate(curve, start=1))
    return EpochMeasures(source, "8 images", tuple(f"{n}.png" for n in range(images)),
                         FileMeasures("", "", 0, 0, held_out=losses(base, noise, images, 1000 * seed + 99)), files)


@pytest.mark.parametrize(("curve", "epoch"), [(VALLEY, 3), (FALLING, 6), (tuple(reversed(FALLING)), 1),
                                              ((0.09, 0.05, 0.07, 0.049, 0.08, 0.09), 4), ((0.04,), 1)],
                         ids=["valley", "falling", "rising", "two minima", "single"])
def test_the_epoch_with_the_lowest_held_out_loss_is_proposed(curve, epoch):
    proposal = propose(measured(curve, noise=1e-5))
    assert proposal.file is not None and proposal.file.epoch == epoch and f"epoch {epoch}" in proposal.reason + (
        "epoch 1" if proposal.sure == SINGLE else "")


@pytest.mark.parametrize("count", [2, 6, 20])
def test_a_flat_curve_gives_no_epoch_and_says_so(count):
    proposals = [propose(measured((0.05,) * count, noise=0.02, seed=seed)) for seed in range(60)]
    flat = [one for one in proposals if one.sure == FLAT]
    assert len(flat) >= 54  # of 60: noise makes an epoch up in at most one of ten
    assert all(one.file is None and len(one.alike) > 0.9 * count for one in flat)
    assert "equal within the measuring error" in flat[0].reason


def test_what_is_no_better_than_the_base_is_not_proposed():
    proposal = propose(measured((0.2, 0.25, 0.3), base=0.1, noise=0.001))
    assert (proposal.file, proposal.sure) == (None, FLAT) and "better on these images than the base" in proposal.reason


def test_epochs_within_the_measuring_error_are_named_and_the_nearer_the_more_doubtful():
    certain, doubtful = propose(measured(VALLEY, noise=1e-5)), propose(measured(VALLEY, noise=0.02))
    assert len(certain.alike) == 1
    assert len(doubtful.alike) > 1 and "Within the measuring error" in doubtful.reason


def test_a_file_that_is_as_good_has_no_rise_and_no_sign_of_it():
    measures = measured((0.09, 0.05, 0.07, 0.051), noise=0.02)
    proposal = propose(measures)
    assert measures.files[-1] in proposal.alike and proposal.file is not None
    assert "rises" not in proposal.reason and not [sign for sign in signs_of(measures, proposal)
                                                   if sign.name == "rising"]


def test_a_file_of_nan_is_left_out_and_named_and_nothing_but_nan_gives_nothing():
    curve = list(VALLEY)
    curve[2] = math.nan
    proposal = propose(measured(curve, noise=1e-5))
    assert proposal.file.epoch == 4 and "penny-000003" in proposal.doubts[0] and "NaN" in proposal.doubts[0]
    none = propose(measured([math.nan] * 3))
    assert (none.file, none.sure) == (None, NONE) and "is a number" in none.reason


def test_without_anything_held_out_nothing_is_made_up():
    proposal = propose(measured((), source=""))
    assert (proposal.file, proposal.sure) == (None, NONE) and "not trained on" in proposal.reason


def test_few_images_and_mirrored_ones_are_doubted():
    assert "2 held-out images are few" in propose(measured(VALLEY, noise=1e-5, images=2)).doubts[0]
    assert "mirrored" in propose(measured(VALLEY, noise=1e-5, source=MIRRORED)).doubts[0]


@pytest.mark.parametrize(("best", "expected"), [(0.8, 0.8), (1.0, 1.0), (1.15, 1.15), (0.4, 0.6)])
def test_the_strength_is_where_the_measured_loss_is_lowest(best, expected):
    tried = tuple(StrengthMeasure(strength, losses(0.05 + 0.1 * (strength - best) ** 2))
                  for strength in (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2))
    measures = measured(VALLEY)
    with_strengths = EpochMeasures(HELD_OUT, "8 images", measures.images, measures.base, measures.files, tried,
                                   "penny-000003")
    proposal = propose(with_strengths)
    assert proposal.strength == pytest.approx(expected)
    assert ("beyond" in proposal.strength_reason) == (best == 0.4)
    assert propose(measures).strength is None  # never a constant


OVERFIT_RUN = measured(VALLEY, noise=1e-5, trained=(0.08, 0.06, 0.04, 0.03, 0.02, 0.01),
                       drift=(0.01, 0.02, 0.04, 0.08, 0.15, 0.3), flexibility=(0.9, 0.9, 0.8, 0.7, 0.6, 0.5),
                       copies=(0.0, 0.0, 0.0, 0.25, 0.5, 0.75))


def test_signs_of_overfitting_are_detected_and_none_where_there_are_none():
    names = [sign.name for sign in signs_of(OVERFIT_RUN, propose(OVERFIT_RUN))]
    assert names == ["memorizing", "drift", "flexibility", "copies"]
    healthy = measured((0.08, 0.06, 0.05, 0.0495, 0.0494, 0.0494), noise=1e-5, drift=(0.01,) * 6)
    assert signs_of(healthy, propose(healthy)) == []


def test_a_loss_that_still_falls_at_the_end_is_underfit():
    measures = measured(FALLING, noise=1e-5)
    assert [sign.name for sign in signs_of(measures, propose(measures))] == ["falling"]


def remedies(measures, **job):
    proposal = propose(measures)
    return remedies_for(measures, proposal, signs_of(measures, proposal),
                        job_from({"base": {"checkpoint": "base.safetensors"}, "dataset": {"train_data_dir": "set"},
                                  "save": {"output_name": "penny", "output_dir": "loras"}, **job}))


def test_a_guess_offers_to_hold_out_a_share_next_time():
    guessed = without_held_out(measured((0.0,) * 6, trained=LEARNING), trained=losses(0.1))
    assert propose(guessed).sure == GUESS
    assert remedies(guessed)[-1].changes == {"dataset.validation_split": 0.1}
    held = remedies(guessed, dataset={"train_data_dir": "set", "validation_split": 0.2})
    assert not any("dataset.validation_split" in one.changes for one in held)


def test_remedies_begin_with_an_earlier_epoch_and_their_settings_exist():
    found = remedies(OVERFIT_RUN, optimizer={"optimizer_type": "AdamW", "learning_rate": 1e-3},
                     network={"network_dim": 32, "network_alpha": 32})
    assert found[0].file.endswith("penny-000003.safetensors") and not found[0].changes
    assert [next(iter(one.changes), "") for one in found[1:]] == [
        "training.max_train_epochs", "optimizer.learning_rate", "network.network_dim", "network.scale_weight_norms",
        "", ""]
    assert found[1].changes == {"training.max_train_epochs": 3} and found[2].changes == {
        "optimizer.learning_rate": 5e-4}
    for one in found:
        assert one.title and one.reason and all(setting_named(key) for key in one.changes)


def test_an_optimizer_that_finds_its_rate_is_not_given_another():
    keys = {key for one in remedies(OVERFIT_RUN, optimizer={"optimizer_type": "Prodigy"}) for key in one.changes}
    assert "optimizer.d_coef" in keys and "optimizer.learning_rate" not in keys


@pytest.mark.parametrize("d_coef, lower", [(4.0, [2.0]), (1.5, [1.0]), (None, [])])
def test_a_coefficient_is_not_lowered_to_where_the_rate_would_never_rise(d_coef, lower):
    found = remedies(OVERFIT_RUN, optimizer={"optimizer_type": "ProdigyPlusScheduleFree", "d_coef": d_coef})
    assert [one.changes["optimizer.d_coef"] for one in found if "optimizer.d_coef" in one.changes] == lower
    assert not any("optimizer.learning_rate" in one.changes for one in found)


def test_a_run_that_is_overfit_from_the_start_gets_a_lower_rate_or_an_adaptive_optimizer():
    measures = measured(tuple(reversed(FALLING)), noise=1e-5)
    titles = [one.title for one in remedies(measures, optimizer={"optimizer_type": "AdamW", "learning_rate": 1e-2})]
    assert titles[:3] == ["Use epoch 1 instead of the last", "Halve the learning rates",
                          "Let the optimizer find the rate: Prodigy"]


def test_an_underfit_run_gets_more_training():
    found = remedies(measured(FALLING, noise=1e-5), training={"max_train_epochs": 6},
                     optimizer={"optimizer_type": "AdamW", "learning_rate": 1e-3})
    assert found[0].changes == {"training.max_train_epochs": 9}
    assert found[1].changes == {"optimizer.learning_rate": 1.5e-3}


def test_measurements_are_read_as_they_were_written(tmp_path):
    write_measures(tmp_path, OVERFIT_RUN)
    read = read_measures(tmp_path)
    assert propose(read).file.epoch == 3 and read.files[5].drift == 0.3 and read.images == OVERFIT_RUN.images
    assert read_measures(tmp_path / "other") is None


def test_the_reason_says_how_alike_the_samples_are_by_image_features(tmp_path):
    near = (0.7, 0.75, 0.8, 0.85, 0.8, 0.8)
    files = tuple(dataclasses.replace(file, to_nearest=cosine) for file, cosine in
                  zip(OVERFIT_RUN.files, near, strict=True))
    compared = dataclasses.replace(OVERFIT_RUN, files=files, features="Image features: measured with dino.",
                                   base=dataclasses.replace(OVERFIT_RUN.base, to_nearest=0.6))
    write_measures(tmp_path, compared)
    read = read_measures(tmp_path)
    assert read.features == compared.features and propose(read).file.epoch == 3
    assert propose(read).reason.endswith(
        "By image features, the samples of epoch 3 have a cosine of 0.80 to the nearest training image, 0.60 without "
        "the LoRA; those of epoch 4 are nearest, with 0.85.")
    alone = dataclasses.replace(measured((), source=""), files=(files[1],))
    assert propose(alone).reason.endswith("epoch 2 have a cosine of 0.75 to the nearest training image.")
    assert "image features" not in propose(OVERFIT_RUN).reason


def test_why_held_out_images_may_have_been_trained_on_is_kept_and_told(tmp_path):
    write_measures(tmp_path, dataclasses.replace(OVERFIT_RUN, doubt="Some were probably trained on."))
    assert propose(read_measures(tmp_path)).doubts == ("Some were probably trained on.",)
    assert propose(OVERFIT_RUN).doubts == ()


@pytest.mark.parametrize("change", [{"version": 2}, {"files": 3}, {"files": [1]}, {"source": None}, {"version": "x"},
                                    {"files": [{"held_out": [["x"]]}]}, {"files": [{"held_out": [1]}]},
                                    {"strengths": [{}]}, {"files": [{"step": "1"}]}])
def test_a_damaged_file_is_refused(tmp_path, change):
    write_measures(tmp_path, OVERFIT_RUN)
    path = tmp_path / EPOCHS_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DamagedFileError):
        read_measures(tmp_path)


@pytest.mark.parametrize(("copies", "base", "words"), [
    ((0.0, 0.0, 0.5), 0.0, "50% of them at the end, 0% without the LoRA"),
    ((0.0, 0.0, 0.5), None, "50% of them at the end."),
    ((0.0, 0.0, 0.5), 0.5, ""), ((None, None, None), None, ""), ((0.0, 0.0, 0.05), 0.0, "")])
def test_samples_like_training_images_are_a_sign_even_if_the_last_file_is_the_best(copies, base, words):
    measures = measured((0.09, 0.08, 0.07), noise=1e-5, copies=copies, copied=((), (), ("a.png", "b.png")))
    measures = dataclasses.replace(measures, base=dataclasses.replace(measures.base, copies=base))
    found = [sign.text for sign in signs_of(measures, propose(measures)) if sign.name == "copies"]
    assert len(found) == bool(words) and all(words in text and "a.png, b.png" in text for text in found)


def without_held_out(measures, **base):
    """``measures`` as of a run that held nothing out."""
    return dataclasses.replace(
        measures, source=NOTHING, images=(), base=dataclasses.replace(measures.base, held_out=(), **base),
        files=tuple(dataclasses.replace(file, held_out=()) for file in measures.files))


LEARNING = tuple(0.1 - loss for loss in (0.02, 0.03, 0.035, 0.037, 0.038, 0.0385))


@pytest.mark.parametrize(("measures", "epoch", "words"), [
    ({"trained": LEARNING, "drift": (0.01, 0.02, 0.05, 0.2, 0.4, 0.6)}, 3, "a drift of 0.05"),
    ({"likeness": (0.2, 0.5, 0.8, 0.82, 0.83, 0.83), "flexibility": (0.9, 0.9, 0.85, 0.6, 0.4, 0.2)}, 3,
     "85% of the prompts' other tags"),
    ({"to_nearest": (0.5, 0.6, 0.7, 0.8, 0.85, 0.9), "copies": (0.0, 0.0, 0.0, 0.0, 0.5, 1.0)}, 4, "cosine of 0.80"),
    ({"trained": LEARNING}, 6, "below the base model")])
def test_without_held_out_images_the_best_balance_is_proposed_as_a_guess(measures, epoch, words):
    found = without_held_out(measured((0.0,) * 6, **measures), trained=losses(0.1), likeness=0.1, to_nearest=0.4,
                             flexibility=0.9, copies=0.0)
    proposal = propose(found)
    assert (proposal.file.epoch, proposal.sure) == (epoch, GUESS) and words in proposal.reason
    assert any("validation split of 0.1" in doubt and "This is a guess" in doubt for doubt in proposal.doubts)
    nothing_learned = {name: (values[0],) * 6 for name, values in measures.items() if name in ("drift", "flexibility")}
    assert propose(without_held_out(measured((0.0,) * 6, **nothing_learned))).sure == NONE


def test_what_stands_in_for_held_out_images_gives_way_to_the_balance_if_it_cannot_tell():
    flat = measured((0.05,) * 6, noise=0.02, source=MIRRORED, trained=LEARNING, drift=(0.01, 0.02, 0.05, 0.2, 0.4, 0.6))
    flat = dataclasses.replace(flat, base=dataclasses.replace(flat.base, trained=losses(0.1), held_out=losses(0.05)))
    assert (propose(flat).file.epoch, propose(flat).sure) == (3, GUESS)
    assert propose(dataclasses.replace(flat, source=HELD_OUT)).sure == FLAT
    for source, word in ((VERSIONS, "versions"), (ENLARGED, "enlarged"), (MIRRORED, "mirrored")):
        assert word in propose(measured(VALLEY, noise=1e-5, source=source)).doubts[0]


def test_a_run_that_held_nothing_out_has_a_guess_from_what_it_measured_itself(tmp_path):
    saved = [{"event": "saved", "path": f"/loras/{n}", "name": f"penny-{n}", "step": 10 * n, "epoch": n}
             for n in range(1, 4)]
    drift = [{"event": "drift", "step": 10 * n, "drift": value} for n, value in ((1, 0.02), (2, 0.05), (3, 0.5))]
    job = job_from({"base": {"checkpoint": "base.safetensors"}, "dataset": {"train_data_dir": "set"},
                    "save": {"output_name": "penny", "output_dir": "loras"}})
    assert which_epoch(tmp_path, [*saved, *drift], job).sure == NONE  # the drift alone says nothing of what is learned
    (tmp_path / "diagnosis").mkdir()
    lines = [measurement_json(Measurement(10 * n, n, 1.0, ((loss, loss), None, (loss,)) if n else ((0.1,), (0.1,),
                                                                                                  (0.1,))))
             for n, loss in enumerate((0.1, 0.08, 0.06, 0.059))]
    (tmp_path / "diagnosis" / "measurements.jsonl").write_text("\n".join([*lines, "damaged"]))
    found = which_epoch(tmp_path, [*saved, drift[0], drift[2]], job)  # there is not time for each measurement
    assert (found.label, found.sure) == ("epoch 2", GUESS) and "with a drift of about 0.26" in found.reason
    found = which_epoch(tmp_path, [*saved, *drift], job)
    assert (found.label, found.sure, found.source) == ("epoch 2", GUESS, "run")
    (tmp_path / "diagnosis" / "measurements.jsonl").write_text("\n".join(lines[1:]))
    assert which_epoch(tmp_path, [*saved, *drift], job).label == "epoch 2"  # without the base
    assert [point.trained for point in found.points] == pytest.approx([0.1, 0.08, 0.06, 0.059])


PHASES = [{"name": "polish", "epochs": 3, "optimizer": {"learning_rate": 4e-4}, "dataset": {"resolution": "128"}}]


@pytest.mark.parametrize(("best", "stop"), [
    (2, {"training.max_train_epochs": 2, "training.phases": []}),
    (5, {"training.phases": [{**PHASES[0], "epochs": 2}]})])
def test_remedies_of_a_run_with_phases_change_the_phase_in_which_the_best_file_was_saved(best, stop):
    curve = [0.05 + 0.01 * abs(epoch - best) for epoch in range(1, 7)]
    job = {"training": {"max_train_epochs": 3, "phases": PHASES}, "optimizer": {"optimizer_type": "AdamW",
                                                                               "learning_rate": 1e-3}}
    found = {one.title: one.changes for one in remedies(measured(curve, noise=1e-5, trained=LEARNING), **job)}
    assert found[f"Stop after {best} epochs"] == stop
    assert found["Halve the learning rates"] == {"optimizer.learning_rate": 5e-4, "training.phases": [
        {**PHASES[0], "optimizer": {"learning_rate": 2e-4}}]}
    more = remedies(measured(FALLING, noise=1e-5), **job)[0]
    assert more.title == "Train for 4 epochs in the last phase (polish)"
    assert more.changes == {"training.phases": [{**PHASES[0], "epochs": 4}]}


def test_phases_of_other_sizes_or_folders_are_named_as_what_the_measurements_do_not_say(tmp_path):
    def doubts(**phase):
        write_measures(tmp_path, OVERFIT_RUN)
        values = {"base": {"checkpoint": "base.safetensors"}, "dataset": {"train_data_dir": "set", "resolution": "64"},
                  "save": {"output_name": "penny", "output_dir": "loras"},
                  "training": {"max_train_epochs": 3, "phases": [{"name": "polish", "epochs": 3, **phase}]}}
        return which_epoch(tmp_path, [], job_from(values)).doubts

    assert doubts(optimizer={"learning_rate": 1e-4}) == ()
    [size] = doubts(dataset={"resolution": "128"})
    assert "“polish” trains at 128" in size and "first phase (64)" in size
    [folder] = doubts(dataset={"only_folders": ["1_best"]})
    assert "train on different images" in folder


def test_a_file_that_could_not_be_measured_is_named_and_not_offered_again(tmp_path):
    paths = [tmp_path / f"{n}.safetensors" for n in range(3)]
    for path in paths[:2]:
        path.write_bytes(b"file")
    saved = [{"event": "saved", "path": str(path), "name": path.stem, "step": n, "epoch": n}
             for n, path in enumerate(paths)]
    write_measures(tmp_path, dataclasses.replace(OVERFIT_RUN, skipped=(str(paths[0]),), missing=("0 is damaged.",)))
    found = which_epoch(tmp_path, saved, Job())
    assert (found.lacks, found.missing) == (("0 is damaged.",), 1)
