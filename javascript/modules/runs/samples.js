/** Sample images of a run: a row per prompt, a column per step at which they were generated. */

import {fullView} from "../core/dialog.js";
import {emit, fill, h} from "../core/dom.js";
import {lightbox} from "../core/lightbox.js";
import {button} from "../core/parts.js";
import {showTab} from "../core/shell.js";
import {runs} from "./watch.js";

/** @typedef {import("../core/types").Sample} Sample */
/** @typedef {{step: number, title: string}} Column */
/** @typedef {{prompt: string, byStep: Map<number, Sample>}} Row */

export class SamplesGrid {
    /** @param {{label: string, empty: HTMLElement}} options `empty` is shown while there is no image */
    constructor(options) {
        /** @type {import("./model.js").RunModel|null} */
        this.run = null;
        /** @type {Column[]} */
        this.columns = [];
        /** @type {Row[]} */
        this.rows = [];
        this.drawn = "";
        this.scroller = h("div", {class: "tl-samples-scroll", tabindex: "0", role: "group",
            "aria-label": options.label});
        this.empty = options.empty;
        this.full = button("Full view", {kind: "quiet", small: true, icon: "image", hidden: true,
            click: () => fullView(options.label, this.table())});
        this.element = h("div", {}, this.empty, this.scroller, this.full);
    }

    /**
     * @param {import("./model.js").RunModel} run the model to show @param {Sample[]} samples its images
     * @param {string[]} prompts that have rows from the start
     */
    show(run, samples, prompts) {
        const signature = `${run.id}/${prompts.length}/${samples.map((sample) => sample.path).join()}`;
        if (signature === this.drawn) return;
        this.run = run;
        this.drawn = signature;
        this.columns = columnsOf(samples);
        if (!this.columns.length) this.columns = [{step: 0, title: "No LoRA"}];
        this.rows = rowsOf(samples, prompts);
        this.empty.hidden = this.rows.length > 0;
        this.scroller.hidden = !this.empty.hidden;
        fill(this.scroller, this.rows.length ? this.table() : null);
        this.full.hidden = !samples.length;
    }

    get runId() {
        return this.run ? this.run.id : "";
    }

    table() {
        return h("table", {class: "tl-samples"},
            h("thead", {}, h("tr", {}, this.columns.map((column) =>
                h("th", {scope: "col"}, column.title)))),
            this.rows.map((row, rowIndex) => h("tbody", {},
                h("tr", {class: "tl-samples-prompt"}, h("th", {scope: "rowgroup", colspan: this.columns.length},
                    h("span", {title: row.prompt}, row.prompt))),
                h("tr", {class: "tl-samples-row", style: `--columns: ${this.columns.length}`},
                    this.columns.map((column, columnIndex) => h("td", {data: {title: column.title}},
                        this.picture(row, column, rowIndex, columnIndex)))))));
    }

    /** @param {Row} row @param {Column} column @param {number} rowIndex @param {number} columnIndex */
    picture(row, column, rowIndex, columnIndex) {
        const sample = row.byStep.get(column.step);
        if (!sample) return h("div", {class: "tl-sample-gap"});
        return h("button", {type: "button", class: "tl-sample", "aria-label": `${column.title}: ${row.prompt}`,
            on: {click: (event) => this.enlarge(rowIndex, columnIndex, event.currentTarget)}},
        h("img", {src: runs.fileUrl(this.runId, sample.path), alt: "", decoding: "async", loading: "lazy"}));
    }

    /** @param {number} rowIndex @param {number} columnIndex @param {HTMLElement} opener */
    enlarge(rowIndex, columnIndex, opener) {
        /** @type {{src: string, title: string, text: string, row: number, column: number}[]} */
        const items = [];
        const place = new Map();
        this.rows.forEach((row, rowNumber) => this.columns.forEach((column, columnNumber) => {
            const sample = row.byStep.get(column.step);
            if (!sample) return;
            place.set(`${rowNumber},${columnNumber}`, items.length);
            items.push({src: runs.fileUrl(this.runId, sample.path), title: column.title, text: row.prompt,
                row: rowNumber, column: columnNumber});
        }));
        /** @param {number} index @param {number} columns @param {number} rows */
        const beside = (index, columns, rows) => {
            const {row, column} = items[index];
            const next = place.get(`${row + rows},${column + columns}`);
            return next === undefined ? index : next;
        };
        const add = (/** @type {number} */ index) => {
            showTab("captions");
            emit("add-to-dataset", {src: items[index].src, tab: "", prompt: items[index].text});
        };
        const ask = (/** @type {number} */ index) =>
            emit("what-is-wrong", {src: items[index].src, prompt: items[index].text, run: this.runId});
        lightbox(items, place.get(`${rowIndex},${columnIndex}`), {beside, opener, actions: [
            {label: "What is wrong here?", run: ask}, {label: "Add to dataset", run: add}]});
    }
}

/** @param {Sample[]} samples @returns {Column[]} in the order of the steps */
function columnsOf(samples) {
    const byStep = new Map();
    for (const sample of samples) byStep.set(sample.step, sample.epoch);
    const steps = [...byStep.keys()].sort((one, other) => one - other);
    return steps.map((step, index) => {
        const epoch = byStep.get(step);
        const twice = steps.some((other, place) => place !== index && byStep.get(other) === epoch);
        return {step, title: step === 0 ? "No LoRA" : twice ? `Step ${step}` : `Epoch ${epoch}`};
    });
}

/** @param {Sample[]} samples @param {string[]} prompts @returns {Row[]} */
function rowsOf(samples, prompts) {
    const rows = new Map(prompts.map((prompt, index) => [index, {prompt, byStep: new Map()}]));
    for (const sample of samples) {
        const row = rows.get(sample.index) || {prompt: sample.prompt, byStep: new Map()};
        rows.set(sample.index, row);
        row.byStep.set(sample.step, sample);
    }
    return [...rows.entries()].sort(([one], [other]) => one - other).map(([, row]) => row);
}
