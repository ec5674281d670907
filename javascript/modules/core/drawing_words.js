/** The progress of a generation job, in words. */

import {format} from "./format.js";

/**
 * @param {Pick<import("./types").DrawingFacts, "state"|"done"|"total"|"seconds_left">} facts
 * @returns {string} "Image 3 of 12, 1 min left"
 */
export function drawingWords({state, done, total, seconds_left: seconds}) {
    if (state === "waiting" && !done) return "Waiting for the webui";
    if (state === "queued" && !done) return `Queued: ${format.plural(total, "image")}`;
    const left = format.left(seconds);
    return `Image ${Math.min(done + 1, total)} of ${total}${left ? `, ${left}` : ""}`;
}
