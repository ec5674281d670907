/** Responses of the Test tab's routes. Each type names its Python source; tests/ui compare the two. */

import type {PredictionNotice} from "../core/types";
import type {Value} from "../train/values";

/** /runs/ID/test: lib_lora_train/ui/testing/routes.py. */
export interface TestFacts {
    files: TestFile[];
    tag: string;
    prompts: string[];
    width: number;
    height: number;
    clip_skip: number;
    samplers: string[];
    negative: string;
    seed: number;
    steps: number;
    cfg_scale: number;
    checkpoint: string;
    prediction: PredictionNotice|null;
    checkpoints: string[];
}
export interface TestFile { name: string; epoch: number|null; path: string; blocks: string[] }

/** The request: `PlotRequest` in lib_lora_train/ui/testing/plot_plans.py. */
export type PlotKind = "epochs"|"strengths"|"blocks"|"prompts";
export type RowKind = "prompts"|"strengths"|"checkpoints"|"seeds"|"presets";
export interface PlotRequest {
    kind: PlotKind;
    files: string[];
    columns: string[];
    prompts: string[];
    rows: RowKind;
    row_values: string[];
    negative_prompt: string;
    sampler: string;
    width: number;
    height: number;
    steps: number;
    cfg_scale: number;
    seed: number;
    clip_skip: number;
}

/** /runs/ID/plots: lib_lora_train/ui/testing/plots.py. */
export interface PlotList { plots: Plot[]; drawing: PlotProgress|null; pace: Pace|null }
/** The time per image in an earlier plot with the webui's checkpoint: lib_lora_train/ui/testing/pace.py. */
export interface Pace { seconds: number; steps: number; pixels: number }
export interface PlotProgress {
    run: string;
    plot: string;
    done: number;
    total: number;
    waiting: boolean;
    share: number;
}
export interface Plot {
    id: string;
    /** Empty if the plot's file is damaged. */
    kind: PlotKind|"";
    created: number;
    state: "drawing"|"finished"|"stopped"|"lost"|"failed";
    error: string;
    /** Paths of images, by "column,row". */
    cells: Record<string, string>;
    /** Mean pixel difference from the first column, by "column,row". */
    changes: Record<string, number>;
    grid: string;
    /** Column and row of the image marked by the user. */
    best: number[]|null;
    columns: PlotSide;
    rows: PlotSide;
    file: string;
    prompts: string[];
    seed: number;
    width: number;
    height: number;
    steps: number;
    /** The webui's checkpoint; missing in plots of earlier versions. */
    checkpoint?: string;
    /** Measured as soon as there are two images. */
    seconds_each?: number;
}
export interface PlotSide { title: string; values: string[]; headings: string[] }

/** /runs/ID/plots/mark, as there; `changes` are settings by group.name. */
export interface MarkedPlot { plot: Plot; changes: Record<string, Value>; sentences: string[] }

/** /runs/ID/blocks: lib_lora_train/ui/testing/block_weights.py. */
export interface FileWeights {
    blocks: string[];
    family: string;
    numbers: number;
    holds: Record<string, string>;
    weights: Record<string, number>;
    sentence: string;
}
export interface WeightLists { list: string; train: string; sentences: string[] }

/** /block-presets, as there; null stands for X. */
export interface BlockPresets {
    text: string;
    default: string;
    problems: string[];
    presets: Record<string, (number|null)[]>;
}

/** The library of test prompts: lib_lora_train/ui/testing/prompt_sets.py. */
export interface PromptSets { sets: PromptSet[] }
export interface PromptSet { name: string; prompts: string[]; problem: string; fixed: boolean }
export interface ExportedFile { text: string; file_name: string }
