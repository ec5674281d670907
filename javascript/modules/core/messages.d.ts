/** What modules tell each other with `emit` and `on` in dom.js: the messages by name, each with what it carries. */

import type {RunModel} from "../runs/model.js";
import type {DatasetLook, Family, Plan} from "../train/answers";
import type {Value} from "../train/values";
import type {HostState, RunSummary} from "./types";

export interface Messages {
    mounted: undefined;
    host: HostState;
    runs: RunSummary[];
    /** The runs of tools, newest first. */
    tools: RunSummary[];
    run: RunModel;
    "run-ended": RunModel;
    /** The id of a run that was moved to the trash. */
    "run-deleted": string;
    /** The id of the run that the Train tab shows, empty for none. */
    "shown-run": string;
    /** The keys of the settings that have changed in the form. */
    setting: {keys: string[]};
    /** A folder that was looked at. */
    folder: string;
    /** The form was filled from elsewhere: a sentence about it, and what stood there before. */
    taken: {text: string, before: Record<string, Value>};
    /** Asks the Train tab to look into the folder again. */
    look: undefined;
    dataset: DatasetLook|null;
    family: Family|null;
    plan: Plan;
    /** The YAML of a v-prediction checkpoint was written, or could not be. */
    prediction: undefined;
    /** What is worth knowing of single settings, by key. */
    notes: Record<string, string>;
    /** What is wrong with single settings, by key. */
    problems: Record<string, string>;
    /** A tagging run has ended. */
    "captions-changed": {folder: string, run: string};
    /** Other images of the caption editor are selected; `only`: the tagger is asked to tag just them. */
    "captions-selected": {count: number, only: boolean, paths: () => Promise<string[]>};
}
