/** The responses of the routes below /train-lora/captions/, all of which are POST. */

import type {NamedTags, NearestImages, TagCauseFacts} from "./causes/answers";
import type {ChangesOfEdit, Completion, CropBatch, DrawingState, Doubts, EditList, EditOutcome, Examination, Growth, IntakePlan, MaskFacts, MaskPreview, Misunderstood, OnOff, Opened, PictureFacts, SentImage,
    Previews, SetState, Shown, Suggestions, Cell, UpscaleState} from "./answers";
import type {CommonTags, CopiedTags, CropOptions, FrameFacts, IncomingPlan, RenameFacts, Suspects, WayBack} from "./records";

export interface CaptionRoutes extends Omit<CaptionEdits, "doubtful/decide"> {
    open: Opened;
    refresh: SetState & {changed: boolean};
    view: Shown|Misunderstood;
    cells: {cells: Cell[]};
    picture: PictureFacts;
    complete: {tags: Completion[]};
    history: EditList;
    preview: Previews;
    consolidate: Suggestions;
    activation: {numbers: number[]};
    "on-off": OnOff;
    doubtful: Doubts;
    /** With `keep`, nothing is edited. */
    "doubtful/decide": SetState|EditOutcome;
    doctor: Examination;
    "mask/preview": MaskPreview;
    "mask/facts": MaskFacts;
    common: CommonTags;
    copied: CopiedTags & {text: string};
    paths: {paths: string[]};
    suspects: Suspects;
    /** null for a path without an image. */
    numbers: {numbers: (number|null)[]};
    "rename-tag": RenameFacts;
    "incoming/files": {files: string[]};
    "incoming/plan": IncomingPlan;
    /** An image as a data URL, its caption, and the size at which to draw it. */
    send: SentImage;
    upscale: UpscaleState;
    "upscale/state": UpscaleState;
    "upscale/stop": UpscaleState;
    /** `problem` says why this webui cannot upscale images for the tab; `size` is that of training. */
    "upscale/plan": {upscalers: string[], images: number, of: number, problem: string, size: number[]};
    grow: Growth;
    "grow/draw": DrawingState;
    "grow/stop": DrawingState;
    "grow/discard": {left: number};
    "grow/send": SentImage;
    "intake/begin": {intake: string, piece_bytes: number};
    "intake/plan": IntakePlan;
    "intake/cancel": SetState;
    "history/changes": {changes: ChangesOfEdit[]};
    "history/preview": WayBack;
    "crop/options": CropOptions;
    "crop/frame": FrameFacts;
    "crop/batch": CropBatch;
    "crop/batch/save": CropBatch;
    /** A generated image to examine, by its id. */
    "causes/sample": {sample: string, width: number, height: number};
    "causes/name": {run: string};
    "causes/named": NamedTags;
    "causes/tag": TagCauseFacts;
    "causes/nearest": NearestImages;
    "causes/confidences": {run: string};
}

/** Edits, each one undo step. */
export interface CaptionEdits {
    apply: EditOutcome;
    text: EditOutcome;
    undo: EditOutcome;
    redo: EditOutcome;
    "utf-8": EditOutcome;
    delete: EditOutcome;
    move: EditOutcome;
    copy: EditOutcome;
    "lower-case": EditOutcome;
    "rename-folder": EditOutcome;
    weights: EditOutcome;
    "crop/save": EditOutcome;
    "grow/add": EditOutcome & {added: number[]};
    "consolidate/accept": EditOutcome;
    "doubtful/decide": EditOutcome;
    "mask/save": EditOutcome;
    "mask/remove": EditOutcome;
    incoming: EditOutcome;
    "history/go": EditOutcome;
    "intake/add": EditOutcome;
    result: EditOutcome;
}
