/** A text box that suggests tags while typing: the dataset's, then the tagger's. Never completes on its own. */

import {fill, h, later, uniqueId} from "../core/dom.js";
import {format} from "../core/format.js";
import {dropDown} from "../core/parts.js";
import {root} from "../core/shell.js";

const MOST_HEIGHT = 264;

/**
 * @param {import("./set.js").CaptionSet} set
 * @param {{label: string, placeholder?: string, id?: string, several?: boolean, enter?: (text: string) => void}} options
 *     several: tags are separated by commas, and the one at the cursor is completed
 * @returns {{element: HTMLElement, input: HTMLInputElement}}
 */
export function tagInput(set, options) {
    const list = h("ul", {class: "tl-complete", role: "listbox", id: uniqueId("complete"), hidden: true,
        "aria-label": "Tags that fit"});
    const input = h("input", {type: "text", class: "tl-input", id: options.id, spellcheck: "false",
        autocomplete: "off", placeholder: options.placeholder || "", "aria-label": options.label, role: "combobox",
        "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id});
    let question = 0;
    let settled = false;  // the text was completed or entered: no suggestions until the next input
    /** @type {string[]} */
    let offered = [];

    const part = () => {
        if (!options.several) return {start: 0, end: input.value.length, text: input.value};
        const cursor = input.selectionStart ?? input.value.length;
        const start = input.value.lastIndexOf(",", cursor - 1) + 1;
        const next = input.value.indexOf(",", cursor);
        const end = next < 0 ? input.value.length : next;
        return {start, end, text: input.value.slice(start, end)};
    };

    const shown = dropDown(input, list, {height: MOST_HEIGHT, floor: () => {
        const bar = root.querySelector(".tl-capactions");
        const top = bar && !bar.contains(input) && bar.clientHeight ? bar.getBoundingClientRect().top : window.innerHeight;
        return Math.min(top, window.innerHeight);
    }});
    const hide = () => {
        shown.hide();
        question += 1;
    };

    const take = (/** @type {string} */ tag) => {
        const {start, end} = part();
        const before = input.value.slice(0, start);
        input.value = before + (before ? " " : "") + tag + input.value.slice(end);
        input.setSelectionRange(before.length + tag.length + 1, before.length + tag.length + 1);
        hide();
        input.dispatchEvent(new Event("input", {bubbles: true}));
        settled = true;
    };

    const ask = later(async () => {
        const {text} = part();
        const mine = question += 1;
        if (settled || !text.trim() || document.activeElement !== input || !set.isOpen) {
            hide();
            return;
        }
        const {tags} = await set.ask("complete", {tag: text.trim()}, {quiet: true}).catch(() => ({tags: []}));
        if (mine !== question || part().text !== text) return;  // a newer question is on its way
        if (!tags.length) {
            hide();
            return;
        }
        const kept = offered[shown.marked()];
        offered = tags.map(({tag}) => tag);
        fill(list, tags.map(({tag, count}) => h("li", {role: "option", id: uniqueId("tag"), "aria-selected": "false",
            on: {mousedown: (event) => {
                event.preventDefault();
                take(tag);
            }}}, h("span", {}, tag), h("span", {class: "tl-complete-count"},
            count === null ? "tagger" : format.number(count)))));
        shown.show();
        shown.mark(offered.indexOf(kept));  // what was marked in the list for an earlier text
    }, 60);

    input.addEventListener("input", () => {
        settled = false;
        ask();
    });
    input.addEventListener("blur", hide);
    input.addEventListener("keydown", (event) => {
        const open = !list.hidden;
        const marked = offered[shown.marked()];
        if (open && marked && (event.key === "Enter" || event.key === "Tab")) {
            take(marked);
        } else if (open && event.key === "Escape") {
            hide();
        } else if (event.key === "Enter" && options.enter && !event.ctrlKey) {
            hide();
            settled = true;
            options.enter(input.value);
        } else if (!shown.move(event)) {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
    });
    return {element: h("div", {class: "tl-completed"}, input, list), input};
}
