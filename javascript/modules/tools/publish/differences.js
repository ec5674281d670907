/** What a card would change in the webui's sidecar: a row for each field, before and after, written only if ticked. */

import {fill, h} from "../../core/dom.js";
import {findings} from "../../core/parts.js";
import {isTicked} from "./words.js";

/** @typedef {import("../records").SidecarChange} SidecarChange */
/** @typedef {import("../records").CardAnswer} CardAnswer */

export class Differences {
    /** @param {boolean} hasPreview whether the LoRA has a preview already */
    constructor(hasPreview) {
        this.hasPreview = hasPreview;
        /** @type {SidecarChange[]} */
        this.changes = [];
        /** @type {Map<string, boolean>} what the user has ticked or not */
        this.ticked = new Map([["preview", !hasPreview]]);
        this.element = h("div", {class: "tl-publish-differences"});
    }

    /** @param {CardAnswer} answer @param {boolean} withCover */
    show(answer, withCover) {
        this.changes = answer.problem ? [] : answer.changes;
        this.withCover = withCover;
        const rows = this.changes.map(({name, label, before, after}) => this.row(name, label, before, after,
            isTicked(name, before)));
        if (withCover) {
            rows.push(this.row("preview", "Preview", this.hasPreview ? "Another image, which is kept as a file" : "",
                "The cover", !this.hasPreview));
        }
        fill(this.element, answer.problem ? findings([{level: "warning", text: answer.problem}]) : null,
            rows.length ? h("table", {}, h("thead", {}, h("tr", {}, ["", "Field", "Now", "From this card"].map((text) =>
                h("th", {scope: "col"}, text)))), h("tbody", {}, rows)) :
                h("p", {class: "tl-note"}, "The webui's card has all of this already."));
    }

    /** @param {string} name @param {string} label @param {string} before @param {string} after @param {boolean} first */
    row(name, label, before, after, first) {
        const box = h("input", {type: "checkbox", checked: this.ticked.get(name) ?? first, data: {change: name},
            "aria-label": `Write ${label}`, on: {change: () => this.ticked.set(name, box.checked)}});
        return h("tr", {}, h("td", {}, h("span", {class: "tl-tick"}, box)), h("th", {scope: "row"}, label),
            h("td", {class: before ? "" : "tl-dim"}, before || "empty"), h("td", {}, after));
    }

    /** @returns {{before: Record<string, string>, preview: boolean}} what to write, with what the user saw there */
    values() {
        const chosen = this.changes.filter(({name, before}) => this.ticked.get(name) ?? isTicked(name, before));
        return {before: Object.fromEntries(chosen.map(({name, before}) => [name, before])),
            preview: Boolean(this.withCover && this.ticked.get("preview"))};
    }
}
