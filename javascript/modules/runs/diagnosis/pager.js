/** Pages of small items: only one page is in the document, so that two thousand images cost as much as twenty. */

import {fill, h, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button} from "../../core/parts.js";
import {pageOf} from "./order.js";

/** @template T */
export class Pager {
    /**
     * @param {{size: number, name: string, draw: (item: T) => Node, cls: string}} options name: what one item is;
     * cls: the class of the element that holds the page
     */
    constructor(options) {
        this.options = options;
        /** @type {T[]} */
        this.items = [];
        this.page = 0;
        this.list = h("div", {class: options.cls});
        this.where = h("span", {class: "tl-note", "aria-live": "polite"});
        this.back = button(`Previous ${options.name}s`, {kind: "quiet", small: true, icon: "left", iconOnly: true, click: () => this.go(-1)});
        this.next = button(`Next ${options.name}s`, {kind: "quiet", small: true, icon: "right", iconOnly: true, click: () => this.go(1)});
        this.bar = h("div", {class: "tl-row tl-pager"}, this.back, this.where, this.next);
        this.element = h("div", {class: "tl-pages"}, this.list, this.bar);
    }

    /** @param {T[]} items in order */
    show(items) {
        this.items = items;
        this.draw();
    }

    /** @param {number} pages */
    go(pages) {
        this.page += pages;
        this.draw();
        this.element.scrollIntoView({block: "nearest"});
    }

    draw() {
        const {size, name, draw} = this.options;
        const {items, page, pages, first} = pageOf(this.items, this.page, size);
        this.page = page;
        fill(this.list, items.map(draw));
        setText(this.where, `${format.number(first + 1)}–${format.number(first + items.length)} of ${format.plural(this.items.length, name)}`);
        this.bar.hidden = pages < 2;
        this.back.disabled = page === 0;
        this.next.disabled = page === pages - 1;
    }
}
