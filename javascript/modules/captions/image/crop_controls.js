/** The controls beside the stage of a crop: ratio, proposals, turning, size, and what becomes of the result. */

import {h} from "../../core/dom.js";
import {button} from "../../core/parts.js";

const SLIDER_DEGREES = 15;

/**
 * @typedef {object} CropActions what the controls do
 * @property {(ratio: number) => void} ratio width by height, 0 for any
 * @property {(by: 1|-1) => void} quarter turn by 90°, clockwise for 1
 * @property {() => void} mirror
 * @property {(degrees: number) => void} straighten clockwise
 * @property {() => void} whole crop nothing
 * @property {() => void} trim
 * @property {() => void} trimPlain
 * @property {() => void} refresh the kind of result has changed
 * @property {() => void} save
 */

export class CropControls {
    /** @param {CropActions} actions */
    constructor(actions) {
        this.ratio = h("select", {class: "tl-input tl-select", id: "tl_crop_ratio", "aria-label": "Ratio",
            on: {change: () => actions.ratio(Number(this.ratio.value))}}, h("option", {value: "0"}, "Free"));
        this.ratioPart = part("Ratio", this.ratio);
        this.proposalList = h("div", {class: "tl-crop-buttons"}, h("span", {class: "tl-note"}, "Searching for faces and details …"));
        this.facesNote = h("p", {class: "tl-note", hidden: true}, "");
        this.proposalPart = part("Proposals", this.proposalList, this.facesNote);
        this.slider = h("input", {type: "range", class: "tl-crop-slider", min: String(-SLIDER_DEGREES), max: String(SLIDER_DEGREES), step: "0.1",
            value: "0", "aria-label": "Straighten", on: {input: () => actions.straighten(Number(this.slider.value))}});
        this.degrees = h("input", {type: "number", class: "tl-input tl-crop-degrees", id: "tl_crop_degrees", min: "-45", max: "45", step: "0.1",
            value: "0", "aria-label": "Straighten, in degrees", on: {change: () => actions.straighten(Number(this.degrees.value))}});
        this.trim = small("Trim borders", "Cut off bars and frames of one color", actions.trim);
        this.trimPlain = small("Trim plain background", "Cut off the background of one color around the subject", actions.trimPlain);
        this.trim.hidden = this.trimPlain.hidden = true;
        this.turnPart = part("Rotate and trim", h("div", {class: "tl-crop-buttons"}, small("↺ 90°", "Rotate left", () => actions.quarter(-1)),
            small("↻ 90°", "Rotate right", () => actions.quarter(1)), small("Flip", "Mirror left to right", actions.mirror),
            small("Whole image", "Crop nothing", actions.whole)),
        h("div", {class: "tl-crop-straighten"}, h("span", {class: "tl-note"}, "Straighten"), this.slider, this.degrees, h("span", {class: "tl-note"}, "°")),
        h("div", {class: "tl-crop-buttons"}, this.trim, this.trimPlain));
        this.size = h("p", {class: "tl-crop-size", "aria-live": "polite"}, "");
        this.warning = h("div", {class: "tl-crop-warning", hidden: true});
        this.sizePart = part("Size", this.size, this.warning);
        const radio = (/** @type {string} */ id, /** @type {boolean} */ checked) =>
            h("input", {type: "radio", name: "tl_crop_result", id, checked, on: {change: actions.refresh}});
        this.asNew = radio("tl_crop_new", true);
        this.inPlace = radio("tl_crop_in_place", false);
        this.resultNote = h("p", {class: "tl-note"}, "");
        this.resultPart = part("Result", h("label", {class: "tl-tick"}, this.asNew, "A new image, with its own caption"),
            h("label", {class: "tl-tick"}, this.inPlace, "In place; the original goes to the set's trash"), this.resultNote);
        this.save = button("Save", {kind: "primary", id: "tl_crop_save", click: actions.save});
        this.saved = h("span", {class: "tl-note tl-crop-saved", role: "status"}, "");
    }
}

/** @param {string} label @param {string} title @param {() => void} click */
function small(label, title, click) {
    return button(label, {small: true, title, click});
}

/** @param {string} title @param {...import("../../core/elements").Child} children */
function part(title, ...children) {
    return h("section", {class: "tl-crop-part"}, h("h4", {class: "tl-subtitle"}, title), children);
}

/**
 * The training sizes as ratios, widest last. Sizes of nearly the same ratio count as one, the largest.
 * @param {number[][]} sizes @returns {{ratio: number, words: string}[]}
 */
export function ratiosOf(sizes) {
    /** @type {Map<string, number[]>} */
    const found = new Map();
    for (const size of sizes) {
        const key = (size[0] / size[1]).toFixed(3);
        const known = found.get(key);
        if (!known || known[0] < size[0]) found.set(key, size);
    }
    return [...found.values()].sort((a, b) => a[0] / a[1] - b[0] / b[1]).map(([width, height]) =>
        ({ratio: width / height, words: `${width} × ${height}${width === height ? " (square)" : width > height ? " (wide)" : " (tall)"}`}));
}
