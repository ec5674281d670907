/** The live plot of a run: loss of each step and smoothed, epochs, saved files, validation; other curves below it. */

import {chart, oncePerFrame} from "../core/chart.js";
import {fill, h, setText, store, svg} from "../core/dom.js";
import {format} from "../core/format.js";
import {Curves} from "./curves.js";
import {NoiseBands} from "./diagnosis/noise_bands.js";

const {scale, ticks, tickText, line, thinned, smoothed, quantile, label, phaseMarks} = chart;
const MARGIN = {left: 60, right: 12, top: 28, bottom: 24};
const EPOCH_LINE = 11;
/** @type {Record<string, number>} */
const KEY_STEPS = {ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity};
const HEIGHT = 264;

/** @typedef {import("./model.js").RunModel} RunModel */
/** @typedef {"smooth"|"raw"|"validation"|"saved"} LineName */
/** @typedef {{to: number, low: number, high: number}} Domain the last step, and the range of the loss; steps begin at 0 */
/**
 * @typedef {object} Frame scales and data of the plot
 * @property {Domain} domain
 * @property {(step: number) => number} x
 * @property {(loss: number) => number} y
 * @property {number[]} smooth the smoothed loss of each step
 * @property {number} width
 */

export class LossPlot {
    constructor() {
        /** @type {RunModel|null} */
        this.run = null;
        this.weight = store.get("smoothing", 0.95);
        this.drawn = "";
        /** @type {Frame|null} null until first drawn */
        this.frame = null;
        /** @type {SVGGElement|null} marks the step in the readout */
        this.cursor = null;
        this.drawSoon = oncePerFrame(() => {
            if (this.run) this.draw(this.run);
        });
        /** @type {number|null} index of the step in the readout */
        this.at = null;
        /** @type {number|null} index of the step chosen by keys, while the plot has the focus */
        this.chosen = null;
        this.main = svg("svg", {class: "tl-plot", height: HEIGHT, role: "img", tabindex: "0"});
        this.curves = new Curves(() => this.drawSoon());
        this.bands = new NoiseBands(() => this.drawSoon());
        this.curves.switches.append(this.bands.toggle);
        this.readout = h("div", {class: "tl-readout", hidden: true, "aria-live": "polite"});
        this.now = h("span", {class: "tl-plot-now", title: "Mean loss of the last 50 steps, as in the list of runs"});
        this.aside = h("div", {class: "tl-plot-aside"}, this.now, this.smoothing());
        /** @type {Set<LineName>} */
        this.hidden = new Set(store.get("hidden_lines", /** @type {LineName[]} */ ([])));
        this.validationKey = this.key("validation", "tl-swatch-validation", "Held-out images");
        this.savedKey = this.key("saved", "tl-swatch-saved", "Saved");
        this.legend = h("div", {class: "tl-keys"}, this.key("smooth", "tl-swatch-smooth", "Loss, smoothed"),
            this.key("raw", "tl-swatch-raw", "Each step"), this.validationKey, this.savedKey, this.curves.switches);
        this.stage = h("div", {class: "tl-plot-stage"}, this.main, this.curves.element, this.readout);
        this.empty = h("p", {class: "tl-plot-empty"}, "The loss appears here from the first step.");
        this.element = h("div", {class: "tl-lossplot"}, this.legend, this.stage, this.empty, this.bands.element);
        this.listen();
        new ResizeObserver(() => this.drawSoon()).observe(this.stage);
    }

    smoothing() {
        const slider = h("input", {type: "range", class: "tl-range", min: "0", max: "0.99", step: "0.01",
            value: String(this.weight), "aria-label": "How much the loss is smoothed", on: {input: (event) => {
                this.weight = Number(event.currentTarget.value);
                store.set("smoothing", this.weight);
                this.drawSoon();
            }}});
        return h("label", {class: "tl-smoothing"}, "Smoothing", slider);
    }

    /**
     * A toggle for a line; the curves below are chosen in the same row.
     * @param {LineName} line @param {string} name of the swatch's class @param {string} text
     */
    key(line, name, text) {
        return h("button", {type: "button", class: "tl-key", data: {line},
            "aria-pressed": String(!this.hidden.has(line)), on: {click: (event) => this.turn(line, event.currentTarget)}},
        h("i", {class: `tl-swatch ${name}`}), text);
    }

    /** @param {LineName} line @param {HTMLElement} element its key */
    turn(line, element) {
        if (this.hidden.has(line)) this.hidden.delete(line);
        else this.hidden.add(line);
        element.setAttribute("aria-pressed", String(!this.hidden.has(line)));
        store.set("hidden_lines", [...this.hidden]);
        this.drawn = "";
        this.drawSoon();
    }

    listen() {
        // a page that moves under a resting pointer sends these too, which must not take the step from someone at the keys
        this.main.addEventListener("pointermove", (event) => {
            if (this.chosen === null || event.movementX || event.movementY) this.readAt(this.indexAt(event));
        });
        this.main.addEventListener("pointerleave", () => this.readAt(this.chosen));
        this.main.addEventListener("blur", () => {
            this.chosen = null;
            this.readAt(null);
        });
        this.main.addEventListener("keydown", (event) => {
            const step = KEY_STEPS[event.key];
            if (!step || !this.run) return;
            const last = this.run.steps.step.length - 1;
            this.chosen = Math.max(0, Math.min(last, (this.at === null ? last : this.at) + step));
            this.readAt(this.chosen);
            event.preventDefault();
        });
    }

    /** @param {RunModel} run the model to show */
    show(run) {
        if (run !== this.run) {
            this.run = run;
            this.frame = null;
            this.at = this.chosen = null;
            this.drawn = "";
        }
        this.drawSoon();
    }

    /** @param {RunModel} run */
    draw(run) {
        const {steps, validation, saved, epochs, norms} = run;
        const width = this.stage.clientWidth;
        const count = steps.step.length;
        this.stage.hidden = count === 0;
        this.legend.hidden = count === 0;
        this.aside.hidden = count === 0;
        this.empty.hidden = count > 0;
        this.bands.show(run);
        if (width < 80 || !count) return;
        const last = steps.step[count - 1];
        const signature = [width, count, last, this.weight, validation.length, saved.length,
            epochs.length, norms.length, run.totalSteps, run.summary.loss, this.curves.chosen].join();
        if (signature === this.drawn) return;
        this.drawn = signature;
        const smooth = smoothed(steps.loss, this.weight);
        const domain = this.chooseDomain(run, smooth);
        const frame = this.frame = {domain, smooth, width, x: scale(0, domain.to, MARGIN.left, width - MARGIN.right),
            y: scale(domain.low, domain.high, HEIGHT - MARGIN.bottom, MARGIN.top)};
        this.validationKey.hidden = !validation.length;
        this.savedKey.hidden = !saved.length;
        const now = format.loss(run.summary.loss);
        setText(this.now, now);
        this.main.setAttribute("aria-label", `Loss: ${now}, the mean of the last 50 steps, at step ${last}; ` +
            `${format.loss(smooth[Math.min(count - 1, 20)])} near the start. Arrow keys read single steps.`);
        this.drawMain(run, frame);
        this.curves.draw(run, frame.x, width, MARGIN);
        this.readAt(this.at);
    }

    /**
     * Keeps axes stable: extends them in halves of the run, and vertically only when the line leaves them.
     * @param {RunModel} run @param {number[]} smooth @returns {Domain}
     */
    chooseDomain(run, smooth) {
        const {steps, totalSteps, validation} = run;
        const last = steps.step[steps.step.length - 1];
        let to = Math.max(totalSteps, last);
        while (to > 16 && last < to * 0.42) to = Math.ceil(to / 2);
        const values = steps.loss.filter((value) => typeof value === "number");
        const extra = [...smooth.filter((_, index) => index > 4), ...validation.map((point) => point.loss)]
            .filter((value) => Number.isFinite(value));
        const lowest = Math.min(quantile(values, 0.02), ...extra.length ? [quantile(extra, 0)] : []);
        const highest = Math.max(quantile(values, 0.97), ...extra.length ? [quantile(extra, 1)] : []);
        const pad = Math.max((highest - lowest) * 0.08, highest * 0.02, 1e-6);
        const wanted = {low: Math.max(0, lowest - pad), high: highest + pad};
        const before = this.frame ? this.frame.domain : null;
        const span = wanted.high - wanted.low;
        const fits = before && before.low <= lowest && before.high >= highest &&
            before.high - before.low < 1.7 * span;
        return fits ? {to, low: before.low, high: before.high} : {to, ...wanted};
    }

    /** @param {RunModel} run @param {Frame} frame */
    drawMain(run, frame) {
        const {steps, validation} = run;
        const {domain: {low, high, to}, x, y, smooth, width} = frame;
        const values = ticks(low, high, 4);
        const text = tickText(values);
        const bottom = HEIGHT - MARGIN.bottom;
        const clip = (/** @type {number|null} */ value) =>
            (value === null ? NaN : y(Math.min(high, Math.max(low, value))));
        const xs = steps.step.map((step) => x(step));
        const points = (/** @type {(number|null)[]} */ list) => thinned(list.map((value, index) => [xs[index], clip(value)]));
        const across = ticks(0, to, Math.max(3, Math.floor(width / 110)));
        const acrossText = tickText(across);
        const shown = (/** @type {LineName} */ name, /** @type {() => import("../core/elements").Child} */ build) =>
            (this.hidden.has(name) ? null : build());
        const raw = {class: `tl-line-raw${xs.length > width ? " tl-dense" : ""}`, d: line(points(steps.loss))};
        this.cursor = svg("g", {class: "tl-cursor"});
        fill(this.main,
            values.map((value) => [svg("line", {class: "tl-grid", x1: MARGIN.left, x2: width - MARGIN.right,
                y1: y(value), y2: y(value)}), label(MARGIN.left - 8, y(value) + 4, text(value),
                "tl-axis-text tl-end")]),
            across.map((value) => label(x(value), HEIGHT - 6, acrossText(value), value === 0 ?
                "tl-axis-text" : x(value) > width - 40 ? "tl-axis-text tl-end" : "tl-axis-text tl-mid")),
            svg("line", {class: "tl-axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom}),
            label(MARGIN.left - 8, HEIGHT - 6, "Step", "tl-axis-text tl-end"),
            epochMarks(run, frame, bottom),
            phaseMarks(run.trainingPhases.filter((phase) => phase.first_step <= to), x, MARGIN.top, bottom, width - MARGIN.right),
            shown("raw", () => svg("path", raw)),
            shown("smooth", () => svg("path", {class: "tl-line-smooth", d: line(points(smooth))})),
            shown("validation", () => [validation.length > 1 ? svg("path", {class: "tl-line-validation",
                d: line(validation.map((point) => [x(point.step), clip(point.loss)]))}) : null,
            validation.map((point) => svg("circle", {class: "tl-dot-validation", r: 3.5, cx: x(point.step),
                cy: clip(point.loss)}))]),
            shown("saved", () => savedMarks(run, frame, bottom)), this.cursor);
        this.main.setAttribute("width", String(width));
        this.main.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    }

    /** @param {PointerEvent} event @returns {number|null} of the step under the pointer */
    indexAt(event) {
        if (!this.run || !this.frame) return null;
        const {step} = this.run.steps;
        const {left, width} = this.main.getBoundingClientRect();
        const inner = width - MARGIN.left - MARGIN.right;
        const wanted = this.frame.domain.to * (event.clientX - left - MARGIN.left) / inner;
        let low = 0;
        let high = step.length - 1;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (step[middle] < wanted) low = middle + 1;
            else high = middle;
        }
        return low > 0 && wanted - step[low - 1] < step[low] - wanted ? low - 1 : low;
    }

    /** @param {number|null} index of the step for the readout, null for none */
    readAt(index) {
        const {run, frame, cursor} = this;
        this.at = run && index !== null && index < run.steps.step.length ? index : null;
        this.readout.hidden = this.at === null;
        if (!cursor) return;
        if (!run || !frame || this.at === null) {
            fill(cursor);
            return;
        }
        const {low, high} = frame.domain;
        const x = frame.x(run.steps.step[this.at]);
        const y = frame.y(Math.min(high, Math.max(low, frame.smooth[this.at])));
        fill(cursor, svg("line", {x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom}),
            Number.isNaN(y) ? null : svg("circle", {cx: x, cy: y, r: 4}));
        fill(this.readout, this.readoutLines(run, frame, this.at).map(([name, value]) =>
            [h("span", {}, name), h("b", {}, value)]));
        const right = x > this.stage.clientWidth / 2;
        this.readout.style.left = right ? "auto" : `${x + 12}px`;
        this.readout.style.right = right ? `${this.stage.clientWidth - x + 12}px` : "auto";
    }

    /** @param {RunModel} run @param {Frame} frame @param {number} index of the step */
    readoutLines(run, frame, index) {
        const {steps, saved, epochs, validation} = run;
        const step = steps.step[index];
        const ended = epochs.filter((epoch) => epoch.step < step).length;
        const lines = [["Step", format.number(step)], ["Epoch", String(ended + 1)],
            ["Smoothed", format.loss(frame.smooth[index])], ["This step", format.loss(steps.loss[index])]];
        lines.push(...this.curves.readout(run, index));
        const point = validation.find((candidate) => candidate.step === step);
        if (point) lines.push(["Held out", format.loss(point.loss)]);
        const file = saved.find((candidate) => candidate.step === step);
        if (file) lines.push(["Saved", file.name]);
        return lines;
    }
}

/** @param {RunModel} run @param {Frame} frame @param {number} bottom */
function epochMarks(run, frame, bottom) {
    let free = -Infinity;
    const title = label(MARGIN.left - 8, EPOCH_LINE, "Epoch", "tl-axis-text tl-end");
    return [run.epochs.length ? title : null, ...run.epochs.map((epoch) => {
        const x = frame.x(epoch.step);
        const named = x - free > 26;
        if (named) free = x;
        return [svg("line", {class: "tl-epoch", x1: x, x2: x, y1: MARGIN.top - 8, y2: bottom}),
            named ? label(x, EPOCH_LINE, String(epoch.epoch), "tl-axis-text tl-mid") : null];
    })];
}

/** @param {RunModel} run @param {Frame} frame @param {number} bottom */
function savedMarks(run, frame, bottom) {
    return run.saved.filter((file) => file.step <= frame.domain.to).map((file) => {
        const x = frame.x(file.step);
        return svg("path", {class: "tl-saved", d: `M${x} ${bottom - 5}l5 5l-5 5l-5 -5z`},
            svg("title", {}, `${file.name} was saved here`));
    });
}
