/** What the button of the caption actions says. */

import {format} from "../../core/format.js";

/** @typedef {"add"|"remove"|"replace"|"pattern"|"sort"|"dedupe"|"crop"|"pictures"} Verb */

/** @type {Record<string, string>} */
export const PICTURES = {move: "Move", copy: "Copy", delete: "Delete", upscale: "Upscale"};

/** @type {Record<Exclude<Verb, "crop"|"pictures">, string>} the button's label, before the number of captions */
const BUTTONS = {add: "Add to", remove: "Remove from", replace: "Replace in", pattern: "Use regex on", sort: "Sort",
    dedupe: "Remove duplicates in"};

/**
 * @param {Verb} verb @param {string} what the image action: move, copy, delete or upscale
 * @param {number} count of captions or images @returns {string} the button's label
 */
export function goWords(verb, what, count) {
    if (verb === "crop") return `Search ${format.plural(count, "image")}`;
    if (verb !== "pictures") return `${BUTTONS[verb]} ${format.plural(count, "caption")}`;
    return count ? `${PICTURES[what]} ${format.plural(count, "image")}` : "Select images first";
}
