/** Types of the server's responses. Each names its Python source. */

import type {Continuation as WholeContinuation, RunSummary as Summary, TrashEntry, WhichEpoch} from "../runs/records";
import type {Job} from "../train/job";
import type {Value} from "../train/values";

/** An item of /train-lora/runs. Times are seconds since the epoch. */
export interface RunSummary extends Omit<Summary, "saved"> { saved: SavedEvent[]; alive: boolean }

/** A run, of which only the name may be known before it is requested. */
export type RunNews = Pick<RunSummary, "id"|"name"|"state"> & Partial<RunSummary>;

/** The response of /train-lora/runs/ID. */
export interface RunDetails extends RunSummary {
    events: RunEvent[];
    offset: number;
    control: string[];
    log_tail: string;
    /** Paths of saved files that no longer exist. */
    missing: string[];
    /** The settings that the run was started with; empty if damaged, missing if unchanged since the last response. */
    job?: Job;
}

/** The events of a run: lib_lora_train/runs/events.py. */
export interface PhaseEvent { event: "phase"; time: number; name: string; text: string }
export interface ProgressEvent {
    event: "progress"; time: number; done: number; total: number; seconds_left: number|null;
}
export interface StartedEvent {
    event: "started"; time: number; name: string; total_steps: number; steps_per_epoch: number;
    total_epochs: number; from_step?: number; pictures?: number; parameters?: number; device?: string;
    precision?: string; noise?: NoiseFacts;
    /** With several training phases. */
    training_phases?: TrainingPhaseFacts[];
}
export interface TrainingPhaseFacts {
    number: number; name: string; first_step: number; steps: number; first_epoch: number; epochs: number;
    steps_per_epoch?: number;
}
/** lib_lora_train/training/reporting/noise_bands.py: the bands, and the loss of a guess that knows only the noise level. */
export interface NoiseFacts {
    family: string; prediction: string; zero_terminal_snr: boolean; edges: number[]; guess: (number|null)[];
}
export interface StepEvent {
    event: "step"; time: number; step: number; total_steps: number; epoch: number; loss: number|null;
    lr_unet: number|null; lr_text_encoder: number|null; gradient_norm?: number|null; seconds_per_step: number|null;
    seconds_left: number|null;
    /** For each band of noise levels: the mean unweighted loss and the number of images. */
    bands?: [number|null, number][];
}
export interface NormsEvent {
    event: "norms"; time: number; step: number; epoch: number; unet: number|null; text_encoder: number|null;
    blocks: Record<string, number|null>;
}
export interface EpochEvent { event: "epoch"; time: number; epoch: number; total_epochs: number; loss: number|null }
export interface ValidationEvent { event: "validation"; time: number; step: number; epoch: number; loss: number }
export interface SavedEvent {
    event: "saved"; time: number; path: string; name: string; step: number; epoch: number; final?: boolean;
}
/** A saved file was given another name after the run. */
export interface RenamedEvent { event: "renamed"; time: number; path: string; to: string; name: string }
export interface SampleEvent extends Sample { event: "sample"; time: number }
export interface MemoryEvent { event: "memory"; time: number; peak_bytes: number; device_bytes: number }
export interface WarningEvent { event: "warning"; time: number; text: string }
export interface WeightsEvent { event: "weights"; time: number; way: string; text: string; bytes: number }
export interface HeldEvent {
    event: "held"; time: number; token: string; who?: string; why?: string; gave_gpu?: boolean;
}
/** Earlier versions wrote only the time. */
export interface ResumedEvent {
    event: "resumed"; time: number; token?: string; who?: string; why?: string; seconds?: number;
}
/** Written by earlier versions. */
export interface WentOnEvent { event: "went_on"; time: number; seconds: number }
export interface EndingEvent {
    event: "finished"|"stopped"|"error"; time: number; text?: string; detail?: string; kind?: string; steps?: number;
    seconds?: number;
    /** Of a tagging or masking run: the counts of images, captions and masks. */
    pictures?: number; written?: number; unchanged?: number; had_captions?: number; changed_meanwhile?: number;
    /** Whether images were described in sentences only, without tags. */
    described?: boolean;
    failed?: number; had_masks?: number; method?: string; mode?: string; model?: string; provider?: string; still_seconds?: number;
}
/** What a tagging run would write for one image; `near` are the likeliest tags that it would not write. */
export interface TagsEvent {
    event: "tags"; time: number; image: string; tags: [string, number|null][]; near: [string, number][]; prose: string;
}
export interface QueuedEvent { event: "queued"; time: number; name: string; steps?: number; total_steps?: number|null }
export interface StateSavedEvent { event: "state_saved"|"kept"; time: number; step: number }
/** Written by earlier versions. */
export interface PauseEvent { event: "paused"; time: number }
export type RunEvent = PhaseEvent|ProgressEvent|StartedEvent|StepEvent|NormsEvent|EpochEvent|ValidationEvent|
    SavedEvent|SampleEvent|MemoryEvent|WarningEvent|WeightsEvent|HeldEvent|ResumedEvent|WentOnEvent|EndingEvent|
    QueuedEvent|StateSavedEvent|PauseEvent|TagsEvent|RenamedEvent;

/** A job in /train-lora/drawings: lib_lora_train/ui/drawing.py. `run` is empty if it belongs to none. */
export interface DrawingFacts {
    id: string;
    kind: "plot"|"regularization"|"strip"|"tool"|"upscaling"|"candidates"|"knows";
    title: string;
    run: string;
    state: "queued"|"drawing"|"waiting";
    done: number;
    total: number;
    share: number;
    seconds_left: number|null;
}

/** The response of /train-lora/runs/ID/deletion: `what_is_deleted` in lib_lora_train/ui/runs/manage_routes.py. */
export interface Deletion {
    folder: string;
    /** Of the run's folder. */
    bytes: number;
    has_training_state: boolean;
    files: {path: string, name: string, bytes: number}[];
    /** Files outside the webui's folders, which are not deleted. */
    elsewhere: string[];
    /** The reason why deletion is refused; empty if it is possible. */
    refused: string;
}
/** The response of /train-lora/trash. */
export interface TrashList { entries: TrashEntry[] }

/** A sample image of a run; `path` is relative to the run's folder, `index` is that of its prompt. */
export interface Sample { path: string; step: number; epoch: number; prompt: string; index: number }

/** The response of /train-lora/runs/ID/strip: lib_lora_train/ui/runs/strip.py. */
export interface StripFacts {
    on: boolean;
    possible: boolean;
    about: string;
    prompts: string[];
    error: string;
    columns: StripColumn[];
    missing: number;
    seconds_left: number|null;
    seconds_each: number|null;
    drawing: {file: string, index: number, share: number, waiting: boolean}|null;
    waits_for: string;
    prediction: PredictionNotice|null;
}

/** The response of /train-lora/runs/ID/epochs: lib_lora_train/ui/runs/epoch_routes.py. */
export interface EpochAnswer extends WhichEpoch {
    measuring: {id: string, open: boolean, state: string, text: string, done: number|null, total: number|null,
        seconds_left: number|null}|null;
    features_dir: string;
}

/** Why images look fried, and the YAML to write: `prediction_notice` in lib_lora_train/ui/prediction.py. */
export interface PredictionNotice { text: string; yaml: string; checkpoint: string; said: boolean }
export interface StripColumn { file: string; step: number; epoch: number; final: boolean; pictures: (string|null)[] }

/** Request and preview of /train-lora/runs/ID/continue: lib_lora_train/runs/continuing.py. */
export interface ContinueOptions { how?: string; epochs?: number; rate_factor?: number }
export type Continuation = Omit<WholeContinuation, "changes">;

/** The response of /train-lora/runs/ID/try: `txt2img_with` in lib_lora_train/ui/runs/routes.py. */
export interface TryAnswer {
    prompt: string;
    name: string;
    tag: string;
    width: number;
    height: number;
    clip_skip: number;
    clip_skip_before: number;
}

/** The response of /train-lora/host: lib_lora_train/ui/host_routes.py. */
export interface HostState {
    name: string;
    limits: string[];
    environment: EnvironmentState;
    checkpoint: NamedFile|null;
    vae: NamedFile|null;
    checkpoints: NamedFile[];
    vaes: NamedFile[];
    lora_dir: string;
    runs_dir: string;
    webui_predicts: string;
    clip_skip: number;
    device: string;
    busy: Busy|null;
}
export interface EnvironmentState { state: string; text: string; lines: string[] }
export interface NamedFile { path: string; title: string }
/** The run that uses the GPU: its id, null if unknown, and a message. */
export interface Busy { id: string|null; text: string }

/** A message next to a form; level is error, warning, note or good. */
export interface Finding { level: string; text: string; files?: string[] }

/** A setting of the schema: lib_lora_train/ui/train/form.py. */
export interface Setting {
    /** group.name */
    key: string;
    group: string;
    name: string;
    label: string;
    type: "int"|"float"|"bool"|"str"|"texts"|"numbers"|"phases";
    /** Whether it may be empty. */
    optional: boolean;
    /** Of the setting's type. */
    default: Value;
    help: string;
    advice: string;
    unit: string;
    minimum: number|null;
    maximum: number|null;
    choices: string[];
    view: "main"|"more"|"hidden";
    /** Its section of the form. */
    section: string;
    sd_scripts: string;
    /** The kind of path, empty if it is not a path. */
    path: string;
}

/** The response of /train-lora/places: lib_lora_train/ui/places_routes.py. `folder` is empty at first. */
export interface Places {
    folder: string;
    above: string|null;
    /** Its parent folders, outermost first. */
    way: {name: string, path: string}[];
    /** The entry of the folder itself. */
    itself: PlaceEntry|null;
    note: string;
    start: number;
    total: number;
    cut: boolean;
    entries: PlaceEntry[];
}
/** A folder or file; `value` is its text in an input. Images are counted in folders only. */
export interface PlaceEntry {
    name: string;
    path: string;
    value: string;
    folder: boolean;
    images: number|null;
    captions: number|null;
    more: boolean;
    problem: string;
    thumbnails: string[];
}

/** The response of /train-lora/schema: lib_lora_train/ui/train/form.py. */
export interface Schema {
    groups: NamedSettings[];
    /** By optimizer name. */
    optimizers: Record<string, {rate: number, adaptive: boolean}>;
    /** sd-scripts' options that are not settings here, with the reason. */
    options: Record<string, string>;
    /** The keys of the settings that a training phase can change. */
    phase_settings: string[];
}
export interface NamedSettings { name: string; text: string; settings: Setting[] }
