/** The tools below the chosen image of the caption editor, in the order shown; each is a module beside this one. */

import {cropTool} from "./crop.js";
import {maskTool} from "../masks/paint.js";
import {sendTool} from "./send.js";
import {weightTool} from "./weight.js";

/**
 * @typedef {object} ToolContext what a tool works on
 * @property {import("../set.js").CaptionSet} set `set.edit` changes files as one undo step, and reloads what changed
 * @property {import("../answers").PictureFacts} picture the chosen image
 * @property {HTMLElement} opener the tool's button, to return the focus to
 */
/**
 * @typedef {object} ImageTool
 * @property {string} label
 * @property {string} title
 * @property {boolean} [anySize] whether it also works on an image whose size is not known
 * @property {(context: ToolContext) => void} open
 */

/** @type {ImageTool[]} */
export const TOOLS = [cropTool, maskTool, weightTool, sendTool];
