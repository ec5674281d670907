/** The dataset of a run in the caption editor: loss weights and repeats of its images, and its Images view. */

import {emit} from "../../core/dom.js";
import {toast} from "../../core/parts.js";
import {showTab} from "../../core/shell.js";
import {CaptionSet} from "../../captions/set.js";

/** @typedef {{weight: number, repeats: number}} Weight */

/** The caption editor's session of the dataset, opened for the first edit. */
const set = new CaptionSet();

/**
 * Set the loss weight or repeats of an image, as one undo step of the caption editor.
 * @param {string} folder @param {string} path relative to it @param {Partial<Weight>} change
 * @returns {Promise<Weight|null>} what the image had before, null if nothing was changed
 */
export async function setWeight(folder, path, change) {
    await set.open(folder);
    const {numbers: [number]} = await set.ask("numbers", {paths: [path]});
    if (number === null) {
        toast("error", `${path} is no longer in ${folder}. It may have been moved or renamed since the run.`);
        return null;
    }
    const {cells: [before]} = await set.ask("cells", {numbers: [number]});
    const {weight = null, repeats = null} = change;
    const outcome = await set.edit("weights", {numbers: [number], weight, repeats});
    return outcome ? {weight: before.weight, repeats: before.repeats} : null;
}

/** Open Captions › Images with these images selected. @param {string} folder @param {string[]} paths */
export function showInCaptions(folder, paths) {
    showTab("captions");
    emit("show-images", {folder, paths});
}
