/** Estimates the duration of a plot from the time per image in earlier plots. */

import {format} from "../core/format.js";

/**
 * @param {import("./answers").Pace|null} pace null if not measured
 * @param {{pictures: number, steps: number, width: number, height: number, checkpoints: number}} plot checkpoints is
 * how many are used, 1 for only the webui's
 * @returns {string} "12 pictures, about 2 min"
 */
export function estimateText(pace, {pictures, steps, width, height, checkpoints}) {
    const count = format.plural(pictures, "image");
    if (!pace) return `${count}, time unknown before the first plot with this checkpoint`;
    const each = pace.seconds * (steps / pace.steps) * (width * height / pace.pixels);
    if (!Number.isFinite(each) || each <= 0) return count;
    return `${count}, about ${format.duration(Math.max(1, pictures * each))}` +
        `${checkpoints > 1 ? `, and the loading of ${checkpoints} checkpoints` : ""}`;
}
