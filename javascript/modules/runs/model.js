/** The model of a run, built from its events, for plots, samples and the file list. */

import {format} from "../core/format.js";
import {form} from "../train/form.js";
import {isBands} from "./diagnosis/band_figures.js";
import {AT_WORK, OPEN, heldLately, stateNow, timeTrained, whenGranted} from "./state_words.js";

const ENDINGS = ["finished", "stopped", "error"];

/** @typedef {import("../core/types").Sample} Sample */
/**
 * @typedef {object} Steps
 * @property {number[]} step
 * @property {(number|null)[]} loss
 * @property {(number|null)[]} unet its learning rate
 * @property {(number|null)[]} text the text encoder's learning rate
 * @property {(number|null)[]} gradient
 * @property {(import("./diagnosis/band_figures.js").Band[]|null)[]} bands the loss by noise level, null in runs without it
 * @property {number[]} time seconds of training up to the step, without holds and interruptions
 */

export class RunModel {
    /** @param {string} id */
    constructor(id) {
        this.id = id;
        this.offset = 0;
        /** @type {import("../core/types").RunNews} */
        this.summary = {id, name: id.replace(/^\d{8}-\d{6}-/, ""), state: "waiting"};
        /** @type {import("../train/job").Job|null} the settings that the run was started with */
        this.job = null;
        this.log = "";
        /** @type {string[]} pending requests to the worker */
        this.control = [];
        /** @type {string[]} paths of saved files that no longer exist */
        this.missing = [];
        /** The path of the saved file that "Which epoch" proposes, empty for none. */
        this.proposed = "";
        /** @type {import("../core/types").StripFacts|null} the state of the test strip */
        this.strip = null;
        this.phase = {name: "", text: ""};
        /** Whether the run is in a training step now, rather than before, between or after steps. */
        this.stepping = false;
        /** @type {{done: number, total: number, seconds_left: number|null}|null} */
        this.progress = null;
        /**
         * Parallel lists, one entry per step. A NaN loss is null.
         * @type {Steps}
         */
        this.steps = {step: [], loss: [], unet: [], text: [], gradient: [], bands: [], time: []};
        /** When the training would have begun if it had never stood still, in seconds since the epoch. */
        this.clock = 0;
        /** @type {import("../core/types").StepEvent|null} */
        this.lastStep = null;
        /** @type {import("../core/types").MemoryEvent|null} */
        this.memory = null;
        /** @type {import("../core/types").StartedEvent|null} facts about the run, known before its first step */
        this.started = null;
        /** @type {(import("../core/types").EpochEvent & {step: number})[]} */
        this.epochs = [];
        /** @type {import("../core/types").ValidationEvent[]} */
        this.validation = [];
        /**
         * Weight norms of parts and blocks, measured at intervals.
         * @type {import("../core/types").NormsEvent[]}
         */
        this.norms = [];
        /** @type {import("../core/types").SavedEvent[]} */
        this.saved = [];
        /** @type {Sample[]} */
        this.samples = [];
        /** @type {string[]} */
        this.warnings = [];
        /** @type {import("../core/types").WeightsEvent|null} the source of the base weights */
        this.weights = null;
        /** @type {{time: number, seconds: number, why: string}|null} the last hold for others */
        this.stoodStill = null;
        /** @type {import("../core/types").EndingEvent|null} */
        this.ending = null;
    }

    /** @param {import("../core/types").RunDetails} answer of /train-lora/runs/ID */
    take(answer) {
        const {events, offset, log_tail: log, job, control, missing, ...summary} = answer;
        for (const event of events || []) this.takeEvent(event);
        this.offset = offset;
        this.summary = summary;
        this.control = control || [];
        this.missing = missing || [];
        if (job) this.job = job;
        if (log !== undefined) this.log = log;
    }

    /** @param {import("../core/types").RunEvent} event */
    takeEvent(event) {
        const kind = event.event;
        if (kind === "phase") {
            this.phase = {name: event.name, text: event.text};
            this.progress = null;
            this.ending = null;
            this.stepping = false;
        } else if (kind === "started") this.takeStart(event);
        else if (kind === "queued") this.takeQueued();
        else if (kind === "progress") this.progress = event;
        else if (kind === "step") this.takeStep(event);
        else if (kind === "epoch") this.epochs.push({...event, step: this.lastStep ? this.lastStep.step : 0});
        else if (kind === "validation") this.validation.push(event);
        else if (kind === "norms") this.norms.push(event);
        else if (kind === "memory") this.memory = event;
        else if (kind === "saved") replace(this.saved, event, (one) => one.path === event.path);
        else if (kind === "renamed") this.saved = this.saved.map((file) => file.path === event.path ? {...file, path: event.to, name: event.name} : file);
        else if (kind === "sample") replace(this.samples, event, (one) => one.path === event.path);
        else if (kind === "warning") this.warnings.push(event.text);
        else if (kind === "weights") this.weights = event;
        else if (kind === "resumed") this.takeResumed(event);
        else if (kind === "went_on") this.stoodStill = {...event, why: "an image"};
        else if (ENDINGS.includes(kind)) this.takeEnding(/** @type {import("../core/types").EndingEvent} */ (event));
    }

    /**
     * A resumed run repeats the steps after its last state; the repeated ones replace the earlier.
     * @param {import("../core/types").StartedEvent} event
     */
    takeStart(event) {
        this.started = event;
        this.ending = null;
        this.cutAfter(event.from_step || 0);
        this.clock = event.time - (this.steps.time[this.steps.time.length - 1] || 0);
    }

    /** @param {import("../core/types").EndingEvent} event */
    takeEnding(event) {
        this.ending = event;
    }

    /** @param {import("../core/types").ResumedEvent} event from earlier versions it only has a time */
    takeResumed({time, seconds, who, why}) {
        if (seconds !== undefined) this.clock += seconds;
        if (seconds !== undefined && why && who !== "user") this.stoodStill = {time, seconds, why};
    }

    takeQueued() {
        this.ending = null;
        this.phase = {name: "", text: ""};
        this.progress = null;
        this.stepping = false;
    }

    /** @param {number} last the last step that is kept */
    cutAfter(last) {
        const {step} = this.steps;
        let count = step.length;
        while (count && step[count - 1] > last) count -= 1;
        if (count === step.length) return;
        for (const list of Object.values(this.steps)) list.length = count;
        this.epochs = this.epochs.filter((point) => point.step <= last);
        this.validation = this.validation.filter((point) => point.step <= last);
        this.norms = this.norms.filter((point) => point.step <= last);
        this.lastStep = count && this.lastStep ? {...this.lastStep, step: last} : null;
    }

    /** @param {import("../core/types").StepEvent} event */
    takeStep(event) {
        this.stepping = true;
        this.cutAfter(event.step - 1);
        const {step, loss, unet, text, gradient, bands, time} = this.steps;
        step.push(event.step);
        time.push(Math.max(0, event.time - this.clock));
        loss.push(event.loss);
        unet.push(event.lr_unet);
        text.push(event.lr_text_encoder);
        gradient.push(event.gradient_norm === undefined ? null : event.gradient_norm);
        bands.push(isBands(event.bands) ? event.bands : null);
        this.lastStep = event;
    }

    /** @returns {string} the state, including pending requests */
    get state() {
        return stateNow(this.summary.state, this.control, this.lastStep !== null);
    }

    /** @returns {boolean} whether new events are possible */
    get open() {
        return OPEN.includes(this.summary.state);
    }

    /** @returns {boolean} whether it has an active worker */
    get atWork() {
        return AT_WORK.includes(this.summary.state);
    }

    /** @returns {import("../core/types").TrainingPhaseFacts[]} empty if there is only one */
    get trainingPhases() {
        return (this.started && this.started.training_phases) || [];
    }

    get totalSteps() {
        return this.summary.total_steps || (this.lastStep || this.started || {}).total_steps || 0;
    }

    get totalEpochs() {
        const last = this.epochs[this.epochs.length - 1];
        const asked = this.job && this.job.training ? this.job.training.max_train_epochs : null;
        return (this.started || last || this.summary).total_epochs || asked || 0;
    }

    /** @returns {{share: number|null, text: string}} for the progress bar; share is null if unknown */
    progressNow() {
        if (this.lastStep) {
            const text = this.stepping || this.phase.name.startsWith("train") ? this.stepText() : this.phaseText();
            return {share: this.lastStep.step / this.totalSteps, text};
        }
        if (this.progress && this.progress.total) {
            return {share: this.progress.done / this.progress.total, text: this.phaseText()};
        }
        return {share: this.open && this.summary.state !== "waiting" ? null : 0, text: this.phaseText()};
    }

    phaseText() {
        const text = this.phase.text.replace(/[.…]+$/, "");
        if (!this.progress || !this.progress.total) return text ? `${text} …` : "";
        const {done, total, seconds_left: seconds} = this.progress;
        const left = done < total && !this.lastStep && format.left(seconds);  // later, of the whole run
        return `${text}: ${format.number(done)} of ${format.number(total)}${left ? `, ${left}` : ""}`;
    }

    stepText() {
        return `Step ${format.number(this.lastStep ? this.lastStep.step : 0)} of ${format.number(this.totalSteps)}`;
    }

    /** @returns {string} "epoch 3 of 10, 3.3 steps a second", empty before the first step */
    paceText() {
        if (!this.lastStep) return "";
        const {epoch, seconds_per_step: seconds} = this.lastStep;
        const epochs = this.totalEpochs ? `epoch ${epoch} of ${this.totalEpochs}` : `epoch ${epoch}`;
        if (!seconds || this.state !== "running") return epochs;
        const pace = seconds < 1 ? `${(1 / seconds).toFixed(1)} steps a second` : `${seconds.toFixed(1)} s a step`;
        const hold = heldLately(this.stoodStill, this.lastStep);
        return `${epochs}, ${pace}${this.memoryText()}${hold ? `, ${hold}` : ""}`;
    }

    /** @returns {string} ", 5.2 of 8 GB of GPU memory", empty if not measured */
    memoryText() {
        if (!this.memory) return "";
        const gigabytes = (/** @type {number} */ bytes) => (bytes / 2 ** 30).toFixed(1).replace(".0", "");
        const {peak_bytes: peak, device_bytes: whole} = this.memory;
        return `, ${gigabytes(peak)} of ${gigabytes(whole)} GB of GPU memory`;
    }

    /** @returns {string} the current status as a sentence */
    sentence() {
        const name = this.summary.name;
        const soon = whenGranted(this.summary, this.phase, this.stepping);
        const left = this.lastStep ? format.left(this.summary.seconds_left ?? this.lastStep.seconds_left) : "";
        switch (this.state) {
        case "waiting": return `${name} is ${this.summary.on_hold ? "on hold in the queue" : "waiting for its turn"}.`;
        case "starting": return this.progressNow().text || "The worker is starting …";
        case "running": return left ? `${this.progressNow().text.replace(/ …$/, "")}, ${left}` : this.progressNow().text;
        case "pausing": return `Pausing ${soon}.`;
        case "paused": return `Paused${this.atStep()}`;
        case "held": return `Held for ${this.summary.held_for || "the webui"}${this.atStep()}`;
        case "stopping": return `Stopping ${soon}, then saving.`;
        default: return this.endSentence();
        }
    }

    /** @returns {string} " at step 5 of 90", empty before the first */
    atStep() {
        return this.lastStep ? ` at s${this.stepText().slice(1)}` : "";
    }

    endSentence() {
        const steps = this.ending && this.ending.steps ? this.ending.steps : this.lastStep ? this.lastStep.step : 0;
        const time = timeTrained(this.summary);
        switch (this.summary.state) {
        case "finished": return `Done: ${format.plural(steps, "step")}${time}.`;
        case "stopped":
            return steps ? `Stopped after ${format.plural(steps, "step")}${time}.` : "Stopped before it started.";
        case "failed":
            return form.inWords(this.summary.error || "The run has failed. The log below says where.");
        case "damaged": return this.summary.damage || "";
        case "lost": return "The worker ended without a message, as after a power cut, a crash of the driver, or if the " +
            "system ran out of memory. Its saved files are below.";
        default: return "";
        }
    }
}

/**
 * @template T
 * @param {T[]} list @param {T} item @param {(one: T) => boolean} same whether it is to be replaced by `item`
 */
function replace(list, item, same) {
    const index = list.findIndex(same);
    if (index >= 0) list[index] = item;
    else list.push(item);
}
