/** Responses of the routes below /train-lora/knows: lib_lora_train/ui/train/knows. */

/** /knows: what a check would do. */
export interface KnowsPlan {
    trigger: string;
    traits: string[];
    prompt: string;
    images: number;
    /** Names of the installed taggers. */
    taggers: string[];
    checkpoint: string;
    /** Images that would be generated. */
    drawn: number;
    /** Null if no earlier run tells. */
    seconds: number|null;
    notes: string[];
}

/** /knows/runs/ID: the images that the webui generates, null if it generates none. */
export interface KnowsDrawing { drawing: {state: string, done: number, total: number, error: string}|null }

export type Level = "known"|"half"|"unknown"|"unsure";

export interface KnownWord {
    kind: string;
    word: string;
    level: Level|string;
    /** From 0 to 1; null without a tagger. */
    score: number|null;
    gain: {share: number, certainty: number, images: number}|null;
    others: string[];
    means_something_else: boolean;
    reason: string;
    /** Tags that come out: name, confidence with the word, and without it. */
    tags: [string, number, number][];
    /** Paths in the run folder. */
    pictures: string[];
}

export interface SurprisingImage { path: string; caption: string; loss: number; empty: number; surprise: number; url: string }

/** /knows/runs/ID/result */
export interface KnowsResult {
    id: string;
    version: number;
    created: number;
    checkpoint: string;
    checkpoint_mark: number[];
    folder: string;
    captions: string;
    prompt: string;
    images_per_word: number;
    /** Empty if none was used. */
    tagger: string;
    /** Images of the prompt alone. */
    alone: string[];
    words: KnownWord[];
    images: SurprisingImage[];
    image_count: number;
    advice: {sentences: string[], settings: Record<string, string|number|null>, word: string, images_seen: number, epochs: number};
    /** What has changed since, one sentence each. */
    outdated: string[];
    /** What could not be measured, why, and the way out; checks of earlier versions have none. */
    missing?: string[];
}
