/** The loss by noise level, below the loss of a run: a small chart for each band, with what is usual there. */

import {chart} from "../../core/chart.js";
import {fill, h, setText, store, svg} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {BAND_NAMES, bandCurves, kindOfModel, noiseWords, short, startOf} from "./band_figures.js";

const WIDTH = 300;
const HEIGHT = 84;
const SMOOTHING = 0.97;

/** @typedef {import("../model.js").RunModel} RunModel */
/** @typedef {import("./band_figures.js").Range} Range */
/** @typedef {{curve: number[], range: Range|null, guess: number|null, from: number, to: number}} BandFacts */

export class NoiseBands {
    /** @param {() => void} changed called when the charts are switched on or off */
    constructor(changed) {
        this.open = store.get("noise_bands", true);
        this.drawn = "";
        this.toggle = h("button", {type: "button", class: "tl-curve-switch", "aria-pressed": String(this.open), on: {click: () => {
            this.open = !this.open;
            this.toggle.setAttribute("aria-pressed", String(this.open));
            store.set("noise_bands", this.open);
            changed();
        }}}, "By noise level");
        this.charts = h("div", {class: "tl-bands"});
        this.words = h("p", {class: "tl-note"});
        this.element = h("div", {class: "tl-bands-part", hidden: true}, this.charts, this.words);
    }

    /** @param {RunModel} run */
    show(run) {
        const {bands, step} = run.steps;
        const any = bands.some((one) => one !== null);
        this.toggle.hidden = !any;
        this.element.hidden = !any || !this.open;
        const signature = `${run.id}/${step.length}/${step[step.length - 1]}`;
        if (this.element.hidden || signature === this.drawn) return;
        this.drawn = signature;
        const curves = bandCurves(bands, SMOOTHING);
        const noise = run.started && run.started.noise;
        const edges = noise ? noise.edges : [0, 333, 667, 1000];
        const start = startOf(bands, run.totalSteps);
        const facts = curves.map((curve, band) => ({curve, range: start[band] || null, guess: noise ? noise.guess[band] : null,
            from: edges[band], to: edges[band + 1] - 1}));
        fill(this.charts, facts.map((fact, band) => bandChart(BAND_NAMES[band], fact, step)));
        setText(this.words, [noiseWords(facts.map(({curve}) => curve[curve.length - 1])), usualWords(start, run.trainingPhases.length > 1),
            noise ? `A guess that knows only the noise level would score the number given last (${kindOfModel(noise)}).` : ""]
            .filter(Boolean).join(" "));
    }
}

/** @param {(Range|null)[]} start @param {boolean} phases whether the run has several @returns {string} what the shaded range is */
function usualWords(start, phases) {
    return start.some(Boolean) ? "Shaded is what is usual for this base model on these images: the loss of the first steps, when the LoRA " +
        `had changed little (the middle 80 %; dashed: the mean).${phases ? " It belongs to the first phase: another one with other images, sizes or loss " +
            "settings shifts the curves by that alone." : ""}` : "";
}

/** @param {string} name @param {BandFacts} fact @param {number[]} steps */
function bandChart(name, {curve, range, guess, from, to}, steps) {
    const known = curve.filter(Number.isFinite);
    const now = known[known.length - 1];
    const numbers = [known.length ? h("b", {}, short(now)) : "no step yet",
        range ? `usual ${short(range.low)}–${short(range.high)}` : null, guess === null ? null : `guess ${short(guess)}`];
    const label = `${name}, timesteps ${from} to ${to}: ${known.length ? `now ${short(now)}` : "no step yet"}` +
        `${range ? `, usual ${short(range.low)} to ${short(range.high)}` : ""}.`;
    return h("figure", {class: "tl-band"},
        h("figcaption", {}, h("span", {class: "tl-band-name"}, name), h("span", {class: "tl-note"}, `${format.number(from)}–${format.number(to)}`)),
        drawBand(curve, range, steps, label),
        h("p", {class: "tl-band-numbers"}, numbers.filter(Boolean).map((item, index) => [index ? " · " : "", item])));
}

/** @param {number[]} curve @param {Range|null} range @param {number[]} steps @param {string} label */
function drawBand(curve, range, steps, label) {
    const most = 1.08 * Math.max(chart.quantile(curve, 0.99) || 0, range ? range.high : 0, 1e-6);
    const x = chart.scale(0, steps[steps.length - 1] || 1, 0, WIDTH);
    const y = chart.scale(0, most, HEIGHT - 1, 2);
    const points = chart.thinned(curve.map((loss, index) => [x(steps[index]), Number.isFinite(loss) ? y(Math.min(loss, most)) : NaN]));
    return svg("svg", {class: "tl-band-plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label},
        range ? [svg("rect", {class: "tl-band-usual", x: 0, width: WIDTH, y: y(range.high), height: Math.max(1, y(range.low) - y(range.high))}),
            svg("line", {class: "tl-band-mean", x1: 0, x2: WIDTH, y1: y(range.mean), y2: y(range.mean)})] : null,
        svg("line", {class: "tl-axis", x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5}),
        svg("path", {class: "tl-band-line", d: chart.line(points)}));
}
