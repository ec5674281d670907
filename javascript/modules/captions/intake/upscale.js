/** The dialog that upscales images with the webui's upscalers, and shows how far it is. */

import {dialog as openDialog} from "../../core/dialog.js";
import {failureOf, fill, h, later, setText, store} from "../../core/dom.js";
import {drawingWords} from "../../core/drawing_words.js";
import {format} from "../../core/format.js";
import {button, setLabel, toast, unread} from "../../core/parts.js";

/** @typedef {import("../answers").UpscaleState} UpscaleState */

const UPSCALER = "captions.upscaler";
const FACTORS = {0: "to the training size, only those below it", 2: "2 times", 4: "4 times"};
const WHERE = {place: "replace the images; the originals go to the trash", new: "add them as new images, with -upscaled in their names"};
const PAUSE = 700;

/** @param {import("../set.js").CaptionSet} set @param {number[]} numbers */
export function upscaleImages(set, numbers) {
    return new UpscaleDialog(set, numbers);
}

class UpscaleDialog {
    /** @param {import("../set.js").CaptionSet} set @param {number[]} numbers */
    constructor(set, numbers) {
        this.set = set;
        this.numbers = numbers;
        this.question = 0;
        const changed = later(() => this.look(), 50);
        this.upscaler = h("select", {class: "tl-input tl-select", id: "tl_upscaler", on: {change: (event) => store.set(UPSCALER, event.currentTarget.value)}});
        this.factor = select("tl_upscale_factor", FACTORS, changed);
        this.where = select("tl_upscale_where", WHERE, () => {});
        this.words = h("p", {role: "status", id: "tl_upscale_words"}, "");
        this.problem = h("div", {class: "tl-field-problem", role: "alert"}, "");
        this.fillBar = h("div", {class: "tl-bar-fill"});
        this.bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Upscaling", hidden: true}, this.fillBar);
        this.choices = h("div", {class: "tl-intake-choices"}, field("Upscaler", this.upscaler), field("How much", this.factor), field("Then", this.where));
        this.go = button("Upscale", {kind: "primary", id: "tl_upscale_go", disabled: true, click: () => this.start()});
        this.stop = button("Stop", {hidden: true, id: "tl_upscale_stop", click: () => set.ask("upscale/stop").catch(() => {})});
        this.window = openDialog(`Upscale ${format.plural(numbers.length, "image")}`, [this.choices, this.words, this.bar, this.problem],
            [button("Close", {click: () => this.window.close()}), this.stop, this.go]);
        this.window.id = "tl_upscale";
        this.look();
    }

    request() {
        return {numbers: this.numbers, factor: Number(this.factor.value)};
    }

    async look() {
        const mine = this.question += 1;
        this.go.disabled = true;
        try {
            const plan = await this.set.ask("upscale/plan", this.request(), {quiet: true});
            if (mine !== this.question) return;
            if (!this.upscaler.options.length) {
                fill(this.upscaler, plan.upscalers.map((name) => h("option", {value: name}, name)));
                const last = store.get(UPSCALER, "");
                if (plan.upscalers.includes(last)) this.upscaler.value = last;
            }
            const left = plan.of - plan.images;
            setText(this.problem, plan.problem);
            setText(this.words, `${format.plural(plan.images, "image")} to upscale` +
                `${left ? `; ${format.number(left)} large enough, or too large afterwards` : ""}. The training size is ${plan.size.join(" × ")}.`);
            setLabel(this.go, plan.images ? `Upscale ${format.plural(plan.images, "image")}` : "Upscale");
            this.go.disabled = !plan.images || Boolean(plan.problem);
        } catch (error) {
            if (mine === this.question) setText(this.problem, failureOf(error).message);
        }
    }

    async start() {
        this.go.disabled = true;
        setText(this.problem, "");
        try {
            await this.set.ask("upscale", {...this.request(), upscaler: this.upscaler.value, in_place: this.where.value === "place"}, {quiet: true});
        } catch (error) {
            setText(this.problem, failureOf(error).message);
            this.go.disabled = false;
            return;
        }
        this.go.hidden = this.choices.hidden = true;
        this.bar.hidden = this.stop.hidden = false;
        this.follow();
    }

    /** Show the progress until it ends, also after the dialog was closed. */
    async follow() {
        setText(this.problem, "");
        let state = await this.state();
        while (state && state.state === "running") {
            this.fillBar.style.width = `${(100 * state.done / Math.max(1, state.total)).toFixed(1)}%`;
            setText(this.words, drawingWords({state: "drawing", done: state.done, total: state.total, seconds_left: null}));
            await new Promise((resolve) => {
                setTimeout(resolve, PAUSE);
            });
            state = await this.state();
        }
        if (state) await this.end(state);
    }

    /** @returns {Promise<UpscaleState|null>} null on failure, which is shown, or reported by a toast if the dialog was closed */
    async state() {
        try {
            return await this.set.ask("upscale/state", {}, {quiet: this.window.open});
        } catch (error) {
            fill(this.problem, unread("The progress", error, () => this.follow()));
            return null;
        }
    }

    /** @param {UpscaleState} state */
    async end({state, label, error, left}) {
        this.window.close();
        await this.set.refresh({tagged: true});
        if (error) toast("error", `${label ? `${label}. ` : ""}${error}`, {problems: left});
        else if (label) toast(state === "stopped" ? "info" : "good", `${label}${state === "stopped" ? ", then stopped" : ""}.`, {problems: left});
        else toast("info", "Stopped. No image was changed.", {problems: left});
    }
}

/** @param {string} id @param {Record<string, string>} choices @param {() => void} change */
function select(id, choices, change) {
    return h("select", {class: "tl-input tl-select", id, on: {change}}, Object.entries(choices).map(([value, words]) => h("option", {value}, words)));
}

/** @param {string} label @param {HTMLElement} control */
function field(label, control) {
    return h("div", {class: "tl-field"}, h("label", {class: "tl-label", for: control.id}, label), control);
}
