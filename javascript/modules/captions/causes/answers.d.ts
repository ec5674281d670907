/** Responses of the routes below captions/causes: lib_lora_train/ui/captions/causes/. */

import type {Cell, SetState} from "../answers";
import type {NamedTag, TagCause} from "../records";

/** The tags that the tagger found; `captions` and `untagged` count the images of the set with it. */
export interface NamedTags { tagged: boolean; tags: (NamedTag & {captions: number, untagged: number})[] }
/** `cells`: the first images of each list. */
export interface TagCauseFacts extends TagCause, SetState { cells: Cell[] }
export interface NearestImages {
    state: "running"|"ready"|"failed";
    done: number;
    total: number;
    seconds_left: number|null;
    problem: string;
    stopped: boolean;
    nearest: NearImage[];
}
/** `kind`: "copy" if the sample is nearly the same image, "close" if it is much nearer to this one than to any other. */
export interface NearImage { likeness: number; kind: "copy"|"close"|""; mirrored: boolean; cell: Cell }
