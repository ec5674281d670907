/** What a CaptionSet tells with `when`: the messages by name, each with what it carries. */

import type {FilterProblem} from "./answers";

export interface SetMessages {
    /** A dataset was opened; `same` is true if it was open before. */
    opened: {same: boolean};
    /** Other pictures or tags are shown. */
    view: undefined;
    /** What is known of these pictures has arrived. */
    cells: number[];
    /** Other pictures are chosen, or another one is current. */
    selection: undefined;
    /** The captions of these pictures have changed. */
    edited: number[];
    /** The filter is not understood; null when it is again. */
    problem: FilterProblem|null;
    /** An edit is under way, or has ended. */
    busy: boolean;
    conflict: Conflict;
}
/** Files that were changed by others since an edit, so that it cannot be taken back with them. */
export interface Conflict { verb: "Undo"|"Redo"; files: string[]; again: (leave: string[]) => void }
