/** The messages between modules, for `emit` and `on` in dom.js: their names and details. */

import type {RunModel} from "../runs/model.js";
import type {QueueState} from "../runs/queue/answers";
import type {FinishedState} from "../runs/records";
import type {DatasetOverview, Family, Plan} from "../train/answers";
import type {Value} from "../train/values";
import type {HostState, RunSummary} from "./types";

export interface Messages {
    mounted: undefined;
    host: HostState;
    runs: RunSummary[];
    /** The tool runs, newest first. */
    tools: RunSummary[];
    /** Whether the queue is on hold, and the GPUs it can use. */
    queue: QueueState;
    /** The id of the queued run whose settings are in the form, empty if none are. */
    editing: string;
    run: RunModel;
    "run-ended": RunModel;
    /** The id of a run that was moved to the trash. */
    "run-deleted": string;
    /** The ids of runs that are to be compared. */
    compare: string[];
    /** The form's job is to be trained with several values of a setting. */
    vary: {key: string, values: string[]};
    /** The id of the run that the Train tab shows, empty for none. */
    "shown-run": string;
    /** The keys of the settings that have changed in the form. */
    setting: {keys: string[]};
    /** The form was filled from elsewhere: a message about it, and the previous values. */
    taken: {text: string, before: Record<string, Value>};
    /** What is chosen for the end of the queue. */
    finished: FinishedState;
    /** Request to the Train tab to read the folder again. */
    reload: undefined;
    dataset: DatasetOverview|null;
    /** Why the webui could not read the folder at all, beside a `dataset` of null. */
    "dataset-failed": unknown;
    family: Family|null;
    plan: Plan;
    /** Writing the YAML of a v-prediction checkpoint has succeeded or failed. */
    prediction: undefined;
    /** Notes on settings, by key. */
    notes: Record<string, string>;
    /** Problems of settings, by key. */
    problems: Record<string, string>;
    /** Whether masks are shown over the images of the caption editor. */
    "masks-shown": boolean;
    /** Request to the caption editor to show images of a folder, by paths relative to it. */
    "show-images": {folder: string, paths: string[]};
    /** A tagging run has ended. */
    "captions-changed": {folder: string, run: string};
    /** A result of one of the webui's tabs, or of a run if `tab` is empty, is to be added to the dataset. */
    "add-to-dataset": {src: string, tab: string, prompt: string};
    /** A generated image is to be examined for its causes; `run` is the run that made it, empty if unknown. */
    "what-is-wrong": {src: string, prompt: string, run: string};
    /** The caption editor's selection has changed; `only`: the tagger should tag only these images. */
    "captions-selected": {count: number, only: boolean, paths: () => Promise<string[]>};
}
