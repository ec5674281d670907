/** What the bars above the images have for masks: the words of the filter, showing masks, and making them. */

import {emit, h, store} from "../../core/dom.js";
import {button} from "../../core/parts.js";
import {makeMasks} from "./make.js";

const SHOWN = "captions.masks";

let shown = store.get(SHOWN, false);

/** @returns {boolean} whether masks are shown over the images */
export const masksShown = () => shown;

/** The words of the filter that are not tags, with what they find. */
const WORDS = [["mask", "images with a mask"], ["nomask", "images without a mask"], ["nocaption", "images without a caption"],
    ["prose", "captions in sentences"]];

/** @param {string} id @returns {HTMLElement} completions for the filter */
export function filterWords(id) {
    return h("datalist", {id}, WORDS.map(([value, label]) => h("option", {value, label})));
}

/** @returns {HTMLElement} a switch to show masks */
export function maskSwitch() {
    const box = h("input", {type: "checkbox", id: "tl_show_masks", checked: shown, on: {change: (event) => {
        shown = event.currentTarget.checked;
        store.set(SHOWN, shown);
        emit("masks-shown", shown);
    }}});
    return h("label", {class: "tl-tick", title: "Tint what is not trained. Filter by mask or nomask."}, box, "Show masks");
}

/** @param {import("../set.js").CaptionSet} set @returns {HTMLElement} */
export function makeMasksButton(set) {
    return button("Make masks", {small: true, kind: "quiet", id: "tl_masks_open",
        title: "Masks for many images: by border color, around faces, or by a model", click: () => makeMasks(set)});
}
