/** Shared parts of the plots: scales, ticks, paths, and smoothing. */

import {fill, h, svg} from "./dom.js";
import {format} from "./format.js";

/**
 * @param {number} from @param {number} to the domain
 * @param {number} start @param {number} end pixels
 * @returns {(value: number) => number}
 */
function scale(from, to, start, end) {
    const span = to - from || 1;
    return (value) => start + (end - start) * (value - from) / span;
}

/** @param {number} from @param {number} to @param {number} count approximate @returns {number[]} round values */
function ticks(from, to, count) {
    const span = to - from;
    if (!(span > 0)) return [from];
    const raw = span / Math.max(1, count);
    const power = 10 ** Math.floor(Math.log10(raw));
    const steps = [1, 2, 2.5, 5, 10].map((times) => times * power);
    const step = steps.find((candidate) => candidate >= raw * 0.999) || 10 * power;
    const values = [];
    for (let value = Math.ceil(from / step) * step; value <= to + step * 1e-6; value += step) {
        values.push(Number(value.toPrecision(12)));
    }
    return values;
}

/** @param {number[]} values @returns {(value: number) => string} a format with enough decimals to distinguish them */
function tickText(values) {
    const step = values.length > 1 ? values[1] - values[0] : values[0] || 1;
    const decimals = Math.max(0, Math.min(8, -Math.floor(Math.log10(Math.abs(step)) + 1e-9)));
    const exact = Number((step * 10 ** decimals).toFixed(6)) % 1 === 0 ? decimals : decimals + 1;
    return (value) => value.toLocaleString("en-US", {minimumFractionDigits: exact, maximumFractionDigits: exact});
}

/** @param {[number, number][]} points @returns {string} the `d` attribute of a line, with gaps where y is NaN */
function line(points) {
    let path = "";
    let pen = false;
    for (const [x, y] of points) {
        if (Number.isNaN(y)) {
            pen = false;
            continue;
        }
        path += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
        pen = true;
    }
    return path;
}

/**
 * Reduce points to the visible ones: the lowest and the highest of each pixel column.
 * @param {[number, number][]} points sorted by x
 * @returns {[number, number][]}
 */
function thinned(points) {
    if (points.length < 1500) return points;
    /** @type {[number, number][]} */
    const kept = [];
    let index = 0;
    while (index < points.length) {
        const column = Math.round(points[index][0]);
        let low = points[index];
        let high = points[index];
        for (; index < points.length && Math.round(points[index][0]) === column; index += 1) {
            if (points[index][1] < low[1]) low = points[index];
            if (points[index][1] > high[1]) high = points[index];
        }
        kept.push(...(low === high ? [low] : low[0] <= high[0] ? [low, high] : [high, low]));
    }
    return kept;
}

/**
 * Exponential moving average with bias correction (as in Adam).
 * @param {(number|null)[]} values @param {number} weight of the past, 0 to below 1
 * @returns {number[]} NaN until the first number
 */
function smoothed(values, weight) {
    let mean = 0;
    let sum = 0;
    return values.map((value) => {
        if (value !== null && Number.isFinite(value)) {
            mean = weight * mean + (1 - weight) * value;
            sum = weight * sum + (1 - weight);
        }
        return sum > 0 ? mean / sum : NaN;
    });
}

/**
 * @param {number[]} values @param {number} share the fraction of values below the quantile
 * @returns {number} NaN without values
 */
function quantile(values, share) {
    const sorted = values.filter(Number.isFinite).sort((one, other) => one - other);
    if (!sorted.length) return NaN;
    return sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(share * (sorted.length - 1))))];
}

/** @param {number} x @param {number} y @param {string} text @param {string} [name] of the class */
function label(x, y, text, name = "tl-axis-text") {
    return svg("text", {x: x.toFixed(1), y: y.toFixed(1), class: name}, text);
}

/** @typedef {{name: string, first_step: number}} PhaseMark a training phase that begins after `first_step` steps */

/**
 * Boundaries between training phases with the names of the phases, for plots over steps.
 * @param {PhaseMark[]} phases @param {(step: number) => number} x @param {number} top @param {number} bottom
 * @param {number} right where the plot ends
 */
function phaseMarks(phases, x, top, bottom, right) {
    return phases.length < 2 ? [] : phases.map((phase, index) => {
        const at = x(phase.first_step);
        const end = index + 1 < phases.length ? x(phases[index + 1].first_step) : right;
        const letters = Math.floor((end - at - 8) / 6);
        const name = phase.name.length > letters ? `${phase.name.slice(0, Math.max(0, letters - 1))}…` : phase.name;
        return [index ? svg("line", {class: "tl-phase-boundary", x1: at, x2: at, y1: top, y2: bottom}) : null,
            at < right && letters > 2 ? svg("g", {}, svg("title", {}, phase.name), label(at + 4, top + 9, name)) : null];
    });
}

/** @typedef {[number, number|null, number|null][]} Schedule step, and the rates of the UNet and the text encoder */

/**
 * A chart of the learning rate over the run, for the plan.
 * @returns {{element: HTMLElement, show: (schedule: Schedule, steps: number, phases?: PhaseMark[]) => void}}
 */
export function scheduleChart() {
    const height = 72;
    const element = h("div", {class: "tl-schedule"});
    /** @type {{schedule: Schedule, steps: number, phases: PhaseMark[]}|null} */
    let shown = null;

    function draw() {
        const width = element.clientWidth;
        if (!shown || width < 60) return;
        const {schedule, steps, phases} = shown;
        const top = Math.max(...schedule.map((point) => Math.max(point[1] || 0, point[2] || 0)), 0);
        const last = schedule[schedule.length - 1][0];
        const left = 60;
        const x = scale(schedule[0][0], last, left, width - 8);
        const y = scale(0, top || 1, height - 18, phases.length > 1 ? 20 : 8);
        const differ = schedule.some((point) => point[2] !== null && point[1] !== null && point[1] !== point[2]);
        const path = (/** @type {1|2} */ index, /** @type {string} */ name) => svg("path", {class: name,
            d: line(schedule.map((point) => [x(point[0]), y(point[index] ?? NaN)]))});
        const {rate} = format;
        const words = `Learning rate: starts at ${rate(schedule[0][1])}, highest ${rate(top)}, ` +
            `ends at ${rate(schedule[schedule.length - 1][1])}.`;
        const viewBox = `0 0 ${width} ${height}`;
        fill(element, svg("svg", {width, height, viewBox, role: "img", "aria-label": words},
            svg("line", {class: "tl-axis", x1: left, x2: width - 8, y1: y(0), y2: y(0)}),
            label(left - 8, y(top) + 4, rate(Number(top.toPrecision(2))), "tl-axis-text tl-end"),
            label(left - 8, y(0) + 4, "0", "tl-axis-text tl-end"),
            label(left, height - 4, "learning rate"),
            label(width - 8, height - 4, `step ${format.number(steps)}`, "tl-axis-text tl-end"),
            phaseMarks(phases, x, 2, height - 18, width - 8),
            differ ? path(2, "tl-line-text") : null, path(1, "tl-line-unet")));
    }

    new ResizeObserver(() => requestAnimationFrame(draw)).observe(element);
    return {element, show: (schedule, steps, phases = []) => {
        element.hidden = !schedule.length;
        shown = schedule.length ? {schedule, steps, phases} : null;
        draw();
    }};
}

/**
 * A function that asks for ``draw`` at the next frame, once however often it is called until then.
 * @param {() => void} draw @returns {() => void}
 */
export function oncePerFrame(draw) {
    let waiting = false;
    return () => {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => {
            waiting = false;
            draw();
        });
    };
}

export const chart = {scale, ticks, tickText, line, thinned, smoothed, quantile, label, phaseMarks};
