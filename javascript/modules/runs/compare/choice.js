/** The tick boxes of the list of runs, and the button that compares the ticked ones. */

import {emit, h, on, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, setLabel} from "../../core/parts.js";
import {MOST, assignColors, colorClass} from "./colors.js";

/** @typedef {import("../../core/types").RunSummary} RunSummary */

const FEWEST = 2;

export class CompareChoice {
    constructor() {
        /** @type {string[]} in the order of ticking */
        this.ticked = [];
        /** @type {Map<string, HTMLInputElement>} */
        this.boxes = new Map();
        this.compare = button("Compare", {small: true, id: "tl_compare_runs", disabled: true,
            click: () => emit("compare", [...this.ticked])});
        this.clear = button("Clear", {kind: "quiet", small: true, hidden: true, click: () => this.take([])});
        this.words = h("span", {class: "tl-note"}, "");
        this.element = h("div", {class: "tl-row tl-compare-choice"}, this.compare, this.clear, this.words);
        on("run-deleted", (id) => {
            this.boxes.delete(id);
            this.take(this.ticked.filter((other) => other !== id));
        });
        on("compare", (ids) => this.take(ids));
        this.show();
    }

    /** @param {RunSummary} run @returns {HTMLElement} with its tick box */
    box(run) {
        const box = h("input", {type: "checkbox", "aria-label": `Compare ${run.name}`,
            title: "Tick 2 to 6 runs to compare them", checked: this.ticked.includes(run.id), on: {change: () => this.take(box.checked ?
                [...this.ticked, run.id] : this.ticked.filter((id) => id !== run.id))}});
        this.boxes.set(run.id, box);
        const element = h("span", {class: "tl-tick tl-compare-tick"}, box);
        this.show();
        return element;
    }

    /** @param {string[]} ids */
    take(ids) {
        this.ticked = [...ids];
        assignColors(this.ticked);
        this.show();
    }

    show() {
        const count = this.ticked.length;
        for (const [id, box] of this.boxes) {
            box.checked = this.ticked.includes(id);
            if (box.parentElement) box.parentElement.className = `tl-tick tl-compare-tick ${box.checked ? colorClass(id) : ""}`;
        }
        setLabel(this.compare, count ? `Compare ${format.plural(count, "run")}` : "Compare");
        this.compare.disabled = count < FEWEST || count > MOST;
        this.clear.hidden = !count;
        setText(this.words, count > MOST ? `${MOST} at most` : count === 1 ? "Tick one more" : !count ? "Tick 2 to 6 runs" : "");
    }
}
