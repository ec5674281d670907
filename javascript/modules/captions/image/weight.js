/** The dialog for an image's loss weight and repeats, or those of all selected images. */

import {dialog} from "../../core/dialog.js";
import {h} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button} from "../../core/parts.js";

const MOST_WEIGHT = 100;
const LEAST_WEIGHT = 0.01;
const MOST_REPEATS = 1000;

/** @typedef {import("./tools.js").ToolContext} ToolContext */
/** @typedef {import("../answers").Cell} Cell */

/** @type {import("./tools.js").ImageTool} */
export const weightTool = {label: "Weight", title: "How much this image counts, and how often it is seen",
    anySize: true, open: ({set, picture, opener}) => open(set, picture, opener)};

/** @param {import("../set.js").CaptionSet} set @param {Cell} picture @param {HTMLElement} opener */
function open(set, picture, opener) {
    const numbers = set.selected.size > 1 && set.selected.has(picture.number) ? [...set.selected] : [picture.number];
    const known = numbers.map((number) => (number === picture.number ? picture : set.cells.get(number)));
    const weight = field("tl_image_weight", shared(known, "weight"), {min: LEAST_WEIGHT, max: MOST_WEIGHT, step: "any"});
    const repeats = field("tl_image_repeats", shared(known, "repeats"), {min: 0, max: MOST_REPEATS, step: 1});
    const several = numbers.length > 1;
    const save = button(several ? `Save for ${format.number(numbers.length)} images` : "Save",
        {kind: "primary", id: "tl_weight_save", click: () => send()});
    const title = several ? `Weight of ${format.plural(numbers.length, "image")}` : `Weight of ${picture.name}`;
    const window = dialog(title, [
        several ? h("p", {class: "tl-note"}, "Empty fields keep what each image has.") : null,
        h("div", {class: "tl-weightform"},
            h("label", {class: "tl-label", for: weight.id}, "Loss weight"), h("div", {class: "tl-row"}, weight,
                quick([["½", "0.5"], ["1", "1"], ["2", "2"]], weight)),
            h("p", {class: "tl-note"}, "Multiplies the image's loss: at 0.5 it counts half, at 2 twice."),
            h("label", {class: "tl-label", for: repeats.id}, "Repeats"), h("div", {class: "tl-row"}, repeats,
                quick([["leave out", "0"], ["1", "1"], ["2", "2"], ["3", "3"]], repeats)),
            h("p", {class: "tl-note"}, "How often the image is seen per epoch, times the repeats of its folder. At 0 it is not trained on, but stays in the set."))],
    [button("Cancel", {click: () => window.close()}), save]);
    window.id = "tl_weight";
    window.addEventListener("close", () => opener.focus());
    weight.focus();
    weight.select();
    window.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && event.target instanceof HTMLInputElement) send();
    });

    function send() {
        if (![weight, repeats].every((input) => input.reportValidity())) return;
        window.close();
        set.edit("weights", {numbers, weight: valueOf(weight), repeats: valueOf(repeats)});
    }
}

/** @param {(Cell|undefined)[]} cells @param {"weight"|"repeats"} name @returns {number|null} what all have; null if they differ */
export function shared(cells, name) {
    const values = new Set(cells.map((cell) => (cell ? cell[name] : null)));
    const [value] = values;
    return values.size === 1 ? value : null;
}

/** @param {HTMLInputElement} input @returns {number|null} */
function valueOf(input) {
    return input.value.trim() === "" ? null : Number(input.value);
}

/** @param {string} id @param {number|null} value @param {{min: number, max: number, step: number|string}} range */
function field(id, value, {min, max, step}) {
    return h("input", {type: "number", id, class: "tl-input tl-tiny-input", min: String(min), max: String(max), step: String(step),
        value: value === null ? "" : String(value), placeholder: value === null ? "mixed" : ""});
}

/** @param {string[][]} values label and value @param {HTMLInputElement} input */
function quick(values, input) {
    return values.map(([label, value]) => button(label, {small: true, kind: "quiet", click: () => {
        input.value = value;
        input.focus();
    }}));
}
