/** Resumes or continues an ended run: unchanged, for a few more epochs, or at a lower rate. */

import {dialog as openDialog} from "../core/dialog.js";
import {api, failureOf, fill, h, later, on, setText, uniqueId} from "../core/dom.js";
import {format} from "../core/format.js";
import {environmentState} from "../core/host.js";
import {button as makeButton, setLabel} from "../core/parts.js";
import {whileBusy} from "./controls.js";
import {runs} from "./watch.js";

const ENDED = ["stopped", "failed", "lost"];
const POLISHING_STEPS = 200;
const NUMBER_KEYS = {epochs: "Epochs", factor: "Learning rate multiplier"};

/** @typedef {import("./model.js").RunModel} RunModel */
/** @typedef {import("../core/types").ContinueOptions} ContinueOptions */
/**
 * @typedef {object} Kind
 * @property {string} title
 * @property {string} button
 * @property {string} how
 * @property {number|null} factor
 * @property {((run: RunModel) => number)|null} epochs
 * @property {string} text
 */

/**
 * Texts and proposed values of each dialog. `epochs` is null if the run's own end is kept.
 * @type {Record<"more"|"polish"|"slower", Kind>}
 */
const KINDS = {
    more: {title: "A few more epochs", button: "Train more", how: "more", factor: null,
        epochs: (run) => Math.max(1, Math.round(0.2 * (run.totalEpochs || 1))),
        text: "For a LoRA that is almost there: training continues where it stopped, with the same settings."},
    polish: {title: "Polish at a lower rate", button: "Polish", how: "more", factor: 0.1,
        epochs: (run) => Math.min(Math.ceil((run.totalEpochs || 1) / 4),
            Math.max(1, Math.round(POLISHING_STEPS / (run.summary.steps_per_epoch || POLISHING_STEPS)))),
        text: "A couple of hundred steps at a very low rate can round the weights: better details, a little less " +
            "overfitting. It does not always help, and a LoRA that is burned stays burned."},
    slower: {title: "Resume at a lower rate", button: "Resume", how: "resume", factor: 0.5, epochs: null,
        text: "The loss diverged. From the last good state, smaller steps may keep it stable."},
};

export class Continuation {
    /** @param {() => RunModel|null} current the run's model, null for none */
    constructor(current) {
        this.current = current;
        this.busy = false;
        this.exactly = makeButton("Resume", {kind: "primary", icon: "play", click: () => this.ask({})});
        this.slower = makeButton("Resume at a lower rate", {kind: "primary", icon: "play",
            click: () => this.open("slower")});
        this.more = makeButton("A few more epochs", {icon: "plus", click: () => this.open("more")});
        this.polish = makeButton("Polish at a lower rate", {icon: "bulb", click: () => this.open("polish")});
        this.buttons = [this.exactly, this.slower, this.more, this.polish];
        this.note = h("p", {class: "tl-note"});
        this.element = h("div", {class: "tl-resume", hidden: true}, h("div", {class: "tl-row"}, this.buttons), this.note);
        on("host", () => this.current() && this.show());
    }

    show() {
        const run = this.current();
        if (!run) return;
        const {summary} = run;
        const ended = ENDED.includes(summary.state);
        const finished = summary.state === "finished" && Boolean(summary.has_training_state);
        this.element.hidden = !ended && !finished;
        this.exactly.hidden = !ended || Boolean(summary.diverged);
        this.slower.hidden = !ended || !summary.diverged;
        this.more.hidden = this.polish.hidden = !finished;
        for (const button of this.buttons) button.disabled = this.busy || environmentState() !== "ready";
        setLabel(this.exactly, summary.has_training_state ? "Resume" : "Start again");
        const from = `From step ${format.number(summary.training_state_step || 0)}`;
        const words = summary.has_training_state ? (summary.diverged ? `${from}, its last good state.` :
            `${from}, exactly as if it had never stopped.`) : "No training state was saved yet.";
        this.note.hidden = !ended;
        setText(this.note, words);
    }

    /** @param {ContinueOptions} options */
    async ask(options) {
        const run = this.current();
        if (run) await whileBusy(this, () => runs.continueRun(run.id, options));
    }

    /** @param {keyof typeof KINDS} name */
    open(name) {
        const kind = KINDS[name];
        const run = this.current();
        if (!run) return;
        /** @type {ContinueOptions} */
        const values = {how: kind.how};
        if (kind.epochs) values.epochs = kind.epochs(run);
        if (kind.factor) values.rate_factor = kind.factor;
        const forecast = new Forecast(run.id, () => values, (ready) => {
            go.disabled = !ready;
        });
        const inputs = [values.epochs ? number("epochs", values.epochs, (value) => {
            values.epochs = value;
            forecast.soon();
        }) : null, values.rate_factor ? number("factor", values.rate_factor, (value) => {
            values.rate_factor = value;
            forecast.soon();
        }) : null];
        const go = makeButton(kind.button, {kind: "primary", icon: "play", disabled: true, click: () => {
            dialog.close();
            this.ask(values);
        }});
        const dialog = openDialog(kind.title, [h("p", {}, kind.text), h("div", {class: "tl-fields"}, inputs),
            forecast.element], [makeButton("Cancel", {click: () => dialog.close()}), go]);
        dialog.classList.add("tl-small-dialog");
        forecast.now();
        const first = dialog.querySelector("input");
        if (first) first.select();
    }
}

/** @param {keyof typeof NUMBER_KEYS} name @param {number} value @param {(value: number) => void} changed */
function number(name, value, changed) {
    const id = uniqueId("resume");
    return h("div", {class: "tl-field tl-field-plain", data: {name}},
        h("div", {class: "tl-field-head"}, h("label", {class: "tl-label", for: id}, NUMBER_KEYS[name])),
        h("div", {class: "tl-control"}, h("input", {id, type: "text", class: "tl-input", autocomplete: "off",
            inputmode: name === "epochs" ? "numeric" : "decimal", value: String(value),
            on: {input: (event) => changed(Number(event.currentTarget.value.replace(",", ".")))}})));
}

/** The forecast from the server, updated while typing. */
class Forecast {
    /** @param {string} id of the run @param {() => ContinueOptions} options @param {(ready: boolean) => void} checked */
    constructor(id, options, checked) {
        this.id = id;
        this.options = options;
        this.checked = checked;
        this.asked = 0;
        this.list = h("dl", {class: "tl-forecast", "aria-live": "polite"});
        this.problem = h("p", {class: "tl-field-problem", "aria-live": "polite"});
        this.element = h("div", {}, this.list, this.problem);
        this.soon = later(() => this.now(), 250);
    }

    async now() {
        this.asked += 1;
        const turn = this.asked;
        this.checked(false);
        const options = this.options();
        let problem = "";
        /** @type {string[][]} */
        let rows = [];
        if (Object.values(options).some((value) => Number.isNaN(value)) || (options.epochs || 0) % 1) {
            problem = "Write whole epochs, and a number for the rate.";
        } else {
            try {
                rows = rowsOf(await api(`runs/${encodeURIComponent(this.id)}/continue/check`,
                    {body: options, quiet: true}));
            } catch (error) {
                problem = failureOf(error).message;
            }
        }
        if (turn !== this.asked) return;
        setText(this.problem, problem);
        fill(this.list, rows.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
        this.checked(!problem);
    }
}

/** @param {import("../core/types").Continuation} planned @returns {string[][]} name and value */
function rowsOf(planned) {
    const {rate} = format;
    const same = planned.unet_lr === planned.text_encoder_lr;
    const rates = same ? rate(planned.unet_lr) :
        `${rate(planned.unet_lr)} for the UNet, ${rate(planned.text_encoder_lr)} for the text encoder`;
    const finds = planned.adaptive ? `, a factor on the rate that ${planned.optimizer} has found already` : "";
    const rows = [["Saved as", planned.name]];
    if (planned.steps !== null && planned.total_steps !== null) {
        rows.push(["Steps", `${format.number(planned.steps)} more, from ${format.number(planned.from_step)} to ` +
            format.number(planned.total_steps)]);
    }
    if (planned.seconds !== null) rows.push(["Time", `about ${format.duration(planned.seconds)}`]);
    rows.push(["Learning rate", rates + finds]);
    if (planned.epochs && planned.schedule !== "constant") {
        rows.push(["Schedule", `${planned.schedule}, restarted over these steps`]);
    }
    return rows;
}
