/** The folders of a dataset, each with its own repeats, keep tokens, flips and loss weight. */

import {h} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {form} from "../form.js";

const KEY = "dataset.concept_settings";

/** @typedef {import("../answers").Concept} Concept */

/** @returns {Map<string, Record<string, string>>} the settings of each folder, from the lines of the job */
function read() {
    const folders = new Map();
    const lines = form.get(KEY);
    for (const text of Array.isArray(lines) ? lines.map(String) : []) {
        const colon = text.lastIndexOf(":");
        const pairs = text.slice(colon + 1).split(/[\s,]+/).filter(Boolean).map((part) => part.split("="));
        folders.set(text.slice(0, colon).trim(), Object.fromEntries(pairs));
    }
    return folders;
}

/** @param {string} folder @param {string} name of the setting @param {string} value empty for the dataset's value */
function write(folder, name, value) {
    const folders = read();
    /** @type {Record<string, string>} */
    const own = {...folders.get(folder), [name]: value};
    if (value === "") delete own[name];
    folders.set(folder, own);
    form.set(KEY, [...folders].filter(([, values]) => Object.keys(values).length).map(([place, values]) =>
        `${place}: ${Object.entries(values).map((pair) => pair.join("=")).join(" ")}`));
}

/** @param {Concept[]} concepts @returns {HTMLElement|null} */
export function conceptTable(concepts) {
    if (concepts.length < 2) return null;
    const own = read();
    const titles = ["Folder", "Images", "Repeats", "Keep tokens", "Flip", "Loss weight", "Seen per epoch"];
    return h("div", {class: "tl-table-scroll"}, h("table", {class: "tl-table tl-concepts"},
        h("thead", {}, h("tr", {}, titles.map((title) => h("th", {scope: "col"}, title)))),
        h("tbody", {}, concepts.map((concept) => row(concept, own.get(concept.folder) || {})))),
    h("p", {class: "tl-note"}, "Empty fields follow the folder's name and the settings below."));
}

/** @param {Concept} concept @param {Record<string, string>} own its own settings */
function row({name, folder, repeats, pictures}, own) {
    const named = Number((folder.match(/^(\d+)_/) || [])[1]) || Number(form.get("dataset.dataset_repeats"));
    const title = name || folder;
    return h("tr", {}, h("td", {title: folder}, title), h("td", {}, format.number(pictures)),
        h("td", {}, box(folder, "dataset_repeats", own, named, `Repeats of ${title}`)),
        h("td", {}, box(folder, "keep_tokens", own, Number(form.get("dataset.keep_tokens")), `Keep tokens of ${title}`)),
        h("td", {}, mirror(folder, own, title)),
        h("td", {}, box(folder, "loss_weight", own, 1, `Loss weight of ${title}`)), h("td", {}, format.number(pictures * repeats)));
}

/**
 * @param {string} folder @param {string} name of the setting @param {Record<string, string>} own
 * @param {number} usual the value used if it is empty @param {string} label
 */
function box(folder, name, own, usual, label) {
    return h("input", {type: "text", inputmode: "numeric", class: "tl-input tl-tiny-input", value: own[name] || "",
        placeholder: String(usual), "aria-label": label, data: {concept: folder, name}, autocomplete: "off",
        on: {change: (event) => write(folder, name, event.currentTarget.value.replace(/[\s,:=]+/g, ""))}});
}

/** @param {string} folder @param {Record<string, string>} own @param {string} title */
function mirror(folder, own, title) {
    const usual = form.get("dataset.flip_aug") ? "default (yes)" : "default (no)";
    return h("select", {class: "tl-input tl-select tl-tiny-input", "aria-label": `Flip images of ${title}`,
        data: {concept: folder, name: "flip_aug"}, value: own.flip_aug || "",
        on: {change: (event) => write(folder, "flip_aug", event.currentTarget.value)}},
    [["", usual], ["true", "yes"], ["false", "no"]].map(([value, text]) => h("option", {value}, text)));
}

/** @param {HTMLElement} place that is rendered again @returns {() => void} restores the focus in the table */
export function conceptFocus(place) {
    const {concept, name} = place.contains(document.activeElement) && document.activeElement instanceof HTMLElement ?
        document.activeElement.dataset : {concept: "", name: ""};
    return () => {
        if (!concept) return;
        for (const element of place.querySelectorAll("[data-concept]")) {
            if (element instanceof HTMLElement && element.dataset.concept === concept && element.dataset.name === name) element.focus({preventScroll: true});
        }
    };
}
