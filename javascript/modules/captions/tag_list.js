/** The tags of the shown images with counts, which a click adds to the filter. */

import {fill, h, setText, svg} from "../core/dom.js";
import {format} from "../core/format.js";
import {icon} from "../core/parts.js";

const SPECIAL = /[,()"\\*?]|\b(AND|OR|NOT)\b|^(nocaption|prose|mask|nomask)$|[a-z]\s*[=:<>!]/i;

/** @param {string} tag @returns {string} the tag in filter syntax */
function inFilter(tag) {
    return SPECIAL.test(tag) ? `"${tag.replace(/["\\]/g, "\\$&")}"` : tag;
}

/**
 * @typedef {object} Row
 * @property {string} tag
 * @property {HTMLElement} element
 * @property {HTMLElement} name
 * @property {HTMLElement} count
 * @property {HTMLElement} bar
 * @property {HTMLElement} pick
 */

export class TagList {
    /**
     * @param {import("./set.js").CaptionSet} set @param {(filter: string) => void} setFilter
     * @param {(tag: string) => void} rename opens the rename dialog
     */
    constructor(set, setFilter, rename) {
        this.set = set;
        this.setFilter = setFilter;
        this.rename = rename;
        this.before = "";  // the filter before the first click of a double click
        /** @type {Row[]} */
        this.rows = [];
        this.search = h("input", {type: "search", class: "tl-input", placeholder: "Find a tag", "aria-label": "Find a tag",
            spellcheck: "false", on: {input: (event) => set.setTagPart(event.currentTarget.value)}});
        this.list = h("ul", {class: "tl-taglist-rows", "aria-label": "Tags", on: {keydown: (event) => this.onKey(event)}});
        this.foot = h("p", {class: "tl-note"}, "");
        this.element = h("section", {class: "tl-taglist", "aria-label": "Tags of the images shown"},
            this.search, this.list, this.foot);
        set.when("view", () => this.draw());
        set.when("opened", ({same}) => {
            if (!same) this.search.value = "";
        });
    }

    draw() {
        const {tags, shown} = this.set;
        tags.forEach(([tag, count], place) => {
            const row = this.rows[place] || this.makeRow();
            row.tag = tag;
            row.element.hidden = false;
            setText(row.name, tag);
            setText(row.count, format.number(count));
            row.pick.title = `${tag}: show the ${format.plural(count, "image")} with it\nCtrl: AND, Alt: AND NOT, double click or F2: rename`;
            row.bar.style.width = `${Math.round(100 * count / Math.max(1, this.set.numbers.length))}%`;
            row.pick.setAttribute("aria-pressed", String(this.set.filter.trim() === inFilter(tag)));
        });
        for (const row of this.rows.slice(tags.length)) row.element.hidden = true;
        const more = shown.different_tags - tags.length;
        setText(this.foot, !tags.length ? (this.set.tagPart ? "No tag like that." : "No tags yet.")
            : more > 0 && tags.length >= 400 ? `The most frequent of ${format.number(shown.different_tags)} tags.` : "");
    }

    makeRow() {
        const name = h("span", {class: "tl-tag-name"}, "");
        const count = h("span", {class: "tl-tag-count"}, "");
        const bar = h("span", {class: "tl-tag-bar", "aria-hidden": "true"});
        const pick = h("button", {type: "button", class: "tl-tag-pick", "aria-pressed": "false",
            on: {click: (event) => this.pick(row.tag, event), dblclick: () => this.askName(row.tag)}}, bar, name, count);
        const element = h("li", {class: "tl-tag-row"}, pick,
            this.side("Show only images with it too", "M8 4v8M4 8h8", () => this.join(row.tag, "AND")),
            this.side("Leave out images with it", "M4 8h8", () => this.join(row.tag, "AND NOT")),
            this.side("Rename it in all captions", "M3 13l.6-2.9 7.3-7.3 2.3 2.3-7.3 7.3z", () => this.rename(row.tag)));
        /** @type {Row} */
        const row = {tag: "", element, name, count, bar, pick};
        this.rows.push(row);
        this.list.append(element);
        return row;
    }

    /** @param {string} words @param {string} path of its icon @param {() => void} click */
    side(words, path, click) {
        return h("button", {type: "button", class: "tl-tag-side", title: words, "aria-label": words, tabindex: "-1",
            on: {click}}, svg("svg", {class: "tl-icon", viewBox: "0 0 16 16", "aria-hidden": "true"}, svg("path", {d: path})));
    }

    /** @param {string} tag @param {MouseEvent} event */
    pick(tag, event) {
        if (event.detail > 1) return;
        this.before = this.set.filter;
        if (event.ctrlKey || event.metaKey) this.join(tag, "AND");
        else if (event.altKey) this.join(tag, "AND NOT");
        else this.setFilter(this.set.filter.trim() === inFilter(tag) ? "" : inFilter(tag));
    }

    /** Rename on a double click, restoring the filter from before its first click. @param {string} tag */
    askName(tag) {
        this.setFilter(this.before);
        this.rename(tag);
    }

    /** Arrow keys move in the list, F2 renames. @param {KeyboardEvent} event */
    onKey(event) {
        const place = this.rows.findIndex(({element}) => event.target instanceof Node && element.contains(event.target));
        const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
        if (place < 0 || (!step && event.key !== "F2")) return;
        const next = this.rows[place + step];
        if (!step) this.rename(this.rows[place].tag);
        else if (next && !next.element.hidden) next.pick.focus();
        event.preventDefault();
        event.stopPropagation();
    }

    /** Update the filter after a tag was renamed. @param {string} tag @param {string} name */
    renamed(tag, name) {
        if (this.set.filter.trim() === inFilter(tag)) this.setFilter(inFilter(name));
    }

    /** @param {string} tag @param {"AND"|"AND NOT"} word */
    join(tag, word) {
        const before = this.set.filter.trim();
        const bracketed = /\bOR\b/.test(before) ? `(${before})` : before;
        const not = word === "AND NOT";
        this.setFilter(before ? `${bracketed} ${word} ${inFilter(tag)}` : `${not ? "NOT " : ""}${inFilter(tag)}`);
    }
}

/**
 * Below the filter, if that is a single tag: how many images have it and how many do not.
 * @param {import("./set.js").CaptionSet} set @returns {HTMLElement}
 */
export function onOffHint(set) {
    const element = h("p", {class: "tl-hint", hidden: true});
    let about = "";
    const show = async () => {
        const {filter} = set;
        const one = set.tags.some(([name]) => inFilter(name) === filter.trim());
        if (!one || about !== filter) element.hidden = true;
        if (!one) return;
        const found = await set.ask("on-off", {tag: filter.trim().replace(/^"(.*)"$/, "$1")}).catch(() => null);
        if (!found || filter !== set.filter) return;  // a toast says why, or it is asked again
        about = filter;
        element.hidden = false;
        fill(element, icon("bulb"), h("span", {}, `On in ${format.number(found.on)}, off in ${format.number(found.off)}. ${found.advice}`));
    };
    set.when("view", show);
    set.when("problem", (problem) => {
        if (problem) element.hidden = true;
    });
    return element;
}

export {inFilter as tagInFilter};
