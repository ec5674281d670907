/** What a masking run will do and has done, in words. */

import {format} from "../../core/format.js";

/** @typedef {import("../../core/types").EndingEvent} EndingEvent */

/** @type {Record<string, string|undefined>} settings that only one method has */
export const METHOD_FIELDS = {"mask.tolerance": "border", "mask.enclosed": "border", "mask.head_factor": "face",
    "mask.model": "subject", "mask.threshold": "subject", "mask.provider": "subject"};

/**
 * @param {import("../answers").MaskFacts} facts @param {string} mode
 * @returns {{made: number, kept: number, words: string}} how many images get a mask and how many keep theirs
 */
export function madeCount({images, masks, automatic}, mode) {
    const kept = mode === "replace-all" ? 0 : mode === "replace-automatic" ? masks - automatic : masks;
    const made = images - kept;
    const replaced = masks - kept;
    const parts = [`${format.plural(made, "image")} ${made === 1 ? "gets" : "get"} a mask`];
    if (kept) parts.push(`${format.number(kept)} ${kept === 1 ? "keeps the one it has" : "keep those they have"}`);
    if (replaced) parts.push(`${format.plural(replaced, "mask")} ${replaced === 1 ? "is" : "are"} replaced and kept in the set's trash`);
    return {made, kept, words: `${parts.join(", ")}. One undo reverts the whole run.`};
}

/** @param {EndingEvent} ending the run's last event @returns {import("../../core/types").Finding} */
export function doneWords(ending) {
    if (ending.event === "error") return {level: "error", text: ending.text || ""};
    const {pictures = 0, written = 0, had_masks = 0, failed = 0, changed_meanwhile = 0, seconds = 0} = ending;
    const parts = ending.mode === "preview" ? [`a preview of ${format.plural(pictures, "mask")}`]
        : [`${format.plural(written, "mask")} made`];
    if (had_masks) parts.push(`${format.plural(had_masks, "image")} kept existing masks`);
    if (failed) parts.push(`${format.plural(failed, "image")} without a mask`);
    if (changed_meanwhile) parts.push(`${format.number(changed_meanwhile)} changed meanwhile and left alone`);
    const undo = written ? " One undo (Ctrl+Z) in the editor reverts it all." : "";
    return {level: ending.event === "finished" && !failed ? "good" : "note",
        text: `${ending.event === "finished" ? "Done" : "Stopped"}: ${parts.join(", ")}, in ${format.duration(Math.max(1, seconds))}.${undo}`};
}
