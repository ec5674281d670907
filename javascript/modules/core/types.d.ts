/** What the server answers, as the page reads it. Each type names the Python that makes it. */

import type {Continuation as WholeContinuation, RunSummary as Summary, TrashEntry} from "../runs/records";
import type {Job} from "../train/job";
import type {Value} from "../train/values";

/** An item of /train-lora/runs. Times are seconds since the epoch. */
export interface RunSummary extends Omit<Summary, "saved"> { saved: SavedEvent[]; alive: boolean }

/** What is known of a run; before it was asked for, that is its name only. */
export type RunNews = Pick<RunSummary, "id"|"name"|"state"> & Partial<RunSummary>;

/** The answer of /train-lora/runs/ID. */
export interface RunDetails extends RunSummary {
    events: RunEvent[];
    offset: number;
    control: string[];
    log_tail: string;
    /** Paths of saved files that are no longer there. */
    missing: string[];
    /** The settings that the run was started with; empty where they are damaged, missing while nothing has changed. */
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
    precision?: string;
}
export interface StepEvent {
    event: "step"; time: number; step: number; total_steps: number; epoch: number; loss: number|null;
    lr_unet: number|null; lr_text_encoder: number|null; gradient_norm?: number|null; seconds_per_step: number|null;
    seconds_left: number|null;
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
export interface SampleEvent extends Sample { event: "sample"; time: number }
export interface MemoryEvent { event: "memory"; time: number; peak_bytes: number; device_bytes: number }
export interface WarningEvent { event: "warning"; time: number; text: string }
export interface WeightsEvent { event: "weights"; time: number; way: string; text: string; bytes: number }
export interface HeldEvent {
    event: "held"; time: number; token: string; who?: string; why?: string; gave_gpu?: boolean;
}
/** Of earlier versions it has only its time. */
export interface ResumedEvent {
    event: "resumed"; time: number; token?: string; who?: string; why?: string; seconds?: number;
}
/** Written by earlier versions. */
export interface WentOnEvent { event: "went_on"; time: number; seconds: number }
export interface EndingEvent {
    event: "finished"|"stopped"|"error"; time: number; text?: string; detail?: string; kind?: string; steps?: number;
    seconds?: number;
    /** Of a tagging run: how many pictures were tagged, and what became of their captions. */
    pictures?: number; written?: number; unchanged?: number; had_captions?: number; changed_meanwhile?: number;
    failed?: number; mode?: string; model?: string; provider?: string; still_seconds?: number;
}
export interface QueuedEvent { event: "queued"; time: number; name: string; steps?: number; total_steps?: number|null }
export interface KeptEvent { event: "kept"; time: number; step: number }
/** Written by earlier versions. */
export interface PauseEvent { event: "paused"; time: number }
export type RunEvent = PhaseEvent|ProgressEvent|StartedEvent|StepEvent|NormsEvent|EpochEvent|ValidationEvent|
    SavedEvent|SampleEvent|MemoryEvent|WarningEvent|WeightsEvent|HeldEvent|ResumedEvent|WentOnEvent|EndingEvent|
    QueuedEvent|KeptEvent|PauseEvent;

/** One entry of /train-lora/drawings: lib_lora_train/ui/drawing.py. `run` is empty for what belongs to none. */
export interface DrawingFacts {
    id: string;
    kind: "plot"|"regularization"|"strip"|"tool";
    title: string;
    run: string;
    state: "queued"|"drawing"|"waiting";
    done: number;
    total: number;
    share: number;
    seconds_left: number|null;
}

/** The answer of /train-lora/runs/ID/deletion: `what_goes` in lib_lora_train/ui/runs/manage_routes.py. */
export interface Deletion {
    folder: string;
    /** Of the run's folder. */
    bytes: number;
    kept_state: boolean;
    files: {path: string, name: string, bytes: number}[];
    /** Files outside the webui's LoRA folder, which stay. */
    elsewhere: string[];
    /** Why nothing can be deleted now; empty if it can. */
    refused: string;
}
/** The answer of /train-lora/trash. */
export interface TrashList { entries: TrashEntry[] }

/** A picture of a run; `path` is relative to the run's folder, `index` says which of the prompts it shows. */
export interface Sample { path: string; step: number; epoch: number; prompt: string; index: number }

/** The answer of /train-lora/runs/ID/strip: lib_lora_train/ui/runs/strip.py. */
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
/** Why images look fried, and the YAML that a click writes: `prediction_notice` in lib_lora_train/ui/prediction.py. */
export interface PredictionNotice { text: string; yaml: string; checkpoint: string; said: boolean }
export interface StripColumn { file: string; step: number; epoch: number; final: boolean; pictures: (string|null)[] }

/** What is asked of /train-lora/runs/ID/continue, and what it would do: lib_lora_train/runs/continuing.py. */
export interface ContinueOptions { how?: string; epochs?: number; rate_factor?: number }
export type Continuation = Omit<WholeContinuation, "changes">;

/** The answer of /train-lora/runs/ID/try: `txt2img_with` in lib_lora_train/ui/runs/routes.py. */
export interface TryAnswer {
    prompt: string;
    name: string;
    tag: string;
    width: number;
    height: number;
    clip_skip: number;
    clip_skip_before: number;
}

/** The answer of /train-lora/host: lib_lora_train/ui/host_routes.py. */
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
    drawn_as: string;
    clip_skip: number;
    device: string;
    busy: Busy|null;
}
export interface EnvironmentState { state: string; text: string; lines: string[] }
export interface NamedFile { path: string; title: string }
/** What the GPU is lent to: the run's id, null where that is not known, and a sentence. */
export interface Busy { id: string|null; text: string }

/** A message beside a form: level is error, warning, note or good. */
export interface Finding { level: string; text: string; files?: string[] }

/** A setting as the server's schema describes it: lib_lora_train/ui/train/form.py. */
export interface Setting {
    /** group.name */
    key: string;
    group: string;
    name: string;
    label: string;
    type: "int"|"float"|"bool"|"str"|"texts"|"numbers";
    /** Whether it may be empty. */
    optional: boolean;
    /** Of the setting's own type. */
    default: Value;
    help: string;
    advice: string;
    unit: string;
    minimum: number|null;
    maximum: number|null;
    choices: string[];
    view: "main"|"more"|"hidden";
    /** The part of the form that it is in. */
    section: string;
    sd_scripts: string;
    /** Which kind of path it is, empty if it is none. */
    path: string;
}

/** The answer of /train-lora/places: `look_around` in lib_lora_train/ui/places_routes.py. `folder` is empty at the start. */
export interface Places {
    folder: string;
    above: string|null;
    /** The folders that lead to it, the highest first. */
    way: {name: string, path: string}[];
    /** What is known of the folder itself. */
    itself: PlaceEntry|null;
    note: string;
    start: number;
    total: number;
    cut: boolean;
    entries: PlaceEntry[];
}
/** A folder or file; `value` is what stands for it in a box. Images are counted in folders only. */
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

/** The answer of /train-lora/schema: lib_lora_train/ui/train/form.py. */
export interface Schema {
    groups: NamedSettings[];
    /** By the name of the optimizer. */
    optimizers: Record<string, {rate: number, adaptive: boolean}>;
    /** sd-scripts' options that are not settings here, with the reason. */
    options: Record<string, string>;
}
export interface NamedSettings { name: string; text: string; settings: Setting[] }
