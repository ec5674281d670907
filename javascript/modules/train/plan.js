/** The summary of the settings: steps, files, the learning rate over the run, and problems. */

import {scheduleChart} from "../core/chart.js";
import {api, emit, failureOf, fill, h, later, on, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {host} from "../core/host.js";
import {card, findings, icon} from "../core/parts.js";
import {editedRun} from "../runs/queue/edit.js";
import {dataset} from "./images/dataset.js";
import {form} from "./form.js";
import {imagesWanted, planned} from "./goal/planned.js";
import {memoryBar} from "./memory.js";

const FOLDER = "dataset.train_data_dir";

/** @typedef {import("./answers").Plan} Plan */
/** @typedef {import("./answers").KnownPlan} KnownPlan */

/** @type {Plan|null} the last answer of /train-lora/job/check, null before the first */
let planState = null;
/** @type {Record<string, string>} notes on settings, by key */
export let notes = {};
/** @type {Record<string, string>} why settings would have no effect if changed, by key */
export let idle = {};

export function planCard() {
    const sum = h("p", {class: "tl-total", "aria-live": "polite"});
    const note = h("p", {class: "tl-note"});
    const files = h("p", {class: "tl-note"});
    const hints = h("div", {class: "tl-hints"});
    const problems = h("div", {});
    const chart = scheduleChart();
    const rates = h("p", {class: "tl-note"});
    const memory = memoryBar();
    const body = h("div", {class: "tl-plan", hidden: true}, sum, note, chart.element, rates, files, memory.element, hints);
    const empty = h("p", {class: "tl-note"},
        "Choose an image folder to see the number of steps.");

    /** @param {Plan} plan */
    function show(plan) {
        const known = isKnown(plan);
        body.hidden = !known;
        empty.hidden = known;
        const own = unplaced(plan);
        problems.hidden = !own.length;
        fill(problems, findings(own.map((text) => ({level: "error", text}))));
        if (!known) return;
        fill(sum, howCounted(plan));
        const remark = whyNotExact(plan);
        note.hidden = !remark;
        setText(note, remark);
        setText(files, `${whatIsSaved(plan)}${howLong(plan)}`);
        const texts = [plan.steps_hint, ...plan.advice, ...outOfSight(plan)].filter(Boolean).map(form.inWords);
        fill(hints, texts.map((text) => h("p", {class: "tl-hint"}, icon("bulb"), h("span", {}, text))));
        chart.show(plan.schedule, plan.total_steps, plan.phases);
        rates.hidden = !plan.schedule_text;
        setText(rates, plan.schedule_text);
        memory.show(plan.memory);
    }

    on("plan", show);
    return card("Summary", {id: "tl_plan"}, problems, empty, body);
}

/** @param {Plan} plan @returns {plan is KnownPlan} */
const isKnown = (plan) => Boolean(plan.total_steps && plan.steps_per_epoch);

/** Problems that no field shows. @param {Plan} plan */
function unplaced(plan) {
    return plan.problems.filter((text) => !document.querySelector(
        `#train_lora_root .tl-field[data-key="${form.keyOf(text)}"]`) && !aboutEmptyFolder(text)).map(form.inWords);
}

/** Notes on settings whose fields are collapsed or absent. @param {Plan} plan */
function outOfSight(plan) {
    const shown = (/** @type {string} */ key) => {
        /** @type {HTMLElement|null} */
        const field = document.querySelector(`#train_lora_root .tl-field[data-key="${key}"]`);
        return field && !field.hidden && !field.closest("details:not([open])");
    };
    return plan.notes.filter(({key}) => !shown(key)).map(({text}) => text);
}

/** @param {string} text */
const aboutEmptyFolder = (text) => form.keyOf(text) === FOLDER && !form.get(FOLDER);

const batchSize = () => (Number(form.get("dataset.train_batch_size")) || 1) *
    (Number(form.get("training.gradient_accumulation_steps")) || 1);

/**
 * The images that are trained on.
 * @param {KnownPlan} plan
 * @returns {{pictures: number, seen: number, repeats: number|null}} `seen` is 0 if it is unknown, `repeats` null if
 * concepts have different ones
 */
function counted(plan) {
    const found = dataset;
    if (!found) return {pictures: 0, seen: 0, repeats: null};
    const {concepts} = found;
    const seen = concepts.reduce((sum, concept) => sum + concept.pictures * concept.repeats, 0);
    const repeats = new Set(concepts.map((concept) => concept.repeats));
    const each = repeats.size === 1 ? [...repeats][0] : null;
    const pictures = found.pictures - plan.held_out;
    if (plan.held_out) return {pictures, seen: each === null ? 0 : pictures * each, repeats: each};
    return {pictures, seen, repeats: each};
}

/** "24 pictures × 2 repeats ÷ batch 2 × 10 epochs = 240 steps" @param {KnownPlan} plan */
function howCounted(plan) {
    const {pictures, seen, repeats} = counted(plan);
    const total = h("strong", {class: "tl-total-value"}, format.plural(plan.total_steps, "step"));
    if (plan.phases.length > 1) {
        return [h("b", {}, format.number(plan.phases.length)), " training phases with ",
            plan.phases.map((phase, index) => [index ? " + " : "", h("b", {}, format.number(phase.steps))]), " = ", total];
    }
    if (!seen) return total;
    const part = (/** @type {number} */ count, /** @type {string} */ one, many = `${one}s`) =>
        [h("b", {}, format.number(count)), ` ${count === 1 ? one : many}`];
    const first = repeats === null ? part(seen, "image with repeats", "images with repeats") :
        [part(pictures, "image"), " × ", part(repeats, "repeat")];
    return [first, " ÷ batch ", h("b", {}, format.number(batchSize())),
        plan.epochs ? [" × ", part(plan.epochs, "epoch")] : null, " = ",
        total];
}

/** @param {KnownPlan} plan */
function whyNotExact(plan) {
    const {seen} = counted(plan);
    if (plan.phases.length > 1) return "";
    const each = `${format.plural(plan.steps_per_epoch, "step")} an epoch`;
    if (!seen || !plan.epochs) return `${each}.`;
    const whole = plan.steps_per_epoch * plan.epochs === plan.total_steps;
    if (!whole) return `${each}, until the step limit is reached.`;
    if (seen / batchSize() === plan.steps_per_epoch) return "";
    return `${each}: a batch holds images of one shape only, so some are not full.`;
}

/** @param {KnownPlan} plan */
function whatIsSaved(plan) {
    const name = plan.output_name_final;
    const size = plan.file_size_bytes ? `, about ${format.bytes(plan.file_size_bytes)} each` : "";
    const asked = form.get("save.output_name");
    const every = Number(form.get("save.save_every_n_epochs"));
    const count = every && plan.epochs ? Math.max(1, Math.ceil(plan.epochs / every)) : 1;
    const files = `${format.plural(count, "file")}${size}`;
    if (!name) return `${files}. Give the LoRA a name.`;
    if (asked && name !== asked) return `${files}, saved as ${name}, because ${asked} already exists.`;
    return `${files}, saved as ${name}.`;
}

/** @param {KnownPlan} plan */
const howLong = (plan) => plan.seconds ?
    ` About ${format.duration(plan.seconds)}, judging by your last run on this checkpoint.` : "";

/** @type {AbortController|null} */
let asking = null;

let newest = Promise.resolve();

/** @returns {Promise<void>} resolves when the current form was checked, by this request or a newer one */
function check() {
    newest = ask();
    return newest;
}

/** @returns {Promise<void>} */
async function ask() {
    if (!host) return;
    if (asking) asking.abort();
    asking = new AbortController();
    try {
        showPlan(await api("job/check", {body: {job: form.job(), difficulty: planned.letter,
            images_wanted: imagesWanted(), edited: editedRun()?.id || ""}, quiet: true, signal: asking.signal}));
    } catch (error) {
        const {name, message, problems} = failureOf(error);
        if (name === "AbortError") return newest;
        showPlan({...UNKNOWN, problems: problems.length ? problems : [message]});
    }
}

/** @type {Plan} the plan if the server has no answer */
const UNKNOWN = {steps_per_epoch: null, total_steps: null, held_out: 0, epochs: null, schedule: [], schedule_text: "", steps_hint: "",
    phases: [], advice: [], output_name_final: "", file_size_bytes: null, memory: null, seconds: null, notes: [], idle: {},
    blocks: null, network_blocks: [], block_lists: {}, problems: [], prediction: null};

/** Messages about empty fields are not problems before Train was pressed. @param {Plan} plan */
function showPlan(plan) {
    planState = plan;
    /** @type {Record<string, string>} */
    const byField = {};
    for (const text of plan.problems) {
        const key = form.keyOf(text);
        const untouched = key && !form.get(key) && !strict;
        if (key && !untouched && !byField[key]) byField[key] = form.inWords(text);
    }
    idle = plan.idle;
    notes = {};
    for (const {key, text} of plan.notes) {
        const words = form.inWords(text);
        notes[key] = notes[key] ? `${notes[key]} ${words}` : words;
    }
    emit("notes", notes);
    emit("problems", byField);
    emit("plan", plan);
}

on("setting", ({keys}) => {  // about the previous value
    const stale = keys.filter((key) => key in notes);
    for (const key of stale) delete notes[key];
    if (stale.length) emit("notes", notes);
});

const checkSoon = later(check, 350);
for (const name of /** @type {const} */ (["setting", "host", "dataset", "run-ended", "prediction"])) on(name, checkSoon);

export let strict = false;

/** @param {boolean} value */
export function setStrict(value) {
    strict = value;
}

export {planState as plan, check as checkJob};
