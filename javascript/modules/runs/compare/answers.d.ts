/** Responses of /train-lora/compare and below: lib_lora_train/ui/runs/compare/routes.py. */

import type {Plot} from "../../testing/answers";
import type {Value} from "../../train/values";
import type {Difference as AnyDifference, Suggestion as AnySuggestion} from "../records";

/** The values are in the order of the requested runs. */
export interface Difference extends Omit<AnyDifference, "values"> { values: Value[] }
export interface Comparison {
    differences: Difference[];
    /** For each run, why it or its settings cannot be read; empty if they can. */
    problems: string[];
    /** For a new grid. */
    prompts: string[];
    /** Whether this webui can generate a grid. */
    possible: boolean;
}
export interface Suggestion extends Omit<AnySuggestion, "value"> { value: Value }

/** lib_lora_train/ui/runs/compare/grid.py */
export interface GridList { grids: Grid[]; drawing: GridProgress|null }
export interface GridProgress { plot: string; done: number; total: number; share: number; waiting: boolean }
export interface Grid extends Omit<Plot, "kind"> {
    kind: string;
    /** The run in whose folder it is. */
    run: string;
    runs: string[];
    /** Why runs are not in it. */
    left_out: string[];
}
