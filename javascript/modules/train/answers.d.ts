/** Responses of the Train tab's routes. Each type names its Python source; tests/ui compare the two. */

import type {Finding, PredictionNotice} from "../core/types";
import type {Difficulty, FamilyFacts} from "./records";
import type {Value} from "./values";

/** /dataset/overview: lib_lora_train/batches/overview.py. */
export interface DatasetOverview {
    folder: string;
    pictures: number;
    captions: number;
    left_out: {path: string, reason: string, pictures: number}[];
    concepts: Concept[];
    buckets: BucketCount[];
    images_per_epoch: number;
    problems: Finding[];
    thumbnails: Thumbnail[];
    trigger_word: TriggerFacts;
}
/** lib_lora_train/ui/train/trigger_words.py. The source is you, run, captions or folder; empty if there is no word. */
export interface TriggerWord { word: string; source: string; text: string }
export interface TriggerFacts extends TriggerWord {
    /** Alternative words. */
    others: TriggerWord[];
    /** Why the word cannot be saved, empty if it can. */
    problem: string;
}
export interface Concept { name: string; folder: string; repeats: number; pictures: number }
export interface BucketCount { width: number; height: number; count: number }
export interface Thumbnail {
    path: string;
    url: string;
    width: number;
    height: number;
    caption: string;
    caption_source: string;
    bucket: number[];
    /** Left, top, right, bottom of the trained area, in pixels of the image. */
    crop: number[];
}

/** A training phase: `first_step` steps are done before it, `own_curve` if its rates do not continue the phase before. */
export interface PlannedPhase {
    number: number;
    name: string;
    first_step: number;
    steps: number;
    first_epoch: number;
    epochs: number;
    seconds: number|null;
    steps_per_epoch: number;
    own_curve: boolean;
    images: number;
}

/** /job/check: lib_lora_train/ui/train/routes.py. An unknown total is null. */
export interface Plan {
    steps_per_epoch: number|null;
    total_steps: number|null;
    /** Images that the validation split holds out. */
    held_out: number;
    epochs: number|null;
    /** Step, and the rates of the UNet and the text encoder. */
    schedule: [number, number|null, number|null][];
    schedule_text: string;
    /** At least one if the totals are known. */
    phases: PlannedPhase[];
    steps_hint: string;
    advice: string[];
    output_name_final: string;
    file_size_bytes: number|null;
    memory: Memory|null;
    seconds: number|null;
    notes: {key: string, text: string}[];
    /** Settings that would have no effect if changed, by group.name, with the reason. */
    idle: Record<string, string>;
    /** Null if unknown to the server. */
    blocks: BlockFamily|null;
    /** The network's blocks on the checkpoint; empty if unknown. */
    network_blocks: string[];
    /** By group.name: a list as sent, and its numbers for the checkpoint's blocks; null if it is invalid. */
    block_lists: Record<string, {text: string, values: Record<string, number>|null}>;
    problems: string[];
    prediction: PredictionNotice|null;
}
/** A plan with a known total. */
export type KnownPlan = Plan & {total_steps: number, steps_per_epoch: number};
export interface Memory {
    total_bytes: number;
    parts: {name: string, bytes: number}[];
    on_gpu: boolean;
    /** The savings that were enabled to make it fit, in words. */
    switched: string[];
    limit_bytes: number|null;
}

/** /family: `FamilyFacts.as_json` in lib_lora_train/ui/train/checkpoint_family.py. */
export interface Family extends Omit<FamilyFacts, "defaults"|"unused"> {
    /** By group.name. */
    defaults: Record<string, Value>;
    unused: Record<string, string>;
}

/** The usual rate of an optimizer, and whether it is adaptive (the rate is a factor). */
export type OptimizerRate = import("../core/types").Schema["optimizers"][string];

/** Settings by group and name. */
export type GroupedValues = Record<string, Record<string, Value>>;

/** /presets and /difficulties: lib_lora_train/ui/train/advice_routes.py. */
export interface PresetFacts {
    name: string;
    title: string;
    text: string;
    values: GroupedValues;
    reasons: Record<string, string>;
}
export interface DifficultyFacts extends Difficulty { suggested_rank: number; values: GroupedValues }
export interface Difficulties { difficulties: DifficultyFacts[]; male_characters: string; vehicles: string }

/** /goal/plan and /goal/test: lib_lora_train/ui/train/goal/routes.py. */
export interface GoalPlan {
    values: GroupedValues;
    reasons: GoalReason[];
    /** What only the user can do. */
    todo: {rule: string, text: string, source: string}[];
    images_seen: number;
    /** The category by which the form is judged, empty if none. */
    letter: string;
    images: number;
    quality: string;
    captions: string;
    family: string;
    cost: GoalCost;
    around: {what: string, label: string, effect: string, changes: Record<string, Value>, images_seen: number, cost: GoalCost}[];
    /** The test bake that the plan rests on. */
    tested: {run: string, name: string, text: string}|null;
    /** What a check of the base model says, or why it is not used; empty if there was none. */
    checked: {used: boolean, text: string};
}
export interface GoalReason {
    key: string;
    before: Value;
    after: Value;
    changed: boolean;
    /** Whether the form had another value than the default. */
    typed: boolean;
    rule: string;
    reason: string;
    source: string;
    /** Reasons of rules that were replaced by later ones. */
    earlier: string[];
}
/** Null where it is unknown. */
export interface GoalCost {
    steps: number|null;
    seconds: number|null;
    memory_bytes: number|null;
    file_bytes: number|null;
    switched: string[];
}
export interface TestBakeSettings { values: GroupedValues; measured: boolean }

/** /blocks, as there. */
export type BlockFamily = "sd1"|"sdxl";
export interface BlockLists { families: Record<BlockFamily, FamilyBlocks>; types_with_attention_only: string[] }
export interface FamilyBlocks { full: string[]; short: string[]; presets: Record<string, Record<string, number>> }

/** /lora/info: lib_lora_train/ui/lora_files.py. */
export interface LoraInfo {
    name: string;
    bytes: number;
    words: string;
    network_type: string|null;
    dim: number|null;
    alpha: number|null;
    conv_dim: number|null;
    conv_alpha: number|null;
    dims: number[];
    dora: boolean;
    unet_layers: number;
    text_encoder_layers: number;
    base_model: string;
    family: string;
    activation_tag: string;
    tags: string[];
    epochs: number|null;
    steps: number|null;
    comment: string;
    settings: Record<string, Value>;
    /** Why training cannot be continued from it, as the end of a sentence. */
    problem: string|null;
    metadata: Record<string, string>;
}

/** /regularization: lib_lora_train/ui/train/regularization_desk.py. */
export interface RegularizationState {
    state: "idle"|"drawing"|"finished"|"stopped"|"failed";
    done: number;
    total: number;
    folder: string;
    error: string;
}

/** /import: `Imported.as_json` in lib_lora_train/config/importing/report.py. */
export interface ImportReport {
    source: string;
    values: GroupedValues;
    /** Whether it is applied on top of the form, without other settings. */
    partial: boolean;
    answers: ImportAnswer[];
}
export interface ImportAnswer {
    option: string;
    value: string;
    answer: "taken"|"changed"|"not needed"|"not known";
    /** What it set, by group.name. */
    settings: Record<string, Value>;
    reason: string;
    /** False for an option missing from the source. */
    given: boolean;
}

/** /export and /own-presets/file: lib_lora_train/ui/train/import_routes.py. */
export interface ExportedText { text: string; file_name: string; notes: string[]; files: Record<string, string> }

/** /own-presets: lib_lora_train/ui/train/preset_store.py. */
/** `note` says what was not saved, empty if nothing. */
export interface OwnPresets { presets: OwnPreset[]; note?: string }
export interface OwnPreset { name: string; values: GroupedValues }
