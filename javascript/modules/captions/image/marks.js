/** The marks on an image in the grid, for what its file alone does not show. */

import {format} from "../../core/format.js";

/**
 * @param {import("../answers").Cell} cell
 * @returns {{text: string, title: string, level: ""|"warning"|"bad"}[]}
 */
export function marksOf(cell) {
    /** @type {ReturnType<typeof marksOf>} */
    const marks = [];
    if (cell.weight_problem) marks.push({text: "weight?", title: cell.weight_problem, level: "bad"});
    if (cell.weight !== 1) marks.push({text: `×${short(cell.weight)}`, title: `Loss weight ${short(cell.weight)}`, level: ""});
    if (cell.repeats === 0) marks.push({text: "left out", title: "0 repeats: not trained on", level: "warning"});
    else if (cell.repeats !== 1) marks.push({text: `${format.number(cell.repeats)} per epoch`, title: `Seen ${format.number(cell.repeats)} times per epoch, times the repeats of its folder`, level: ""});
    return marks;
}

/** @param {number} value @returns {string} */
function short(value) {
    return String(Number(value.toPrecision(3)));
}
