/** The curves of several runs over each other, on one axis. */

import {chart, oncePerFrame} from "../../core/chart.js";
import {fill, h, store, svg} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {card} from "../../core/parts.js";
import {colorClass} from "./colors.js";
import {AXES, CURVES, nearest, pointsOf} from "./series.js";

const {scale, ticks, tickText, line, thinned, smoothed, quantile, label} = chart;
const MARGIN = {left: 64, right: 12, top: 24, bottom: 22};
/** @type {Record<import("./series.js").CurveName, number>} */
const HEIGHTS = {loss: 240, validation: 160, norm: 120, gradient: 120, rate: 100};

/** @typedef {import("../model.js").RunModel} RunModel */
/** @typedef {import("./series.js").Axis} Axis */
/** @typedef {import("./series.js").CurveName} CurveName */
/** @typedef {{run: RunModel, name: string, points: [number, number][]}} Series NaN where there is no value */

/** @param {number|null|undefined} value @returns {number} */
const orNaN = (value) => (value === null || value === undefined || !Number.isFinite(value) ? NaN : value);

export class CompareCurves {
    /** @param {{shown: (id: string) => boolean, nameOf: (run: RunModel) => string}} options */
    constructor(options) {
        this.options = options;
        /** @type {RunModel[]} */
        this.runs = [];
        /** @type {Axis} */
        this.axis = store.get("compare_axis", /** @type {Axis} */ ("step"));
        if (!(this.axis in AXES)) this.axis = "step";
        this.weight = store.get("smoothing", 0.95);
        /** @type {Set<CurveName>} */
        this.open = new Set(store.get("compare_curves", /** @type {CurveName[]} */ (["loss", "validation", "norm", "rate"])));
        this.drawSoon = oncePerFrame(() => this.draw());
        this.drawn = "";
        this.plots = h("div", {class: "tl-compare-plots"});
        this.empty = h("p", {class: "tl-note"}, "The curves appear here with the first step of a run.");
        this.readout = h("div", {class: "tl-readout tl-compare-readout", hidden: true});
        this.choices = this.switches();
        this.stage = h("div", {class: "tl-compare-stage"}, this.plots, this.readout);
        this.element = card("Curves", {aside: h("div", {class: "tl-plot-aside"}, this.axisBox(), this.smoothing())},
            this.choices, this.empty, this.stage);
        new ResizeObserver(() => this.drawSoon()).observe(this.stage);
    }

    axisBox() {
        return h("label", {class: "tl-smoothing"}, "By", h("select", {class: "tl-input tl-select tl-tiny-input", id: "tl_compare_axis",
            value: this.axis, on: {change: (event) => {
                this.axis = /** @type {Axis} */ (event.currentTarget.value);
                store.set("compare_axis", this.axis);
                this.drawSoon();
            }}}, Object.entries(AXES).map(([value, title]) => h("option", {value}, title.toLowerCase()))));
    }

    smoothing() {
        return h("label", {class: "tl-smoothing"}, "Smoothing", h("input", {type: "range", class: "tl-range", min: "0",
            max: "0.99", step: "0.01", value: String(this.weight), "aria-label": "How much the loss is smoothed", on: {
                input: (event) => {
                    this.weight = Number(event.currentTarget.value);
                    store.set("smoothing", this.weight);
                    this.drawSoon();
                }}}));
    }

    switches() {
        return h("div", {class: "tl-row tl-wrap", role: "group", "aria-label": "Curves to show"},
            /** @type {[CurveName, string][]} */ (Object.entries(CURVES)).map(([name, title]) => h("button", {type: "button",
                class: "tl-curve-switch", "aria-pressed": String(this.open.has(name)), data: {curve: name}, on: {
                    click: (event) => {
                        if (this.open.has(name)) this.open.delete(name);
                        else this.open.add(name);
                        event.currentTarget.setAttribute("aria-pressed", String(this.open.has(name)));
                        store.set("compare_curves", [...this.open]);
                        this.drawSoon();
                    }}}, title)));
    }

    /** @param {RunModel[]} runs */
    show(runs) {
        this.runs = runs;
        this.drawSoon();
    }

    draw() {
        const width = this.stage.clientWidth;
        if (width < 80) return;
        const signature = [width, this.axis, this.weight, [...this.open].join(), ...this.runs.map((run) => [run.id,
            this.options.shown(run.id), run.steps.step.length, run.validation.length, run.norms.length,
            Boolean(run.job), this.options.nameOf(run)].join())].join("/");
        if (signature === this.drawn) return;
        this.drawn = signature;
        this.readout.hidden = true;
        for (const one of this.choices.querySelectorAll("button")) {
            const name = /** @type {CurveName} */ (one.dataset.curve);
            one.hidden = !this.runs.some((run) => pointsOf(run, name, this.axis).some(([, value]) => Number.isFinite(value)));
        }
        const plots = /** @type {CurveName[]} */ (Object.keys(CURVES)).filter((name) => this.open.has(name))
            .map((name) => ({name, series: this.seriesOf(name)})).filter(({series}) => series.length);
        this.empty.hidden = plots.length > 0;
        const last = Math.max(...plots.flatMap(({series}) => series.map(({points}) => points[points.length - 1][0])), 0);
        fill(this.plots, plots.map(({name, series}) => this.plot(name, series, last, width)));
    }

    /** @param {CurveName} name @returns {Series[]} of the shown runs that have the curve */
    seriesOf(name) {
        return this.runs.filter((run) => this.options.shown(run.id)).flatMap((run) => {
            const raw = pointsOf(run, name, this.axis).filter(([x]) => Number.isFinite(x));
            const noisy = name === "loss" || name === "gradient";
            const values = noisy ? smoothed(raw.map(([, value]) => value ?? null), this.weight) : raw.map(([, value]) => orNaN(value));
            const points = raw.map(([x], index) => /** @type {[number, number]} */ ([x, values[index]]));
            return points.some(([, value]) => Number.isFinite(value)) ?
                [{run, name: this.options.nameOf(run), points}] : [];
        });
    }

    /** @param {CurveName} name @param {Series[]} series @param {number} last the end of the axis @param {number} width */
    plot(name, series, last, width) {
        const height = HEIGHTS[name];
        const bottom = height - MARGIN.bottom;
        const values = series.flatMap(({points}) => points.map(([, value]) => value)).filter(Number.isFinite);
        const fromZero = name === "rate" || name === "norm" || name === "gradient";
        const high = quantile(values, name === "loss" ? 0.995 : 1);
        const low = fromZero ? 0 : quantile(values, 0);
        const pad = Math.max((high - low) * 0.08, high * 0.01, 1e-12);
        const x = scale(0, last || 1, MARGIN.left, width - MARGIN.right);
        const y = scale(fromZero ? 0 : Math.max(0, low - pad), high + pad, bottom, MARGIN.top);
        const heights = ticks(fromZero ? 0 : Math.max(0, low - pad), high + pad, height > 200 ? 4 : 2);
        const text = name === "rate" || name === "gradient" ? format.rate : tickText(heights);
        const words = series.map((one) => `${one.name} ends at ${format.rate(lastValue(one))}`).join(", ");
        const element = svg("svg", {class: "tl-plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
            data: {curve: name}, "aria-label": `${CURVES[name]}: ${words}.`},
        label(MARGIN.left, 12, `${CURVES[name]}${name === "loss" ? ", smoothed" : ""}`),
        heights.map((value) => [svg("line", {class: "tl-grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value),
            y2: y(value)}), label(MARGIN.left - 8, y(value) + 4, text(value), "tl-axis-text tl-end")]),
        svg("line", {class: "tl-axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom}),
        this.acrossLabels(last, x, width, height),
        series.map((one) => this.lineOf(name, one, x, (value) => y(Math.min(high + pad, value)))),
        svg("line", {class: "tl-compare-cursor", y1: MARGIN.top, y2: bottom, x1: -10, x2: -10}));
        element.addEventListener("pointermove", (event) => this.readAt(name, element, series, last, event));
        element.addEventListener("pointerleave", () => this.readAt(name, element, series, last, null));
        return element;
    }

    /** @param {number} last @param {(value: number) => number} x @param {number} width @param {number} height */
    acrossLabels(last, x, width, height) {
        const values = ticks(0, last, Math.max(2, Math.floor(width / 130)));
        const text = tickText(values);
        return [label(MARGIN.left - 8, height - 5, AXES[this.axis].split(" ")[0], "tl-axis-text tl-end"),
            values.map((value) => label(x(value), height - 5, this.axis === "time" ? format.duration(value) : text(value),
                value === 0 ? "tl-axis-text" : x(value) > width - 48 ? "tl-axis-text tl-end" : "tl-axis-text tl-mid"))];
    }

    /** @param {CurveName} name @param {Series} series @param {(value: number) => number} x @param {(value: number) => number} y */
    lineOf(name, {run, points}, x, y) {
        const color = colorClass(run.id);
        const dots = points.length < 40 && (name === "validation" || name === "norm" || points.length === 1);
        return svg("g", {class: color, data: {run: run.id}},
            svg("path", {class: "tl-compare-line", d: line(thinned(points.map(([at, value]) => [x(at), y(value)])))}),
            dots ? points.filter(([, value]) => Number.isFinite(value)).map(([at, value]) => svg("circle",
                {class: "tl-compare-dot", r: 3, cx: x(at), cy: y(value)})) : null);
    }

    /**
     * @param {CurveName} name @param {SVGElement} plot @param {Series[]} series @param {number} last
     * @param {PointerEvent|null} event
     */
    readAt(name, plot, series, last, event) {
        const cursor = plot.querySelector(".tl-compare-cursor");
        this.readout.hidden = event === null;
        if (!event || !cursor) {
            cursor?.setAttribute("x1", "-10");
            cursor?.setAttribute("x2", "-10");
            return;
        }
        const box = plot.getBoundingClientRect();
        const at = Math.max(0, Math.min(1, (event.clientX - box.left - MARGIN.left) /
            (box.width - MARGIN.left - MARGIN.right)));
        const place = MARGIN.left + at * (box.width - MARGIN.left - MARGIN.right);
        cursor.setAttribute("x1", String(place));
        cursor.setAttribute("x2", String(place));
        const x = at * last;
        fill(this.readout, h("span", {}, AXES[this.axis]), h("b", {}, this.axis === "time" ? format.duration(x) :
            this.axis === "epoch" ? x.toFixed(1) : format.number(x)),
        series.map((one) => {
            const point = one.points[nearest(one.points, x)];
            const beyond = x > one.points[one.points.length - 1][0] + last * 0.01;
            return [h("span", {class: colorClass(one.run.id)}, h("i", {class: "tl-compare-swatch"}), one.name),
                h("b", {}, beyond || Number.isNaN(point[1]) ? "–" : name === "loss" || name === "validation" ?
                    format.loss(point[1]) : format.rate(point[1]))];
        }));
        const stage = this.stage.getBoundingClientRect();
        this.readout.style.top = `${box.top - stage.top + MARGIN.top}px`;
        const right = place > box.width / 2;
        this.readout.style.left = right ? "auto" : `${place + 12}px`;
        this.readout.style.right = right ? `${box.width - place + 12}px` : "auto";
    }
}

/** @param {Series} series @returns {number|null} */
function lastValue({points}) {
    const known = points.filter(([, value]) => Number.isFinite(value)).pop();
    return known ? known[1] : null;
}
