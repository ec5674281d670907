/** The curves of a run as points, for the axis that they are compared on. */

/** @typedef {"step"|"epoch"|"images"|"time"} Axis */
/** @typedef {"loss"|"validation"|"norm"|"gradient"|"rate"} CurveName */
/** @typedef {[number, number|null|undefined]} Point x and value */
/**
 * @typedef {object} Curved what is needed of a run's model
 * @property {import("../model.js").Steps} steps
 * @property {{step: number, loss: number}[]} validation
 * @property {{step: number, unet: number|null, text_encoder: number|null}[]} norms
 * @property {{steps_per_epoch?: number|null}|null} started
 * @property {{dataset?: {train_batch_size?: number}, training?: {gradient_accumulation_steps?: number}}|null} job
 */

/** @type {Record<Axis, string>} */
export const AXES = {step: "Step", epoch: "Epoch", images: "Images seen", time: "Time"};
/** @type {Record<CurveName, string>} */
export const CURVES = {loss: "Loss", validation: "Held-out images", norm: "Weight norm", gradient: "Gradient norm",
    rate: "Learning rate"};

/**
 * @param {Curved} run @param {Axis} axis
 * @returns {(step: number) => number} where a step lies on the axis; NaN if unknown
 */
export function along(run, axis) {
    const {steps, started, job} = run;
    if (axis === "epoch") {
        const each = started && started.steps_per_epoch;
        return (step) => (each ? step / each : NaN);
    }
    if (axis === "images") {
        const {train_batch_size: batch = 1} = job?.dataset || {};
        const {gradient_accumulation_steps: accumulated = 1} = job?.training || {};
        return (step) => (job ? step * batch * accumulated : NaN);
    }
    if (axis === "time") return (step) => secondsAt(steps, step);
    return (step) => step;
}

/** @param {import("../model.js").Steps} steps @param {number} step @returns {number} seconds of training up to it */
function secondsAt(steps, step) {
    let low = 0;
    let high = steps.step.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (steps.step[middle] < step) low = middle + 1;
        else high = middle;
    }
    return steps.time[Math.min(low, steps.time.length - 1)] ?? NaN;
}

/**
 * @param {Curved} run @param {CurveName} name @param {Axis} axis
 * @returns {Point[]} sorted by x
 */
export function pointsOf(run, name, axis) {
    const x = along(run, axis);
    const {step, loss, unet, text, gradient} = run.steps;
    if (name === "validation") return run.validation.map((point) => [x(point.step), point.loss]);
    if (name === "norm") return run.norms.map((point) => [x(point.step), point.unet ?? point.text_encoder]);
    const values = name === "loss" ? loss : name === "gradient" ? gradient : step.map((_, index) => unet[index] ?? text[index]);
    const xs = axis === "time" ? run.steps.time : step.map(x);
    return xs.map((at, index) => [at, values[index]]);
}

/** @param {Point[]} points sorted by x @param {number} x @returns {number} the index of the nearest, -1 without points */
export function nearest(points, x) {
    let best = -1;
    points.forEach(([at], index) => {
        if (best < 0 || Math.abs(at - x) < Math.abs(points[best][0] - x)) best = index;
    });
    return best;
}

/**
 * The epochs and steps of several runs' images in columns, so that the same epoch is below the same heading.
 * @param {{step: number, epoch: number}[][]} images of each run
 * @returns {{key: string, title: string, epoch: number, step: number}[]} sorted; step 0 is before training
 */
export function columnsOf(images) {
    const bySteps = images.some((list) => {
        /** @type {Map<number, number>} */
        const first = new Map();
        return list.some(({step, epoch}) => {
            if (!step) return false;
            const other = first.get(epoch);
            first.set(epoch, step);
            return other !== undefined && other !== step;
        });
    });
    /** @type {Map<string, {key: string, title: string, epoch: number, step: number}>} */
    const found = new Map();
    for (const {step, epoch} of images.flat()) {
        const key = columnKey({step, epoch}, bySteps);
        const title = !step ? "No LoRA" : bySteps ? `Step ${step}` : `Epoch ${epoch}`;
        if (!found.has(key)) found.set(key, {key, title, epoch: step ? epoch : 0, step: bySteps ? step : 0});
    }
    return [...found.values()].sort((one, other) => (one.epoch - other.epoch) || (one.step - other.step) ||
        (one.title === "No LoRA" ? -1 : 1));
}

/** @param {{step: number, epoch: number}} image @param {boolean} bySteps @returns {string} of its column */
export const columnKey = ({step, epoch}, bySteps) => (!step ? "0" : bySteps ? `s${step}` : `e${epoch}`);
