/** The curves below the loss, each with a switch: learning rate, gradient norm, weight norm. */

import {chart} from "../core/chart.js";
import {fill, h, store, svg} from "../core/dom.js";
import {format} from "../core/format.js";

const {scale, line, thinned, smoothed, quantile, label} = chart;
const HEIGHT = 92;
const SMOOTHING = 0.9;

/** @typedef {import("./model.js").RunModel} RunModel */
/** @typedef {[number, number|null|undefined]} Point */
/**
 * @typedef {object} Curve
 * @property {string} id
 * @property {string} title
 * @property {(run: RunModel) => Line[]} lines
 * @property {(run: RunModel, index: number) => string[][]} read name and value at a step
 */
/**
 * @typedef {object} Line
 * @property {string} name its class
 * @property {Point[]} points step and value
 * @property {string} [key] its name, if there are several
 */

/** @type {Curve[]} */
const CURVES = [
    {id: "rate", title: "Learning rate", lines: (run) => parts(
        run.steps.step.map((step, index) => [step, run.steps.unet[index]]),
        run.steps.step.map((step, index) => [step, run.steps.text[index]])),
    read: (run, index) => parted("Rate", run.steps.unet[index], run.steps.text[index])},
    {id: "gradient", title: "Gradient norm", lines: (run) => gradients(run.steps),
        read: (run, index) => parted("Gradient", run.steps.gradient[index], null)},
    {id: "norm", title: "Weight norm", lines: (run) => parts(run.norms.map((event) => [event.step, event.unet]),
        run.norms.map((event) => [event.step, event.text_encoder])),
    read: (run, index) => {
        const before = run.norms.filter((event) => event.step <= run.steps.step[index]).pop();
        return before ? parted("Weights", before.unet, before.text_encoder) : [];
    }},
];

/** @param {number|null|undefined} value @returns {value is number} */
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** @param {Point[]} unet @param {Point[]} text @returns {Line[]} one line if UNet and text encoder are equal */
function parts(unet, text) {
    const differ = text.some(([, value], index) => known(value) && value !== unet[index][1]);
    const both = differ && unet.some(([, value]) => known(value));
    if (!both) return [{name: "tl-line-unet", points: unet.some(([, value]) => known(value)) ? unet : text}];
    return [{name: "tl-line-text", points: text, key: "text encoder"}, {name: "tl-line-unet", points: unet, key: "UNet"}];
}

/** @param {import("./model.js").Steps} steps @returns {Line[]} */
function gradients({step, gradient}) {
    const smooth = smoothed(gradient, SMOOTHING);
    return [{name: "tl-line-raw", points: step.map((at, index) => [at, gradient[index]])},
        {name: "tl-line-unet", points: step.map((at, index) => [at, smooth[index]])}];
}

/**
 * @param {string} name @param {number|null|undefined} unet @param {number|null|undefined} text
 * @returns {string[][]}
 */
function parted(name, unet, text) {
    const rows = [];
    if (known(unet)) rows.push([name, format.rate(unet)]);
    if (known(text) && text !== unet) rows.push([`${name}, text`, format.rate(text)]);
    return rows;
}

export class Curves {
    /** @param {() => void} changed called when another curve is chosen */
    constructor(changed) {
        this.open = new Set(store.get("curves", ["rate"]));
        /** @type {Map<string, SVGSVGElement>} */
        this.pictures = new Map(CURVES.map(({id}) => [id, svg("svg", {class: "tl-plot", height: HEIGHT, role: "img",
            data: {curve: id}})]));
        this.element = h("div", {class: "tl-curves"}, [...this.pictures.values()]);
        this.switches = h("div", {class: "tl-curve-switches", role: "group", "aria-label": "Curves below the loss"},
            CURVES.map((curve) => this.makeSwitch(curve, changed)));
    }

    /** @param {Curve} curve @param {() => void} changed */
    makeSwitch({id, title}, changed) {
        const element = h("button", {type: "button", class: "tl-curve-switch", "aria-pressed": String(this.open.has(id)),
            on: {click: () => {
                if (this.open.has(id)) this.open.delete(id);
                else this.open.add(id);
                element.setAttribute("aria-pressed", String(this.open.has(id)));
                store.set("curves", [...this.open]);
                changed();
            }}}, title);
        return element;
    }

    /** @returns {string} the shown curves, to detect changes */
    get chosen() {
        return [...this.open].sort().join();
    }

    /**
     * @param {RunModel} run @param {(step: number) => number} x @param {number} width
     * @param {{left: number, right: number}} margin
     */
    draw(run, x, width, margin) {
        for (const curve of CURVES) {
            const picture = /** @type {SVGSVGElement} */ (this.pictures.get(curve.id));
            const lines = this.open.has(curve.id) ? curve.lines(run) : [];
            const any = lines.some(({points}) => points.some(([, value]) => known(value)));
            picture.style.display = any ? "" : "none";
            if (any) drawCurve(picture, curve.title, lines, x, width, margin);
        }
    }

    /** @param {RunModel} run @param {number} index @returns {string[][]} names and values of the curves at a step */
    readout(run, index) {
        return CURVES.filter(({id}) => this.open.has(id)).flatMap((curve) => curve.read(run, index));
    }
}

/**
 * @param {SVGSVGElement} picture @param {string} title @param {Line[]} lines
 * @param {(step: number) => number} x @param {number} width @param {{left: number, right: number}} margin
 */
function drawCurve(picture, title, lines, x, width, margin) {
    const values = lines.flatMap(({points}) => points.map(([, value]) => value).filter(known));
    const jumps = lines.some(({name}) => name === "tl-line-raw");
    const highest = Number(Math.max(quantile(values, jumps ? 0.98 : 1), 1e-12).toPrecision(2));
    const bottom = HEIGHT - 8;
    const y = scale(0, highest * 1.05, bottom, 24);
    const path = (/** @type {Line} */ {name, points}) => svg("path", {class: name, d: line(thinned(points.map(([step, value]) =>
        [x(step), known(value) ? y(Math.min(value, highest * 1.05)) : NaN])))});
    const keyed = lines.filter(({key}) => key).reverse();
    const last = values.length ? lines[lines.length - 1].points.filter(([, value]) => known(value)).pop() : null;
    picture.setAttribute("aria-label", `${title}: now ${last ? format.rate(last[1]) : "unknown"}, highest ` +
        `${format.rate(Math.max(...values))}.`);
    fill(picture, svg("text", {x: margin.left, y: 12, class: "tl-axis-text"}, svg("tspan", {}, title),
        keyed.map(({key, name}, index) => svg("tspan", {class: name === "tl-line-text" ? "tl-text-key" : "tl-unet-key"},
            `${index ? "" : ": "}${key}${index < keyed.length - 1 ? "  " : ""}`))),
    label(margin.left - 8, y(highest) + 4, format.rate(highest), "tl-axis-text tl-end"),
    label(margin.left - 8, bottom + 4, "0", "tl-axis-text tl-end"),
    svg("line", {class: "tl-axis", x1: margin.left, x2: width - margin.right, y1: bottom, y2: bottom}),
    lines.map(path));
    picture.setAttribute("width", String(width));
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
}
