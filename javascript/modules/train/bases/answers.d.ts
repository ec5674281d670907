/** Responses of the routes below /train-lora/bases: lib_lora_train/ui/train/bases. */

/** A tree of checkpoints: a leaf is the number of one. */
export type TreeNode = {leaf: number}|{distance: number, children: TreeNode[]};

export interface ComparedBase {
    path: string;
    name: string;
    bytes: number;
    family: string;
    mark: number[];
    /** Within SDXL, such as Pony; empty if unknown. */
    base: string;
    base_from: string;
    styles: string[];
    style_from: string;
    precision: string;
    /** From the metadata of a merge; `there` is the number of the file, null if it is not there. */
    parents: {name: string, there: number|null}[];
    recipe: string;
    mixture: {first: number, second: number, share: number, lowest: number, highest: number, residual: number}|null;
    problems: string[];
    notes: string[];
    fit: {level: string, text: string};
}

/** /bases/runs/ID/result */
export interface BasesResult {
    id: string;
    version: number;
    created: number;
    bases: ComparedBase[];
    /** Null where two files cannot be compared. */
    distances: (number|null)[][];
    text_distances: (number|null)[][];
    trees: TreeNode[];
    captions: string;
    caption_style: string;
    /** The number of the form's checkpoint, null if it was not compared. */
    chosen: number|null;
    outdated: string[];
}
