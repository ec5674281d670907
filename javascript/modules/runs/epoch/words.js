/** The words and numbers of "Which epoch", without the page. */

import {format} from "../../core/format.js";
import {waitingWords} from "../queue/waiting_words.js";

/** @typedef {import("../records").WhichEpoch} WhichEpoch */
/** @typedef {import("../records").EpochPoint} EpochPoint */

/** @type {Record<string, string>} how sure the proposal is */
const SURE = {clear: "clear", likely: "likely", unclear: "uncertain", single: "the only file", guess: "a guess"};

/** @type {Record<string, string>} what the loss was measured on */
const MEASURED_ON = {held_out: "held-out images", versions: "other versions of training images", mirrored: "mirrored images",
    enlarged: "enlarged images"};

/** @param {WhichEpoch} found @returns {string} */
export function headline(found) {
    if (!found.path) return found.sure === "flat" ? "No epoch stands out" : "No epoch can be proposed yet";
    const strength = found.strength === null ? "" : ` at strength ${found.strength}`;
    return `${found.label[0].toUpperCase()}${found.label.slice(1)}${strength}`;
}

/** @param {WhichEpoch} found @returns {string} how sure it is, empty without a proposal */
export function sureWords(found) {
    return found.path ? SURE[found.sure] || "" : "";
}

/**
 * @param {{features: string, features_dir: string}} found
 * @returns {string} how to get a model of image features, empty if one was used
 */
export function featuresHint({features, features_dir: folder}) {
    return features ? "" : "To compare the images with the set by image features, too, put a model such as CLIP or DINO (ONNX, " +
        `only its part for images) into a folder of its own in ${folder}, and measure. Nothing is downloaded.`;
}

/**
 * @param {{state: string, text: string, done: number|null, total: number|null, seconds_left: number|null}} job that measures
 * @param {import("../../core/types").RunSummary[]} runs of the page
 * @returns {string} "Measuring the saved files · 40 of 120 · 1 min left"
 */
export function measuringWords({state, text, done, total, seconds_left: left}, runs) {
    if (state === "waiting") return waitingWords(runs);
    const far = total ? `${format.number(done || 0)} of ${format.number(total)}` : "";
    return [text || "Starting", far, format.left(left)].filter(Boolean).join(" · ");
}

/** @param {unknown} value @returns {string} a setting that a remedy changes */
export function valueText(value) {
    if (value === null || value === "") return "empty";
    if (!Array.isArray(value)) return String(value);
    return value.length ? `${value.length} more` : "none";
}

/** @param {number} strength @returns {string} what follows a LoRA's name in a prompt */
export function promptEnd(strength) {
    return `:${Number(strength.toFixed(2))}`;
}

/**
 * @typedef {object} Line
 * @property {string} name its class
 * @property {string} key its name in the legend
 * @property {(number|null)[]} values one for each point
 */
/**
 * @typedef {object} Panel
 * @property {string} title
 * @property {boolean} fromZero whether the axis begins at 0
 * @property {Line[]} lines
 */

/**
 * The panels of the chart, one below the other; those without measurements are left out.
 * @param {EpochPoint[]} points @param {string} [measuredOn] what stands for held-out images, see `MEASURED_ON`
 * @returns {Panel[]}
 */
export function panelsOf(points, measuredOn = "held_out") {
    const values = (/** @type {(point: EpochPoint) => number|null} */ read) => points.map(read);
    const heldOut = points.some((point) => point.held_out !== null);
    /** @type {Panel[]} */
    const panels = [
        {title: heldOut ? "Loss" : "Loss on training images", fromZero: false, lines: [
            {name: heldOut ? "tl-line-muted tl-dashed" : "tl-line-unet", key: "training images", values: values((point) => point.trained)},
            {name: "tl-line-unet", key: MEASURED_ON[measuredOn] || "held-out images", values: values((point) => point.held_out)}]},
        {title: "Drift without the trigger word", fromZero: true, lines: [
            {name: "tl-line-unet", key: "drift", values: values((point) => point.drift)}]},
        {title: "Samples, by the tagger", fromZero: true, lines: [
            {name: "tl-line-text", key: "flexibility", values: values((point) => point.flexibility)},
            {name: "tl-line-unet", key: "likeness", values: values((point) => point.likeness)}]},
        {title: "Samples, by image features", fromZero: false, lines: [
            {name: "tl-line-text", key: "likeness to the set", values: values((point) => point.to_set)},
            {name: "tl-line-unet", key: "to the nearest image", values: values((point) => point.to_nearest)}]},
        {title: "Samples that look like one training image", fromZero: true, lines: [
            {name: "tl-line-unet", key: "share", values: values((point) => point.copies)}]}];
    return panels.map((panel) => ({...panel, lines: panel.lines.filter((line) =>
        line.values.some((value) => value !== null))})).filter((panel) => panel.lines.length);
}

/**
 * The stretches of neighbouring points that are equal within the measuring error.
 * @param {EpochPoint[]} points
 * @returns {[number, number][]} first and last index of each
 */
export function stretches(points) {
    /** @type {[number, number][]} */
    const found = [];
    points.forEach((point, index) => {
        if (!point.alike) return;
        const last = found[found.length - 1];
        if (last && last[1] === index - 1) last[1] = index;
        else found.push([index, index]);
    });
    return found;
}

/** @param {EpochPoint} point @returns {string} its measurements in one line */
export function inWords(point) {
    const parts = [point.label];
    if (point.held_out !== null) parts.push(`held-out loss ${point.held_out.toFixed(4)}`);
    if (point.trained !== null) parts.push(`on training images ${point.trained.toFixed(4)}`);
    if (point.drift !== null) parts.push(`drift ${point.drift.toFixed(2)}`);
    if (point.likeness !== null) parts.push(`likeness ${Math.round(100 * point.likeness)} %`);
    if (point.flexibility !== null) parts.push(`flexibility ${Math.round(100 * point.flexibility)} %`);
    if (point.to_nearest !== null) parts.push(`image features ${point.to_nearest.toFixed(2)} like the nearest training image`);
    if (point.copies !== null) parts.push(`like one training image ${Math.round(100 * point.copies)} %`);
    return parts.join(", ");
}
