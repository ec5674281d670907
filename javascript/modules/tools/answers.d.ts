/** Responses of the tools' routes: lib_lora_train/ui/tools/. */

import type {DrawingFacts, NamedSettings} from "../core/types";

/** The settings of each tool, one group each, and the SD versions for cards. */
export interface ToolSchema { groups: NamedSettings[]; versions: string[] }

export interface CurvePoint { rank: number; bytes: number; error: number }

export interface ToolResult {
    sentences: string[];
    curve: CurvePoint[];
    error: number|null;
    bytes: number|null;
    found: LoraFacts|null;
}

/** The result of `inspect`. */
export interface LoraFacts {
    name: string;
    file: string;
    kind: string;
    bytes: number;
    layers: number;
    unet_layers: number;
    text_encoder_layers: number;
    ranks: Record<string, number>;
    alphas: Record<string, number>;
    precisions: Record<string, number>;
    norms: Record<string, number>;
    norms_unknown: number;
    trigger: string;
    tags: [string, number][];
    family: string|null;
    base_model: Record<string, string>;
    job: string;
    job_from: string;
    unread_settings: string[];
    broken: number;
    metadata: Record<string, string>;
    training_problem: string|null;
}

export interface Card {
    values: Record<CardName, string>;
    kept: string[];
    preview: boolean;
    problem: string;
}
export type CardName = "activation_text"|"preferred_weight"|"negative_text"|"sd_version"|"notes"|"description";

/** The metadata of a LoRA file: `metadata_of` in lib_lora_train/ui/tools/metadata.py. */
export interface FileMetadata {
    values: Record<MetadataName, string>;
    /** `fixed` says why an entry cannot be changed; empty if it can. */
    entries: {key: string, value: string, fixed: string}[];
    problem: string;
}
export type MetadataName = "title"|"description"|"author"|"tags"|"trigger_phrase"|"training_comment";

/** Images from before and after: `pictures_of` in lib_lora_train/ui/tools/pictures.py. */
export interface ToolPictures {
    possible: boolean;
    state: string;
    error: string;
    prompt: string;
    pictures: {heading: string, path: string}[];
    /** Mean pixel difference of the first and the last image, 0 to 255. */
    difference: number|null;
    drawing: DrawingFacts|null;
}
