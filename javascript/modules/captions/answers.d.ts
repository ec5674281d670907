/** Responses of the caption editor's and the tagger's routes. Each type names its Python source. */

import type {NamedSettings} from "../core/types";
import type {BatchInfo, BatchReport, ChunkEnd, Doubt, EditChanges, OnOff, Outcome, Preview, Report} from "./records";

/** The part of nearly every response: `state` in lib_lora_train/ui/captions/answers.py. */
export interface SetState {
    revision: number;
    sizes_ready: boolean;
    pictures: number;
    /** The labels of the edits to undo and redo, null if there is none. */
    undo: string|null;
    redo: string|null;
}
export interface Opened extends SetState {
    folder: string;
    session: string;
    messages: string[];
    left_out: {path: string, reason: string}[];
    folders: {path: string, pictures: number}[];
    /** The caption separator. */
    separator: string;
    tokens_exact: boolean;
    /** The extensions of files that can be added. */
    endings: string[];
}
export interface Shown extends SetState {
    numbers: number[];
    tags: [string, number][];
    different_tags: number;
    without_caption: number;
    /** How many of the images shown have a mask. */
    masks: number;
    /** Images of the selection that are no longer in the dataset. */
    gone: number[];
    /** A tag of the filter that no caption has; null for none. */
    hint: FilterProblem|null;
}
/** An error in the filter, and its position. */
export interface FilterProblem { text: string; start: number; end: number }
export interface Misunderstood extends SetState { problem: FilterProblem }

/** An image in the grid; `version` changes with its file. */
export interface Cell {
    number: number;
    path: string;
    name: string;
    folder: string;
    /** 0 until the image's header is read. */
    width: number;
    height: number;
    version: string;
    text: string|null;
    prose: boolean;
    problem: string;
    tags: number;
    /** Loss weight and repeats of its own, 1 if it has none, and why its weight file cannot be used. */
    weight: number;
    repeats: number;
    weight_problem: string;
    /** "edit" or "made" for an image that a model edited or generated. */
    origin: string;
    /** Whether it has edited versions; in the grid only. */
    edits?: boolean;
    /** The version of its mask, empty if it has none. */
    mask: string;
}
export interface PictureFacts extends Cell {
    /** The image that it was edited from, else its edited versions. */
    pair: {number: number, path: string}[];
    caption_path: string;
    tag_list: TagFacts[];
    likely: LikelyTag[];
    tokens: number;
    /** The trained line, its tokens including prefix and suffix, and where its chunks of 75 tokens end. */
    line: string;
    trained_tokens: number;
    chunk_ends: ChunkEnd[];
    shared: boolean;
    lines: number;
    bucket?: number[];
    /** Left, top, right, bottom of the trained crop, in pixels of the image. */
    crop?: number[];
}
/** `begins` and `ends` are token positions in the caption as trained. */
export interface TagFacts { tag: string; count: number; confidence: number|null; begins: number; ends: number }
export interface LikelyTag { tag: string; confidence: number }
export interface Completion { tag: string; count: number|null }
export interface Previews { captions: number; previews: Preview[] }

/** lib_lora_train/ui/captions/set_routes.py. */
export type Edit = BatchInfo & {undone: boolean};
/** A page of the history; `seen` identifies the state of the history. */
export interface EditList extends SetState { edits: Edit[]; total: number; seen: string }
export interface ChangesOfEdit { number: number; problem: string; changes: EditChanges|null; cell: Cell|null }

/** lib_lora_train/ui/captions/knowledge_routes.py. */
export interface Suggestions { total: number; suggestions: Suggestion[] }
export interface Suggestion extends Consolidation {
    pictures: number;
    adds_up: number;
    examples: (Cell & {after: string[]})[];
}
export interface Consolidation { keep: string; drop: string[] }
export interface Doubts { total: number; tagged: number; doubts: DoubtFacts[] }
export interface DoubtFacts extends Doubt { key: string; why: string; cell: Cell; fix: string }
export interface Examination extends SetState {
    state: "none"|"running"|"ready"|"failed";
    done: number;
    total: number;
    problem: string;
    stopped: boolean;
    report: ReportFacts|null;
}
/** `cells` by number, without images that no longer exist. */
export interface ReportFacts extends Report { cells: Record<number, Cell> }

/** /tagging: lib_lora_train/ui/captions/tagging_routes.py. */
export interface TaggingFacts {
    groups: NamedSettings[];
    taggers_dir: string;
    taggers: Tagger[];
    captioners: Captioner[];
    run: {id: string, state: string}|null;
}
/** What describes images: `missing` is what would be downloaded, `refused` why it cannot be used. */
export interface Captioner { name: string; about: string; missing: string; refused: string }
/** The response of /train-lora/tagging/describing: `DescribingDesk.state`. */
export interface DescribingState {
    state: "idle"|"describing"|"stopped"|"failed"|"finished";
    done: number;
    total: number;
    folder: string;
    text: string;
    run: string;
    waits: boolean;
}
export interface Tagger {
    name: string;
    about: string;
    repository: string|null;
    here: boolean;
    balanced_threshold: number|null;
    /** The kinds of tags that it knows; empty if unknown. */
    categories: string[];
    /** Its own thresholds by kind. */
    thresholds: Record<string, number>;
    licence: string;
}

/** lib_lora_train/ui/captions/mask_routes.py: data URLs of the mask and of a small overlay, and the trained share. */
export interface MaskPreview { mask: string; overlay: string; share: number }
export interface MaskFacts { images: number; masks: number; automatic: number }

/** /masks: lib_lora_train/ui/captions/mask_run_routes.py. */
export interface MaskingFacts {
    groups: NamedSettings[];
    models_dir: string;
    models: MaskModel[];
    run: {id: string, state: string}|null;
}
export interface MaskModel { name: string; about: string; repository: string|null; megabytes: number; here: boolean }

/** lib_lora_train/ui/captions/intake/upscaling.py. */
export interface UpscaleState {
    state: "idle"|"running"|"finished"|"stopped"|"failed";
    done: number;
    total: number;
    folder: string;
    error: string;
    /** The edit that added the images, empty if none was. */
    label: string;
    left: string[];
}

/** What an import would add: lib_lora_train/ui/captions/intake/routes.py. */
export interface IntakePlan {
    images: number;
    captions: number;
    masks: number;
    concept_folders: boolean;
    /** Files with the path in the set that they get, images with the one of the same content, files with the reason. */
    names: [string, string][];
    same: [string, string][];
    same_total: number;
    left: [string, string][];
    left_total: number;
}

export type CropBatch = BatchReport & SetState;
/** `added`: the numbers of new images. */
export type EditOutcome = Outcome & SetState & {added?: number[]};
export type {OnOff};

/** An image for the webui's tabs: a data URL, its caption, and the size to draw at. */
export interface SentImage {
    image: string;
    line: string;
    width: number;
    height: number;
}

/** The last series of candidates that was drawn for a set. */
export interface DrawingState {
    state: "idle"|"drawing"|"finished"|"stopped"|"failed";
    done: number;
    total: number;
    error: string;
}

/** An image that was drawn for a set; `image` is a data URL, empty if the page has it already. */
export interface CandidateFacts {
    name: string;
    prompt: string;
    lora: string;
    seed: number;
    image: string;
}

/** What the view Grow shows: numbers of images, quick settings, proposed prompts, LoRAs, and candidates. */
export interface Growth {
    images: number;
    made: number;
    target: number;
    repeats: number;
    prompts: string[];
    loras: string[];
    size: number[];
    candidates: CandidateFacts[];
    drawing: DrawingState;
}
