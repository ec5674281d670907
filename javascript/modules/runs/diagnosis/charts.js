/** Small charts of the diagnosis: curves over the measured steps, without axes, and thumbnails beside them. */

import {chart} from "../../core/chart.js";
import {h, svg, url} from "../../core/dom.js";

const WIDTH = 160;
const HEIGHT = 56;

/** @typedef {(number|null)[]} Curve */
/** @typedef {{curve: Curve, name: string}} Line its values at each step, and the name of its class */

/**
 * A chart that stretches to its element.
 * @param {number[]} steps @param {Line[]} lines drawn in order
 * @param {{low?: number, high: number, zero?: boolean, label: string}} options the range of values; zero: a line at 0
 */
export function curves(steps, lines, {low = 0, high, zero = false, label}) {
    const x = chart.scale(steps[0] ?? 0, steps[steps.length - 1] ?? 1, 2, WIDTH - 2);
    const y = chart.scale(low, high, HEIGHT - 2, 3);
    const clipped = (/** @type {number} */ value) => y(Math.max(low, Math.min(high, value)));
    return svg("svg", {class: "tl-diagnosis-chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none",
        role: "img", "aria-label": label},
    zero ? svg("line", {class: "tl-axis", x1: 0, x2: WIDTH, y1: y(0), y2: y(0)}) : null,
    lines.map(({curve, name}) => {
        /** @type {[number, number][]} */
        const points = curve.flatMap((value, index) => value === null ? [] : [[x(steps[index]), clipped(value)]]);
        return svg("path", {class: name, d: `${chart.line(points)}${points.length === 1 ? "h0.1" : ""}`});  // one point: a dot
    }));
}

/**
 * @param {string} folder of the dataset @param {string} path relative to it @param {number} [size] in pixels
 * @returns {string} empty if the image cannot be shown
 */
export function imageUrl(folder, path, size = 256) {
    return folder && path ? url(`thumbnail?${new URLSearchParams({folder, path, size: String(size)})}`) : "";
}

/**
 * A thumbnail that says so when its image is gone.
 * @param {string} folder @param {{path: string, name: string}} image @param {number} [size]
 */
export function thumbnail(folder, image, size = 256) {
    const src = imageUrl(folder, image.path, size);
    const box = h("span", {class: "tl-diagnosis-thumb"});
    const missing = () => {
        box.classList.add("tl-missing");
        box.textContent = "not found";
        box.title = `${image.name} is no longer at its place, or cannot be read.`;
    };
    if (!src) missing();
    else box.append(h("img", {src, alt: "", loading: "lazy", decoding: "async", on: {error: missing}}));
    return box;
}
