/** The dialog "Vary a setting": a setting, its values, what that means, and the button that queues the group. */

import {dialog as openDialog} from "../../core/dialog.js";
import {api, emit, failureOf, fill, h, later, on, setText, uniqueId} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, findings, setLabel, toast} from "../../core/parts.js";
import {readTxt2img} from "../../core/txt2img_form.js";
import {form} from "../../train/form.js";
import {runs} from "../watch.js";
import {SettingChoice} from "./setting_choice.js";
import {sorted, typedValues, typingHelp} from "./values.js";

/** @typedef {import("../model.js").RunModel} RunModel */
/** @typedef {import("../../core/types").Setting} Setting */
/** @typedef {import("../../train/values").Value} Value */
/** @typedef {import("../records").VariantsPlan} VariantsPlan */
/** @typedef {import("./answers").Suggestion} Suggestion */

/** @param {RunModel|null} run whose job is varied; null for the form's */
export async function askForVariants(run) {
    await form.load();
    new Variants(run).choice.input.focus();
}

/** When another part of the page asks for it, queue the form's job with several values; the dialog opens only if a run has a problem. */
export function answerVary() {
    on("vary", async ({key, values}) => {
        await form.load();
        const setting = form.settings.get(key);
        if (!setting) return;
        const body = {job: form.job(), key, values: sorted(values), grid: true};
        const plan = await api("compare/plan", {body, quiet: true}).catch(() => null);
        if (plan && !plan.problems.length && plan.variants.every(({problems}) => !problems.length)) {
            const notes = plan.variants.flatMap((one) => one.notes.map((text) => `${one.value}: ${form.inWords(text)}`));
            const made = await queued(body);
            if (made) return announce(made, notes);
        }
        new Variants(null, values).choice.take(setting);  // it names the problems
    });
}

/**
 * Queue a group.
 * @param {{job?: import("../../train/answers").GroupedValues, run?: string, key: string, values: Value[], grid: boolean}} body
 * @returns {Promise<string[]|null>} its runs; null if that failed, which a toast has reported
 */
async function queued(body) {
    const {job} = body;
    const byWebui = job && job.sample ? job.sample.sample_by !== "worker" : !job;
    try {
        return (await api("compare/queue", {body: {...body, txt2img: byWebui ? await readTxt2img() : null}})).runs;
    } catch {
        return null;
    }
}

/** @param {string[]} made the queued runs @param {string[]} [notes] said beside */
function announce(made, notes = []) {
    toast("good", `${format.plural(made.length, "run")} ${made.length === 1 ? "is" : "are"} in the queue.`, {problems: notes});
    runs.refresh();
    if (made.length > 1) emit("compare", made);
}

class Variants {
    /** @param {RunModel|null} run @param {Value[]} [preset] the suggestions that are ticked at first */
    constructor(run, preset = []) {
        this.preset = preset;
        this.source = run ? {run: run.id} : {job: form.job()};
        /** @type {Setting|null} */
        this.setting = null;
        /** @type {Map<string, Value>} the ticked suggestions by their text */
        this.ticked = new Map();
        this.question = 0;
        this.choice = new SettingChoice((setting) => this.take(setting));
        this.suggested = h("div", {class: "tl-compare-suggestions", role: "group", "aria-label": "Suggested values"});
        const id = uniqueId("values");
        this.typed = h("textarea", {class: "tl-input tl-textarea", rows: 2, id, spellcheck: "false", on: {input: () => this.changed()}});
        this.typing = h("p", {class: "tl-note"});
        this.typedLabel = h("label", {class: "tl-label", for: id}, "Other values");
        this.typedPart = h("div", {class: "tl-compare-typed"}, this.typedLabel, this.typed, this.typing);
        this.values = h("div", {class: "tl-compare-values", hidden: true}, this.suggested, this.typedPart);
        this.plan = h("div", {class: "tl-compare-plan", "aria-live": "polite"});
        this.grid = h("input", {type: "checkbox", checked: true});
        this.queue = button("Queue", {kind: "primary", icon: "plus", disabled: true, id: "tl_vary_queue", click: () => this.start()});
        this.ask = later(() => this.check(), 250);
        this.dialog = openDialog("Vary a setting", [
            h("p", {class: "tl-note"}, `${run ? `The job of ${run.summary.name}` : "The job in the form"} is trained once with ` +
                "each value; everything else stays the same. Choose the checkpoint to train on other bases."),
            this.choice.element, this.values, this.plan,
            h("label", {class: "tl-tick"}, this.grid, "Generate a grid of all runs in the webui when they are done")],
        [button("Cancel", {click: () => this.dialog.close()}), this.queue]);
        this.dialog.classList.add("tl-compare-dialog");
    }

    /** @param {Setting} setting */
    async take(setting) {
        this.setting = setting;
        this.ticked.clear();
        this.typed.value = "";
        this.values.hidden = false;
        fill(this.suggested);
        fill(this.plan);
        this.queue.disabled = true;
        const given = setting.key === "base.checkpoint" || setting.type === "bool" || setting.choices.length > 0;
        this.typedPart.hidden = given;
        setText(this.typing, typingHelp(setting));
        const answer = await api("compare/suggestions", {body: {...this.source, key: setting.key}}).catch(() => null);
        if (!answer || this.setting !== setting) return;
        const {suggestions} = answer;
        setText(this.typedLabel, suggestions.length ? "Other values" : "Values");
        for (const {value} of suggestions) if (this.preset.includes(value)) this.ticked.set(JSON.stringify(value), value);
        fill(this.suggested, suggestions.map((one) => this.suggestion(one)));
        if (this.ticked.size) this.changed();
        if (!this.typedPart.hidden) this.typed.focus();
    }

    /** @param {Suggestion} suggestion */
    suggestion({value, text, reason}) {
        return h("label", {class: "tl-tick tl-compare-suggestion"}, h("input", {type: "checkbox", checked: this.ticked.has(JSON.stringify(value)), on: {change: (event) => {
            if (event.currentTarget.checked) this.ticked.set(JSON.stringify(value), value);
            else this.ticked.delete(JSON.stringify(value));
            this.changed();
        }}}), h("span", {}, h("b", {}, text), reason ? h("span", {class: "tl-note"}, reason) : null));
    }

    changed() {
        this.queue.disabled = true;
        this.ask();
    }

    get body() {
        const key = this.setting ? this.setting.key : "";
        const typed = this.setting && !this.typedPart.hidden ? typedValues(this.setting, this.typed.value) : [];
        return {...this.source, key, values: sorted([...this.ticked.values(), ...typed]), grid: this.grid.checked};
    }

    async check() {
        const mine = this.question += 1;
        const {body} = this;
        if (!body.values.length) {
            fill(this.plan);
            return;
        }
        try {
            const plan = await api("compare/plan", {body, quiet: true});
            if (mine === this.question) this.show(plan);
        } catch (error) {
            const {message, problems} = failureOf(error);
            if (mine === this.question) fill(this.plan, findings((problems.length ? problems : [message])
                .map((text) => ({level: "error", text: form.inWords(text)}))));
        }
    }

    /** @param {VariantsPlan} plan */
    show(plan) {
        const count = plan.variants.length;
        const wrong = plan.problems.length + plan.variants.filter(({problems}) => problems.length).length;
        const time = plan.seconds === null ? "time unknown until a run on the base was measured" : `about ${format.duration(plan.seconds)}`;
        setLabel(this.queue, `Queue ${format.plural(count, "run")}`);
        this.queue.disabled = wrong > 0;
        fill(this.plan, findings(plan.problems.map((text) => ({level: "error", text: `All of them: ${form.inWords(text)}`}))),
            h("div", {class: "tl-table-scroll"}, h("table", {class: "tl-table"}, h("thead", {}, h("tr", {}, ["Value", "LoRA", "Steps", "Time"]
                .map((title) => h("th", {scope: "col"}, title)))),
            h("tbody", {}, plan.variants.map(({value, name, steps, seconds, problems, notes}) => [
                h("tr", {}, h("th", {scope: "row"}, value), h("td", {}, name), h("td", {}, steps === null ? "–" : format.number(steps)),
                    h("td", {}, seconds === null ? "–" : format.duration(seconds))),
                problems.length || notes.length ? h("tr", {class: "tl-compare-notes"}, h("td", {colspan: 4}, findings([
                    ...problems.map((text) => ({level: "error", text: form.inWords(text)})),
                    ...notes.map((text) => ({level: text.toLowerCase().includes("no effect") ? "warning" : "note",
                        text: form.inWords(text)}))]))) : null])))),
            h("p", {class: "tl-compare-total"}, wrong ? "Fix what is marked above, then the group can be queued." :
                `${format.plural(count, "run")}, ${plan.steps === null ? "steps unknown" : format.plural(plan.steps, "step")} in all, ${time}.`));
    }

    async start() {
        this.queue.disabled = true;
        const made = await queued(this.body);
        this.queue.disabled = false;
        if (!made) return;
        this.dialog.close();
        announce(made);
    }
}
