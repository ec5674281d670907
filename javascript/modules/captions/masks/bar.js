/** The masks in the bar above the images: whether they are shown, how many there are, and making them. */

import {emit, h, setText, store} from "../../core/dom.js";
import {format} from "../../core/format.js";
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

/** @param {import("../set.js").CaptionSet} set @returns {HTMLElement} a switch to show masks, with their number */
export function maskSwitch(set) {
    const words = h("span", {}, "Show masks");
    const box = h("input", {type: "checkbox", id: "tl_show_masks", checked: shown, on: {change: (event) => {
        shown = event.currentTarget.checked;
        store.set(SHOWN, shown);
        emit("masks-shown", shown);
    }}});
    set.when("view", () => {
        const count = set.shown.masks;
        setText(words, count ? `Show masks (${format.number(count)})` : "Show masks");
    });
    return h("label", {class: "tl-tick", title: "Tint what is not trained. Filter by mask or nomask."}, box, words);
}

/** @param {import("../set.js").CaptionSet} set @returns {HTMLElement} */
export function makeMasksButton(set) {
    return button("Make masks", {small: true, kind: "quiet", id: "tl_masks_open",
        title: "Masks for many images: by border color, around faces, or by a model", click: () => makeMasks(set)});
}
