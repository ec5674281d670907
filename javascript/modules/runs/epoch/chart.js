/** The trade-off between epochs: held-out loss, drift, likeness and flexibility, one panel below the other. */

import {chart} from "../../core/chart.js";
import {fill, h, svg} from "../../core/dom.js";
import {inWords, panelsOf, stretches} from "./words.js";

const {scale, line, label} = chart;
const FIRST_HEIGHT = 150;
const HEIGHT = 84;
const MARGIN = {left: 60, right: 16};
const TOP = 24;
const MOST_LABELS = 12;

/** @typedef {import("../records").WhichEpoch} WhichEpoch */
/** @typedef {import("./words.js").Panel} Panel */

export class EpochChart {
    constructor() {
        /** @type {WhichEpoch|null} */
        this.found = null;
        this.drawn = "";
        this.element = h("div", {class: "tl-epoch-chart"});
        new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(this.element);
    }

    /** @param {WhichEpoch} found */
    show(found) {
        this.found = found;
        this.element.hidden = found.points.length < 2;
        this.draw();
    }

    draw() {
        const {found, element} = this;
        const width = element.clientWidth;
        if (!found || element.hidden || width < 120) return;
        const signature = `${width}/${JSON.stringify(found.points)}/${found.path}`;
        if (signature === this.drawn) return;
        this.drawn = signature;
        const {points} = found;
        const panels = panelsOf(points, found.measured_on);
        const heights = panels.map((_, index) => (index ? HEIGHT : FIRST_HEIGHT));
        const height = heights.reduce((sum, one) => sum + one, 0) + 24;
        const x = scale(0, Math.max(1, points.length - 1), MARGIN.left, width - MARGIN.right);
        const chosen = points.findIndex((point) => point.path && point.path === found.path);
        const half = (x(1) - x(0)) / 2;
        const shades = stretches(points).map(([first, last]) => svg("rect", {class: "tl-epoch-alike",
            x: Math.max(MARGIN.left, x(first) - half), y: 0, height: height - 24,
            width: Math.min(width - MARGIN.right, x(last) + half) - Math.max(MARGIN.left, x(first) - half)}));
        let top = 0;
        const drawn = panels.map((panel, index) => {
            const made = drawPanel(panel, x, top, heights[index], width);
            top += heights[index];
            return made;
        });
        const every = Math.ceil(points.length / MOST_LABELS);
        fill(element, svg("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
            "aria-label": `By epoch: ${points.map(inWords).join("; ")}.`}, found.sure === "flat" ? null : shades,
        chosen < 0 ? null : svg("line", {class: "tl-epoch-chosen", x1: x(chosen), x2: x(chosen), y1: 0, y2: height - 24}),
        drawn, points.map((point, index) => (index % every && index !== points.length - 1 ? null :
            label(x(index), height - 8, shortLabel(point), `tl-axis-text ${index === 0 ? "" :
                index === points.length - 1 ? "tl-end" : "tl-middle"}`))),
        points.map((point, index) => svg("rect", {class: "tl-epoch-hit", x: x(index) - half, y: 0, width: 2 * half,
            height: height - 24}, svg("title", {}, inWords(point))))));
    }
}

/** @param {import("../records").EpochPoint} point */
const shortLabel = ({step, label: text}) => (step ? text.replace("epoch ", "") : "no LoRA");

/**
 * @param {Panel} panel @param {(index: number) => number} x @param {number} top @param {number} height
 * @param {number} width
 */
function drawPanel(panel, x, top, height, width) {
    const known = panel.lines.flatMap(({values}) => values.filter((value) => value !== null && Number.isFinite(value)))
        .map(Number);
    const highest = Math.max(...known);
    const lowest = panel.fromZero ? 0 : Math.min(...known);
    const bottom = top + height - 10;
    const y = scale(lowest, highest > lowest ? highest : lowest + 1, bottom, top + TOP);
    const digits = highest < 1 ? 3 : 2;
    return svg("g", {},
        svg("text", {x: MARGIN.left, y: top + 14, class: "tl-axis-text"}, svg("tspan", {}, panel.title),
            panel.lines.length > 1 ? panel.lines.map(({key, name}, index) => svg("tspan", {class: keyClass(name)},
                `${index ? "  " : ": "}${key}`)) : null),
        highest > lowest ? label(MARGIN.left - 8, top + TOP + 4, highest.toFixed(digits), "tl-axis-text tl-end") : null,
        label(MARGIN.left - 8, bottom + 4, panel.fromZero ? "0" : lowest.toFixed(digits), "tl-axis-text tl-end"),
        svg("line", {class: "tl-axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom}),
        panel.lines.map(({name, values}) => svg("path", {class: name,
            d: line(values.flatMap((value, index) => (value === null ? [] : [[x(index), y(value)]])))})));
}

/** @param {string} name */
const keyClass = (name) => (name.includes("tl-line-text") ? "tl-text-key" : name.includes("tl-dashed") ? "" : "tl-unet-key");
