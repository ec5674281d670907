/** The search for settings, by label, sd-scripts' name and help text. */

import {fill, h, uniqueId} from "../../core/dom.js";
import {showTab} from "../../core/shell.js";
import {form} from "../form.js";
import {PLACES} from "./places.js";
import {reveal} from "./sections.js";

/** @typedef {import("../../core/types").Setting} Setting */
/**
 * @typedef {object} Hit
 * @property {string} title
 * @property {string} about where it is, or a note
 * @property {string} name sd-scripts' name, empty if there is none
 * @property {(() => void)|null} go null if there is nothing to go to
 * @property {number} rank lower is better
 */

const MOST = 8;

/** @returns {HTMLElement} */
export function settingsSearch() {
    const id = uniqueId("hits");
    /** @type {Hit[]} */
    let hits = [];
    let chosen = 0;
    const list = h("ul", {id, class: "tl-hits", role: "listbox", "aria-label": "Settings found", hidden: true});
    const input = h("input", {type: "search", class: "tl-input tl-search", id: "tl_search", role: "combobox",
        placeholder: "Search settings: rank, clip_skip, resume …", "aria-label": "Search settings",
        "aria-controls": id, "aria-expanded": "false", autocomplete: "off", spellcheck: "false", on: {
            input: () => search(), focus: () => search(), blur: () => setTimeout(closeIfLeft, 150),
            keydown: (event) => onKey(event)}});

    function search() {
        hits = find(input.value);
        chosen = hits.findIndex((hit) => hit.go);
        show();
    }

    function show() {
        const asked = input.value.trim() !== "";
        list.hidden = !asked;
        input.setAttribute("aria-expanded", String(asked));
        fill(list, hits.length ? hits.map(row) : asked ? h("li", {class: "tl-hit tl-hit-none"},
            "No setting has these words in its name or help.") : null);
    }

    /** @param {Hit} hit @param {number} place */
    function row(hit, place) {
        return h("li", {class: `tl-hit${hit.go ? "" : " tl-hit-none"}`, role: "option",
            "aria-selected": String(place === chosen), on: {mousedown: (event) => event.preventDefault(),
                click: () => take(hit)}},
        h("span", {class: "tl-hit-title"}, hit.title), hit.name ? h("code", {class: "tl-hit-name"}, hit.name) : null,
        h("span", {class: "tl-hit-about"}, hit.about));
    }

    /** @param {Hit|undefined} hit */
    function take(hit) {
        if (!hit || !hit.go) return;
        close();
        hit.go();
    }

    function close() {
        list.hidden = true;
        input.setAttribute("aria-expanded", "false");
    }

    function closeIfLeft() {
        if (document.activeElement !== input) close();  // else one has come back meanwhile
    }

    /** @param {KeyboardEvent} event */
    function onKey(event) {
        const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
        if (step && hits.length) {
            for (let place = chosen + step; place >= 0 && place < hits.length; place += step) {
                if (!hits[place].go) continue;
                chosen = place;
                break;
            }
            show();
        } else if (event.key === "Enter") take(hits[chosen]);
        else if (event.key === "Escape" && !list.hidden) close();
        else return;
        event.preventDefault();
    }

    return h("div", {class: "tl-searchbox"}, input, list);
}

/** @param {string} text @returns {Hit[]} the best first */
export function find(text) {
    const words = text.toLowerCase().replace(/^--/, "").split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const found = [...form.settings.values()].flatMap((setting) => {
        const place = placeOf(setting);
        return place ? hit({main: setting.view === "main", title: setting.label, name: setting.sd_scripts || setting.name, words: setting.name,
            text: `${setting.help} ${setting.advice} ${setting.group}`, ...place}, words) : [];
    });
    const places = PLACES.flatMap((place) => hit({title: place.title, name: "", words: place.words, text: place.about,
        about: place.about, go: place.tab ? () => goTo(place) : null}, words));
    const options = Object.entries(form.options).flatMap(([name, about]) => hit({title: name, name: "", words: name, text: about,
        about, go: null}, words));
    return [...found, ...places, ...options].sort((one, other) => one.rank - other.rank).slice(0, MOST);
}

/**
 * @param {{title: string, name: string, words: string, text: string, about: string, go: (() => void)|null,
 *     main?: boolean}} entry
 * @param {string[]} words @returns {Hit[]} one or none
 */
function hit({title, name, words: names, text, about, go, main}, words) {
    const called = `${title} ${name} ${names}`.toLowerCase();
    const all = `${called} ${called.replaceAll("_", " ")} ${text.toLowerCase()}`;
    if (!words.every((word) => all.includes(word) || all.includes(word.replaceAll("_", " ")))) return [];
    const asked = words.join(" ");
    const exact = [title.toLowerCase(), name.toLowerCase(), names].includes(asked);
    const inName = words.every((word) => called.includes(word));
    const isWord = title.toLowerCase().split(/[^\p{L}\p{N}]+/u).includes(asked);
    const rank = exact ? 0 : isWord || called.startsWith(asked) ? 1 : inName ? 2 : 3;
    return [{title, name, about, go, rank: rank - (main ? 0.5 : 0)}];
}

/** @param {Setting} setting @returns {{about: string, go: () => void}|null} null if it has no field on the page */
function placeOf(setting) {
    if (!document.querySelector(`#tl-panel-train [data-key="${setting.key}"]`)) return null;
    return {about: setting.section, go: () => focus(setting.key)};
}

/** @param {string} key */
function focus(key) {
    showTab("train");
    const field = reveal(key);
    if (field) light(field);
}

/** @param {import("./places.js").Place} place */
function goTo(place) {
    showTab(place.tab);
    const element = place.selector ? document.querySelector(place.selector) : null;
    if (element instanceof HTMLElement) light(element);
}

/** @param {HTMLElement} element */
function light(element) {
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({block: "center", behavior: reduced ? "auto" : "smooth"});
    const typed = "input, select, textarea";
    const control = element.matches(typed) ? element : element.querySelector(typed) ||
        element.querySelector("button:not([hidden])");
    if (control instanceof HTMLElement) control.focus({preventScroll: true});
    element.classList.add("tl-lit");
    setTimeout(() => element.classList.remove("tl-lit"), 1600);
}
