/** The messages of a CaptionSet, for `when`: their names and details. */

import type {FilterProblem} from "./answers";

export interface SetMessages {
    /** A dataset was opened; `same` is true if it was open before. */
    opened: {same: boolean};
    /** The shown images or tags have changed. */
    view: undefined;
    /** The data of these images has arrived. */
    cells: number[];
    /** The selection or the current image has changed. */
    selection: undefined;
    /** The captions of these images have changed. */
    edited: number[];
    /** The filter has an error; null when it is fixed. */
    problem: FilterProblem|null;
    /** An edit is in progress, or has ended. */
    busy: boolean;
    conflict: Conflict;
}
/** Files that other programs changed since an edit, which prevent its undo or redo. */
export interface Conflict { verb: "Undo"|"Redo"; files: string[]; again: (leave: string[]) => void }
