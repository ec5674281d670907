/**
 * Help and advice for a setting: a note beside the field that has the focus or the pointer. It covers the other
 * column, so that nothing moves and no field is hidden; in a single-column layout it is shown above the field, only
 * while that has the focus.
 */

import {fill, h, later} from "../core/dom.js";
import {format} from "../core/format.js";
import {icon} from "../core/parts.js";
import {valueInWords} from "./fields.js";
import {form} from "./form.js";

const WIDTH = 320;
const REST = 350;

/**
 * @param {HTMLElement} place the positioned element that contains the note
 * @param {HTMLElement} column with the fields
 */
export function explainFields(place, column) {
    const text = h("div", {class: "tl-explain-text"});
    const note = h("aside", {class: "tl-explain", "aria-hidden": "true", hidden: true}, text);
    /** @type {HTMLElement|null} */
    let focused = null;
    /** @type {HTMLElement|null} */
    let shown = null;
    place.append(note);

    const fieldAt = (/** @type {Event} */ event) =>
        (event.target instanceof Element ? /** @type {HTMLElement|null} */ (event.target.closest(".tl-field")) : null);
    const rightOf = (/** @type {Element} */ element) => element.getBoundingClientRect().right;
    const roomBeside = () => rightOf(place) - rightOf(column) > WIDTH + 16;

    /** @param {HTMLElement|null} field */
    function show(field) {
        const setting = field && form.settings.get(field.dataset.key || "");
        shown = setting ? field : null;
        note.hidden = !shown;
        if (!field || !setting) return;
        const advice = h("p", {class: "tl-explain-advice"}, icon("bulb"), h("span", {}, setting.advice));
        const names = setting.sd_scripts || setting.name;
        fill(text, h("p", {class: "tl-explain-title"}, field.querySelector(".tl-label")?.textContent),
            h("p", {}, setting.help), setting.advice ? advice : null,
            h("p", {class: "tl-explain-facts"}, facts(setting), h("span", {
                class: names.includes(" ") ? null : "tl-nowrap"}, `In sd-scripts: ${names}.`)));
        move(field);
    }

    /** @param {HTMLElement} field */
    function move(field) {
        const outer = place.getBoundingClientRect();
        const box = field.getBoundingClientRect();
        const columnBox = column.getBoundingClientRect();
        const beside = roomBeside();
        const top = beside ? box.top : box.top - note.offsetHeight - 4;
        const lowest = Math.min(outer.bottom, window.innerHeight - 104) - note.offsetHeight;
        const above = Math.min(box.left - outer.left, outer.width - note.offsetWidth);
        note.style.left = `${beside ? columnBox.right - outer.left + 12 : above}px`;
        note.style.top = `${(beside ? Math.min(top, Math.max(lowest, 0)) : top) - outer.top}px`;
    }

    const pointed = later((/** @type {HTMLElement|null} */ field) => show(field || focused), REST);
    column.addEventListener("focusin", (event) => {
        focused = fieldAt(event);
        show(focused);
    });
    column.addEventListener("focusout", () => {
        focused = null;
        pointed(null);
    });
    column.addEventListener("mouseover", (event) => {
        const field = fieldAt(event);
        if (field !== shown && roomBeside()) pointed(field);
    });
    column.addEventListener("mouseleave", () => {
        pointed(null);
        show(null);
    });
    column.addEventListener("keydown", (event) => {
        if (event.key === "Escape") show(null);
    });
}

/** @param {import("../core/types").Setting} setting */
function facts(setting) {
    const parts = [];
    const usual = form.defaultOf(setting.key);
    if (usual !== undefined && usual !== "") parts.push(`Usually ${valueInWords(usual)}.`);
    if (setting.minimum !== null && setting.maximum !== null) {
        parts.push(`From ${setting.minimum} to ${format.number(setting.maximum)}.`);
    }
    return parts.map((part) => `${part} `).join("");
}
