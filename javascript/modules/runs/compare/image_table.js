/** Images in rows and columns that stay aligned, with the runs in their colors. */

import {fullView} from "../../core/dialog.js";
import {fill, h} from "../../core/dom.js";
import {lightbox} from "../../core/lightbox.js";
import {button} from "../../core/parts.js";

/** @typedef {{title: string, color?: string}} Heading color is a class */
/** @typedef {{src: string, title: string, text: string}} Cell */
/** @typedef {{title: string, columns: Heading[], rows: (Heading & {cells: (Cell|null)[]})[]}} Block below its title */

export class ImageTable {
    /** @param {string} label for screen readers and the full view */
    constructor(label) {
        this.label = label;
        this.drawn = "";
        /** @type {Block[]} */
        this.blocks = [];
        this.scroller = h("div", {class: "tl-compare-scroll", tabindex: "0", role: "group", "aria-label": label});
        this.full = button("Full view", {kind: "quiet", small: true, icon: "image", hidden: true,
            click: () => fullView(label, h("div", {class: "tl-compare-full"}, this.tables()))});
        this.element = h("div", {}, this.scroller, this.full);
    }

    /** @param {Block[]} blocks */
    show(blocks) {
        const signature = JSON.stringify(blocks);
        if (signature === this.drawn) return;
        this.drawn = signature;
        this.blocks = blocks;
        fill(this.scroller, this.tables());
        this.full.hidden = !blocks.some(({rows}) => rows.some(({cells}) => cells.some(Boolean)));
    }

    tables() {
        return this.blocks.map((block) => h("table", {class: "tl-compare-images",
            style: `--columns: ${block.columns.length}`},
        h("caption", {title: block.title}, block.title),
        h("thead", {}, h("tr", {}, h("td", {}), block.columns.map((column) => h("th", {scope: "col", title: column.title,
            class: column.color || ""}, column.color ? h("i", {class: "tl-compare-swatch"}) : null, column.title)))),
        h("tbody", {}, block.rows.map((row) => h("tr", {}, h("th", {scope: "row", title: row.title, class: row.color || ""},
            row.color ? h("i", {class: "tl-compare-swatch"}) : null, h("span", {}, row.title)),
        row.cells.map((cell) => h("td", {}, cell ? this.picture(cell) : h("div", {class: "tl-sample-gap"}))))))));
    }

    /** @param {Cell} cell */
    picture(cell) {
        return h("button", {type: "button", class: "tl-sample", "aria-label": `${cell.title}: ${cell.text}`,
            on: {click: (event) => this.enlarge(cell, event.currentTarget)}},
        h("img", {src: cell.src, alt: "", decoding: "async", loading: "lazy"}));
    }

    /** @param {Cell} cell @param {HTMLElement} opener */
    enlarge(cell, opener) {
        const lines = this.blocks.flatMap(({rows}) => rows.map(({cells}) => cells));
        const items = lines.flatMap((cells) => cells.filter((one) => one !== null));
        /** @param {number} index @param {number} columns @param {number} rows */
        const beside = (index, columns, rows) => {
            const row = lines.findIndex((cells) => cells.includes(items[index]));
            const next = lines[row + rows]?.[lines[row].indexOf(items[index]) + columns];
            return next ? items.indexOf(next) : index;
        };
        lightbox(items, items.indexOf(cell), {beside, opener});
    }
}
