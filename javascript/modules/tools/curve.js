/** Size and error of a LoRA by rank, as a plot; a click chooses a rank. */

import {chart} from "../core/chart.js";
import {fill, h, setText, svg} from "../core/dom.js";
import {format} from "../core/format.js";

/** @typedef {import("./answers").CurvePoint} CurvePoint */

const HEIGHT = 220;
const EDGE = {left: 52, right: 68, top: 12, bottom: 40};

export class RankCurve {
    /** @param {(rank: number) => void} choose called with the clicked rank */
    constructor(choose) {
        this.choose = choose;
        /** @type {CurvePoint[]} */
        this.points = [];
        /** The chosen rank, 0 for none. */
        this.rank = 0;
        this.plot = h("div", {class: "tl-curve", role: "group", "aria-label": "Size and error by rank"});
        this.words = h("p", {class: "tl-curve-words", "aria-live": "polite"});
        this.element = h("div", {class: "tl-curve-part"}, h("p", {class: "tl-curve-key"},
            h("span", {class: "tl-curve-error"}, "Error"), h("span", {class: "tl-curve-size"}, "File size")),
        this.plot, this.words);
        new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(this.plot);
    }

    /** @param {CurvePoint[]} points @param {number} rank chosen, 0 for none */
    show(points, rank) {
        this.points = points.filter((point) => point.rank > 0);
        this.rank = rank;
        this.element.hidden = this.points.length < 2;
        this.say(null);
        this.draw();
    }

    /** @param {CurvePoint|null} point under the pointer, null for the chosen one */
    say(point) {
        const shown = point || this.points.find(({rank}) => rank === this.rank);
        setText(this.words, shown ? sentence(shown) : "Click a rank to put it into the form.");
    }

    draw() {
        const width = this.plot.clientWidth;
        const {points} = this;
        if (width < 120 || points.length < 2) return;
        const x = chart.scale(Math.log2(points[0].rank), Math.log2(points[points.length - 1].rank), EDGE.left + 16,
            width - EDGE.right - 16);
        const at = points.map(({rank}) => x(Math.log2(rank)));
        const worst = Math.max(...points.map(({error}) => error), 1e-9);
        const largest = Math.max(...points.map(({bytes}) => bytes), 1);
        const error = chart.scale(0, worst, HEIGHT - EDGE.bottom, EDGE.top);
        const size = chart.scale(0, largest, HEIGHT - EDGE.bottom, EDGE.top);
        const bottom = HEIGHT - EDGE.bottom;
        fill(this.plot, svg("svg", {width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`},
            chart.ticks(0, worst, 4).map((value) => [svg("line", {class: "tl-grid", x1: EDGE.left, x2: width - EDGE.right,
                y1: error(value), y2: error(value)}), chart.label(EDGE.left - 8, error(value) + 4, percent(value),
                "tl-axis-text tl-end")]),
            chart.ticks(0, largest, 4).map((value) => chart.label(width - EDGE.right + 8, size(value) + 4,
                value ? format.bytes(value) : "0")),
            svg("line", {class: "tl-axis", x1: EDGE.left, x2: width - EDGE.right, y1: bottom, y2: bottom}),
            chart.label((EDGE.left + width - EDGE.right) / 2, HEIGHT - 4, "rank", "tl-axis-text tl-middle"),
            points.map((point, index) => this.column(point, at, index)),
            svg("path", {class: "tl-line-text", d: chart.line(points.map((point, index) => [at[index], size(point.bytes)]))}),
            svg("path", {class: "tl-line-smooth", d: chart.line(points.map((point, index) => [at[index], error(point.error)]))}),
            points.map((point, index) => dots(at[index], error(point.error), size(point.bytes), point.rank === this.rank))));
    }

    /**
     * The clickable area of a rank.
     * @param {CurvePoint} point @param {number[]} at positions of the ranks @param {number} index of this one
     */
    column(point, at, index) {
        const half = (/** @type {number} */ other) => (at[other] === undefined ? 16 : Math.abs(at[other] - at[index]) / 2);
        const [before, after] = [half(index - 1), half(index + 1)];
        const chosen = point.rank === this.rank;
        const take = () => {
            this.rank = point.rank;
            this.choose(point.rank);
            this.draw();
            this.say(null);
            const again = this.plot.querySelector(`[data-rank="${point.rank}"]`);
            if (again instanceof SVGElement) again.focus();
        };
        const crowded = before + after < 26 && index % 2 === 1 && !chosen;
        return svg("g", {class: `tl-curve-rank${chosen ? " tl-chosen" : ""}`, role: "button", tabindex: "0",
            "aria-label": sentence(point), "aria-pressed": String(chosen), data: {rank: String(point.rank)},
            on: {click: take, mouseenter: () => this.say(point), mouseleave: () => this.say(null),
                focus: () => this.say(point), keydown: (event) => {
                    if (event.key !== "Enter" && event.key !== " ") return;
                    event.preventDefault();
                    take();
                }}},
        svg("rect", {x: at[index] - before, y: 0, width: before + after, height: HEIGHT - EDGE.bottom + 20}),
        crowded ? null : chart.label(at[index], HEIGHT - EDGE.bottom + 16, String(point.rank), "tl-axis-text tl-middle"));
    }
}

/** @param {number} x @param {number} error @param {number} size pixels from the top @param {boolean} chosen */
const dots = (x, error, size, chosen) => [
    svg("circle", {class: "tl-curve-dot tl-curve-dot-size", cx: x, cy: size, r: chosen ? 4 : 3}),
    svg("circle", {class: "tl-curve-dot tl-curve-dot-error", cx: x, cy: error, r: chosen ? 5 : 3.5})];

/** @param {number} share @returns {string} */
export const percent = (share) => {
    const hundredths = 100 * share;
    return `${hundredths >= 10 || hundredths === 0 ? Math.round(hundredths) : Number(hundredths.toPrecision(2))}%`;
};

/** @param {CurvePoint} point */
const sentence = ({rank, bytes, error}) => `Rank ${rank}: about ${format.bytes(bytes)}, error ${percent(error)}.`;
