/** A plot of the Test tab: its images in rows and columns, the best one marked, and the resulting advice. */

import {fullView} from "../core/dialog.js";
import {emit, fill, h, svg} from "../core/dom.js";
import {format} from "../core/format.js";
import {lightbox} from "../core/lightbox.js";
import {button, findings, icon} from "../core/parts.js";

/** @typedef {import("./answers").Plot} Plot */
/** @typedef {import("./answers").MarkedPlot} MarkedPlot */

/** @type {Record<string, string>} */
const TITLES = {epochs: "Epochs", strengths: "Strengths", blocks: "Blocks", prompts: "Prompts"};
const STATES = {drawing: "", finished: "", stopped: "Stopped", lost: "Interrupted", failed: "Failed"};

export class PlotView {
    /** @param {{run: () => string, fileUrl: (path: string) => string, use: (changes: MarkedPlot["changes"]) => void,
     *     mark: (plot: Plot, column: number, row: number) => Promise<MarkedPlot>,
     *     tryFile: (name: string) => void}} actions */
    constructor(actions) {
        this.actions = actions;
        /** @type {Plot|null} */
        this.plot = null;
        this.drawn = "";
        this.problem = h("div", {});
        this.scroller = h("div", {class: "tl-samples-scroll tl-plot-scroll", tabindex: "0", role: "group",
            "aria-label": "Images of the plot"});
        this.advice = h("div", {class: "tl-why", hidden: true, role: "status"});
        this.full = button("Full view", {kind: "quiet", small: true, icon: "image",
            click: () => this.plot && fullView(plotTitle(this.plot), this.table(this.plot))});
        this.chart = h("div", {});
        this.about = h("p", {class: "tl-note"});
        this.element = h("div", {class: "tl-plotview"}, this.problem, this.advice, this.scroller,
            h("div", {class: "tl-row"}, this.full), this.chart,
            this.about);
    }

    /** @param {Plot} plot */
    show(plot) {
        const signature = `${plot.id}/${Object.keys(plot.cells).length}/${plot.state}/${plot.best}`;
        if (signature === this.drawn) return;
        if (!this.plot || this.plot.id !== plot.id) this.advice.hidden = true;
        this.drawn = signature;
        this.plot = plot;
        fill(this.problem, plot.error ? findings([{level: "error", text: plot.error}]) : null);
        fill(this.scroller, this.table(plot));
        fill(this.chart, plot.kind === "blocks" ? bars(plot) : null);
        const done = Object.keys(plot.cells).length;
        const facts = [STATES[plot.state], format.plural(done, "image"), `seed ${plot.seed}`,
            `${plot.width} × ${plot.height}`, `${plot.steps} steps`].filter(Boolean).join(", ");
        fill(this.about, facts, plot.grid ? [", ", h("a", {class: "tl-link", target: "_blank",
            href: this.actions.fileUrl(plot.grid)}, "the grid as one image")] : null);
    }

    /** @param {Plot} plot */
    table(plot) {
        const {columns, rows} = plot;
        return h("table", {class: "tl-samples"},
            h("thead", {}, h("tr", {}, columns.headings.map((heading) => h("th", {scope: "col"}, heading)))),
            rows.headings.map((heading, row) => h("tbody", {},
                h("tr", {class: "tl-samples-prompt"}, h("th", {scope: "rowgroup", colspan: columns.headings.length},
                    h("span", {title: heading}, heading))),
                h("tr", {class: "tl-samples-row", style: `--columns: ${columns.headings.length}`},
                    columns.headings.map((title, column) => h("td", {data: {title}},
                        this.picture(plot, column, row)))))));
    }

    /** @param {Plot} plot @param {number} column @param {number} row */
    picture(plot, column, row) {
        const path = plot.cells[`${column},${row}`];
        if (!path) return h("div", {class: "tl-sample-gap"});
        const best = plot.best && plot.best[0] === column && plot.best[1] === row;
        const words = `${plot.columns.headings[column]}, ${plot.rows.headings[row]}`;
        return h("div", {class: `tl-plot-cell${best ? " tl-best" : ""}`},
            h("button", {type: "button", class: "tl-sample", "aria-label": words,
                on: {click: (event) => this.enlarge(plot, column, row, event.currentTarget)}},
            h("img", {src: this.actions.fileUrl(path), alt: "", decoding: "async", loading: "lazy"})),
            h("button", {type: "button", class: "tl-mark", "aria-pressed": String(Boolean(best)),
                title: "Mark this as the best", on: {click: () => this.mark(plot, column, row)}},
            icon("check"), h("span", {class: "tl-hidden-text"}, `Mark as the best: ${words}`)));
    }

    /** @param {Plot} plot @param {number} column @param {number} row */
    async mark(plot, column, row) {
        try {
            const answer = await this.actions.mark(plot, column, row);
            this.show(answer.plot);
            this.showAdvice(answer);
        } catch {
            // already reported by a toast
        }
    }

    /** @param {MarkedPlot} answer */
    showAdvice(answer) {
        const {plot} = answer;
        const [column, row] = plot.best || [0, 0];
        const file = plot.kind === "epochs" ? plot.columns.values[column] : plot.file;
        const sentences = answer.sentences.length ? answer.sentences : [
            `Marked as the best: ${plot.columns.headings[column]}, ${plot.rows.headings[row]}.`];
        const some = Object.keys(answer.changes).length > 0;
        this.advice.hidden = false;
        fill(this.advice, sentences.map((sentence) => h("p", {}, sentence)), h("div", {class: "tl-row"},
            some ? button(plot.kind !== "epochs" ? "Use for the next run" : answer.changes["training.max_train_epochs"] ?
                "Next run with this many epochs" : "Next run with this many steps", {kind: "primary", small: true, id: "tl_test_use",
                click: () => this.actions.use(answer.changes)}) : null,
            file !== "None" ? button(`Try ${file} in txt2img`, {small: true,
                click: () => this.actions.tryFile(file)}) : null));
    }

    /** @param {Plot} plot @param {number} column @param {number} row @param {HTMLElement} opener */
    enlarge(plot, column, row, opener) {
        /** @type {{src: string, title: string, text: string, row: number, column: number}[]} */
        const items = [];
        /** @type {Map<string, number>} */
        const place = new Map();
        plot.rows.headings.forEach((text, rowNumber) => plot.columns.headings.forEach((title, columnNumber) => {
            const path = plot.cells[`${columnNumber},${rowNumber}`];
            if (!path) return;
            place.set(`${columnNumber},${rowNumber}`, items.length);
            items.push({src: this.actions.fileUrl(path), title, text, row: rowNumber, column: columnNumber});
        }));
        /** @param {number} index @param {number} columns @param {number} rows */
        const beside = (index, columns, rows) => {
            const item = items[index];
            const next = place.get(`${item.column + columns},${item.row + rows}`);
            return next === undefined ? index : next;
        };
        lightbox(items, place.get(`${column},${row}`) || 0, {beside, opener, actions: [{label: "What is wrong here?",
            run: (index) => emit("what-is-wrong", {src: items[index].src, prompt: items[index].text, run: this.actions.run()})}]});
    }
}

/** How much the image changes without a block, over all prompts. @param {Plot} plot */
function bars(plot) {
    const count = plot.rows.headings.length;
    const changes = plot.columns.headings.slice(1).map((heading, index) => {
        const known = [...Array(count).keys()].map((row) => plot.changes[`${index + 1},${row}`])
            .filter((value) => value !== undefined);
        return {name: heading.replace("Without ", ""),
            value: known.length ? known.reduce((one, other) => one + other, 0) / known.length : 0};
    });
    const most = Math.max(...changes.map((change) => change.value), 1e-6);
    const width = 32;
    const columns = changes.map((change, index) => {
        const height = Math.max(1, 96 * change.value / most);
        return svg("g", {},
            svg("rect", {class: "tl-shape-bar", x: index * width + 6, y: 112 - height, width: width - 12,
                height, rx: 2}),
            svg("text", {class: "tl-bar-value", x: (index + 0.5) * width, y: 106 - height,
                "text-anchor": "middle"}, change.value.toFixed(1)),
            svg("text", {class: "tl-bar-name", x: (index + 0.5) * width, y: 128, "text-anchor": "middle"},
                change.name));
    });
    const sorted = [...changes].sort((one, other) => other.value - one.value).slice(0, 3);
    return h("figure", {class: "tl-effect"}, h("p", {class: "tl-label"},
        "How much the image changes without each block (mean pixel difference, out of 255)"),
    h("div", {}, svg("svg", {viewBox: `0 0 ${changes.length * width} 132`, role: "img",
        style: `width: 100%; max-width: ${changes.length * width}px`,
        "aria-label": `Most changed by ${sorted.map((change) => change.name).join(", ")}`}, columns)));
}

/** @param {Plot} plot @returns {string} its kind and time; unknown if its file is damaged */
export const plotTitle = (plot) => plot.kind ? `${TITLES[plot.kind]}, ${format.when(plot.created)}` :
    `Damaged plot ${plot.id}`;
