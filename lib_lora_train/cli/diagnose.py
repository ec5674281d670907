"""``diagnose``: measures the saved files of a run, to see which epoch is best."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import environment
from ..config.groups.diagnose import DiagnoseJob
from ..config.job import Job
from ..config.load import job_to_yaml, read_file, read_flat
from ..config.text_yaml import read_typed
from ..errors import ConfigError, DatasetError, RunError, TrainLoraError
from ..files.writing import why_it_ended
from ..runs.diagnosis.epochs import EPOCHS_FILE, EpochMeasures, write_measures
from ..runs.diagnosis.generated import Generated, generated_images
from ..runs.diagnosis.proposal import named, propose
from ..runs.events import EventWriter, read_events
from ..runs.folder import DIAGNOSE, JOB_FILE, RunFolder, create_run
from ..runs.job import settings_of
from ..runs.process import only_worker
from ..training.reporting.report import Reporter
from .train import note_error, run_of, stop_on_signals
from .usage import options_of

if TYPE_CHECKING:
    from ..diagnosis.material import Chosen

_PROOFS = "bf16_agrees.json"


def diagnose_command(arguments: list[str]) -> int:
    """Measure; returns 0 if it finished or was stopped, 1 if it failed.

    Raises ``ConfigError`` or ``RunError`` if the job is invalid, which is also written to the log of its run.
    """
    options = options_of(DIAGNOSE, arguments)
    own = run_of(options.run)
    try:
        job = _job(options.run, options.settings, own)
        measured = measured_run(job)
    except (ConfigError, RunError) as problem:
        if own is not None:
            note_error(own, ConfigError(str(problem)))
        raise
    run = own or create_run(options.runs, f"{DIAGNOSE}-{measured.id[16:] or measured.id}", job_to_yaml(job), DIAGNOSE)
    with only_worker(run):
        return _in_run(job, measured, run)


def _job(path: Path, settings: Sequence[str], own: RunFolder | None) -> DiagnoseJob:
    """The job in the run folder ``own``, or one for the run folder ``path``, with ``settings`` as ``key=value``."""
    values: dict[str, Any] = {}
    if own is not None and own.command == DIAGNOSE:
        values = dict(read_file(own.job_file))
    else:
        values["run"] = str((path.parent if path.name == JOB_FILE else path).expanduser().absolute())
    for setting in settings:
        name, _, text = setting.partition("=")
        values[name.strip()] = read_typed(text)
    job, problems = read_flat(DiagnoseJob, values, source="The command")
    if problems:
        raise ConfigError(problems)
    return job


def measured_run(job: DiagnoseJob) -> RunFolder:
    """The run that ``job`` measures. Raises ``RunError`` if there is none."""
    folder = Path(job.run)
    if not job.run or not (folder / JOB_FILE).is_file():
        raise RunError(f"{job.run or 'run'} is not the folder of a run: it has no {JOB_FILE}.")
    return RunFolder(folder)


def training_job(job: DiagnoseJob, measured: RunFolder) -> Job:
    """The settings that the files of ``measured`` were trained with, with the places that ``job`` gives.

    Raises ``ConfigError`` if the checkpoint or all images are unknown, as for a LoRA that was not trained here.
    """
    trained = settings_of(measured)
    dataset, training, base = trained.dataset, trained.training, trained.base
    if job.validation_data_dir:
        dataset = dataclasses.replace(dataset, validation_data_dir=job.validation_data_dir)
    if job.train_data_dir:
        dataset = dataclasses.replace(dataset, train_data_dir=job.train_data_dir)
    if job.checkpoint:
        base = dataclasses.replace(base, checkpoint=job.checkpoint)
    problems = [] if base.checkpoint else [f"{measured.id} does not say which checkpoint it was trained on. Give it: "
                                           "checkpoint=FILE."]
    if not dataset.train_data_dir and not dataset.validation_data_dir:
        problems.append(f"{measured.id} does not say which images it was trained on. Give other images like them: "
                        "validation_data_dir=FOLDER.")
    if problems:
        raise ConfigError(problems)
    training = dataclasses.replace(training, webui_model="file", device=job.device or training.device,
                                   max_train_epochs=training.max_train_epochs or 1)
    return dataclasses.replace(trained, base=base, dataset=dataset, training=training)


def _in_run(job: DiagnoseJob, measured: RunFolder, run: RunFolder) -> int:
    from ..environment.light_imports import import_lightly

    import_lightly()
    from ..training.encoding import StoppedEarly

    stop_on_signals(run)
    started = time.monotonic()
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events)
        reporter.say(f"The run's folder is {run.path}")
        try:
            measures = _measure(job, measured, run, reporter)
        except StoppedEarly:
            reporter.close()
            reporter.event("stopped", {"steps": 0, "seconds": time.monotonic() - started})
            return 0
        except TrainLoraError as problem:
            reporter.close()
            reporter.event("error", {"text": str(problem), "detail": ""})
            reporter.say(f"\n{problem}")
            return 1
        except Exception as problem:  # noqa: BLE001 - the run's log must record the end of the run
            reporter.close()
            text = why_it_ended(problem, run.path)
            reporter.event("error", {"text": text, "detail": traceback.format_exc()})
            reporter.say(f"\n{text}\n{traceback.format_exc()}")
            return 1
        reporter.close()
        reporter.event("finished", {"steps": 0, "seconds": time.monotonic() - started})
        reporter.say("\n".join(in_words(measures)))
        reporter.say(f"The measurements are in {measured.path / EPOCHS_FILE}.")
    return 0


def _measure(job: DiagnoseJob, measured: RunFolder, run: RunFolder, reporter: Reporter) -> EpochMeasures:
    """Carry out ``job`` and write what is measured.

    Raises a ``TrainLoraError`` if nothing can be measured, ``StoppedEarly`` if a stop is requested.
    """
    from ..diagnosis.saved_files import FileMeter, SavedFile
    from ..training.encoding import StoppedEarly

    def progress(done: int, total: int) -> None:
        if run.control.asked("stop"):
            raise StoppedEarly
        reporter.progress(done, total)

    files, trained = [SavedFile(*saved) for saved in saved_files(measured)], training_job(job, measured)
    events = read_events(measured.events_file)[0]
    chosen, without = _chosen(job, trained, measured, events, reporter, progress)
    reporter.phase("model", f"Loading {Path(trained.base.checkpoint).name}")
    meter = FileMeter(trained, chosen, run, reporter, environment.environment_root() / _PROOFS)
    measures = meter.measure(files)
    measures = dataclasses.replace(measures, missing=(*without, *measures.missing))
    return _with_images(measures, _Sources(job, trained, measured, chosen, events), reporter, progress)


def _chosen(job: DiagnoseJob, trained: Job, measured: RunFolder, events: Sequence[Mapping[str, Any]],
            reporter: Reporter, progress: Callable[[int, int], None]) -> tuple[Chosen, tuple[str, ...]]:
    """The images to measure on, and what has to be said about them.

    If the run's own validation folder cannot be used, other images take its place; one given for this measurement has
    to be usable. Raises ``DatasetError``.
    """
    from ..diagnosis.material import choose_pictures
    from ..diagnosis.trained_on import trained_on

    reporter.phase("dataset", "Reading the images")
    known = trained_on(measured.path, settings_of(measured).dataset.train_data_dir, events, reporter.warning)
    try:
        return choose_pictures(trained, job.images, reporter.warning, known, progress), ()
    except DatasetError as problem:
        if job.validation_data_dir or not trained.dataset.validation_data_dir:
            raise
        without = dataclasses.replace(trained, dataset=dataclasses.replace(trained.dataset, validation_data_dir=None))
        text = (f"The validation folder of the run is not used: {problem} Give the folder where it is now, then "
                "measure again.")
        reporter.warning(text)
        return choose_pictures(without, job.images, reporter.warning, known, progress), (text,)


@dataclasses.dataclass(frozen=True)
class _Sources:
    """What generated images are compared by: the ``job``, the settings and the folder of the run, and its images."""

    job: DiagnoseJob
    trained: Job
    measured: RunFolder
    chosen: Chosen
    events: Sequence[Mapping[str, Any]]


def _with_images(measures: EpochMeasures, of: _Sources, reporter: Reporter,
                 progress: Callable[[int, int], None]) -> EpochMeasures:
    """``measures`` with what the generated images say.

    Everything is written at once: a part that fails, or that is stopped, is named in ``missing``, and the others are
    kept. Raises ``StoppedEarly`` if an earlier, complete measurement would be lost by that.
    """
    from ..training.encoding import StoppedEarly

    earlier = (of.measured.path / EPOCHS_FILE).is_file()
    generated = Generated(())

    def read() -> None:
        nonlocal generated, measures
        generated = _readable(of, reporter, progress)
        measures = dataclasses.replace(measures, missing=(*measures.missing, *generated.missing))

    def copies() -> None:
        nonlocal measures
        from .sample_copies import with_copies
        measures = with_copies(measures, of.chosen.all_trained, of.measured, generated.images, reporter, progress)

    def features() -> None:
        nonlocal measures
        from .sample_copies import with_features
        measures = with_features(measures, of.job, of.trained.dataset.activation_tag, of.chosen.all_trained,
                                 of.measured, generated.images, reporter, progress)

    def tags() -> None:
        nonlocal measures
        from .sample_tags import with_samples
        measures = with_samples(measures, of.job, of.trained, [picture.path for picture in of.chosen.trained],
                                of.measured, generated.images, reporter, progress)

    parts = (("The generated images", read, ""), ("Copies of training images", copies, ""),
             ("Likeness by image features", features, f"Check the model in {of.job.features_dir}. "),
             ("Likeness and flexibility", tags, "Without its folder, another installed tagger is used. "))
    for number, (what, measure, way_out) in enumerate(parts):
        try:
            measure()
        except StoppedEarly:
            if earlier:
                raise
            names = ", ".join(name.lower() for name, *_ in parts[number:])
            text = f"Stopped before everything was measured; missing: {names}. Measure again for these."
            write_measures(of.measured.path, dataclasses.replace(measures, missing=(*measures.missing, text)))
            raise
        except Exception as problem:  # noqa: BLE001 - whatever fails here, the other measurements are kept
            text = f"{what}: not measured. {_reason(problem)} {way_out}Measure again."
            reporter.warning(text)
            reporter.say(traceback.format_exc())
            measures = dataclasses.replace(measures, missing=(*measures.missing, text))
    write_measures(of.measured.path, measures)
    return measures


def _reason(problem: Exception) -> str:
    text = " ".join(str(problem).split()) or type(problem).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _readable(of: _Sources, reporter: Reporter, progress: Callable[[int, int], None]) -> Generated:
    """The generated images of the run that can be compared."""
    from ..pictures.images import check_pictures

    reporter.phase("generated", "Reading the generated images")
    every = generated_images(of.measured.path, of.events)
    damaged = {problem.path for problem in check_pictures([of.measured.path / one.path for one in every.images],
                                                          progress)}
    return generated_images(of.measured.path, of.events, damaged.__contains__) if damaged else every


def saved_files(run: RunFolder) -> list[tuple[Path, int, int, bool]]:
    """Path, step, epoch and whether it is the last, of each file that ``run`` saved and that is still there.

    Raises ``RunError`` if there is none.
    """
    by_path = {event["path"]: event for event in read_events(run.events_file)[0] if event["event"] == "saved"}
    found = [(Path(path), int(event["step"]), int(event["epoch"]), bool(event.get("final")))
             for path, event in by_path.items() if Path(path).is_file()]
    if not found:
        raise RunError(f"The run {run.id} has saved {len(by_path)} files, and none of them is still there."
                       if by_path else f"The run {run.id} has not saved any file yet.")
    return sorted(found, key=lambda file: file[1])


def in_words(measures: EpochMeasures) -> list[str]:
    """The proposal as lines for the terminal."""
    proposal = propose(measures)
    lines = [proposal.reason, proposal.strength_reason, *proposal.doubts]
    if proposal.file is not None:
        strength = f" at strength {proposal.strength:g}" if proposal.strength is not None else ""
        lines.insert(0, f"Proposed: {proposal.file.name} ({named(proposal.file, measures.files)}){strength}")
    return [line for line in lines if line]
